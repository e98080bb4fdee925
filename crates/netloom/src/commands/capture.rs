//! `netloom capture`: packets at a link end, as pcap with nanoseconds.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use netloom_api::values::{EndRef, Span};
use netloom_cli::exit::Exit;
use netloom_cli::node::Capture;
use netloom_kernel::packet::{Frame, FrameBuffer, PacketOptions, PacketSocket};
use netloom_kernel::poll::{Interest, poll};
use netloom_packet::pcap::Writer;
use netloom_report::style::{Style, count};

use crate::context::Context;
use crate::failure::{Failure, Result, parse};
use crate::signals;

/// The largest frame: 64 KiB of GSO and a header.
const SLOT: usize = 66_000;
/// Frames received in one go.
const FRAMES: usize = 32;
/// Kernel buffer, so that a burst is not lost while the disk is busy.
const BUFFER: usize = 32 << 20;
/// How often the clock, signals and a closed pipe are looked at.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(context: &Context, args: &Capture) -> Result<Exit> {
    let end: EndRef = parse(&args.end)?;
    let until = args.duration.as_deref().map(parse::<Span>).transpose()?.map(|s| Instant::now() + s.0);
    let to_stdout = args.write == "-";
    if to_stdout && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a capture is not for a terminal: pipe it (`| wireshark -k -i -`, `| tcpdump -r -`) or name a file",
        ));
    }
    let lab = context.open(&args.lab)?;
    // Without root the lab's user namespace has been joined now, which a process with a second thread cannot.
    signals::catch()?;
    let (_, plan, _) = lab.end(&end)?;
    let options = PacketOptions {
        auxdata: true,
        promiscuous: true,
        timestamps: true,
        nonblocking: true,
        receive_buffer: Some(BUFFER),
        ..PacketOptions::default()
    };
    let socket = PacketSocket::open_in(&lab.netns(end.node.as_str())?, plan.ifindex, &options)?;
    let path = Path::new(&args.write);
    let sink: Box<dyn Write> = if to_stdout {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path).map_err(|e| Failure::file("write", path, &e))?)
    };
    let progress = context.terminal.progress();
    progress.step(&format!("capture {end}"));
    let done = copy(&socket, BufWriter::new(sink), args.count, until, |n| progress.message(count(n, "packet")));
    progress.finish();
    let written = match done {
        Ok(n) => n,
        Err((n, e)) if e.kind() == io::ErrorKind::BrokenPipe => n,
        Err((_, e)) => return Err(Failure::file("write", path, &e)),
    };
    let dropped = socket.take_drops().map(|(_, d)| d).unwrap_or(0);
    if dropped > 0 {
        context.terminal.note(format!(
            "{} {} arrived faster than they could be written and are missing",
            Style::Yellow.paint("note:"),
            count(dropped as usize, "packet")
        ));
    }
    if !to_stdout {
        context.terminal.say(format!(
            "{} {} written to {}",
            Style::Green.paint("✓"),
            count(written, "packet"),
            args.write
        ));
    }
    Ok(Exit::Ok)
}

/// Copies frames until there are enough, the time is up, a signal comes or the reader goes; the number of frames.
fn copy(
    socket: &PacketSocket,
    out: impl Write,
    most: Option<u64>,
    until: Option<Instant>,
    mut show: impl FnMut(usize),
) -> std::result::Result<usize, (usize, io::Error)> {
    let mut pcap = Writer::new(out).map_err(|e| (0, e))?;
    // The header at once: whoever reads waits for it.
    pcap.flush().map_err(|e| (0, e))?;
    let mut buffer = FrameBuffer::new(FRAMES, SLOT);
    let mut n = 0;
    loop {
        if signals::caught().is_some()
            || until.is_some_and(|t| Instant::now() >= t)
            || most.is_some_and(|m| n as u64 >= m)
        {
            pcap.flush().map_err(|e| (n, e))?;
            return Ok(n);
        }
        let wait = until.map_or(TICK, |t| TICK.min(t.saturating_duration_since(Instant::now())));
        if poll(&[(socket.as_fd(), Interest::READ)], Some(wait)).is_err() {
            continue;
        }
        match socket.receive(&mut buffer) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            // The interface went down: what comes after it is up again is captured too.
            Err(_) => continue,
        }
        for frame in buffer.frames() {
            if most.is_some_and(|m| n as u64 >= m) {
                break;
            }
            let time = frame.timestamp.unwrap_or_default();
            pcap.write(time, &whole(&frame)).map_err(|e| (n, e))?;
            n += 1;
        }
        pcap.flush().map_err(|e| (n, e))?;
        show(n);
    }
}

/// The frame as it was on the wire: a VLAN tag that the kernel took off is put back (IEEE 802.1Q: after the two addresses).
fn whole(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = frame.bytes.to_vec();
    if let Some(tag) = frame.vlan
        && bytes.len() >= 12
    {
        let mut insert = tag.tpid.to_be_bytes().to_vec();
        insert.extend(tag.tci.to_be_bytes());
        bytes.splice(12..12, insert);
    }
    bytes
}
