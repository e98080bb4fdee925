//! Echo requests (RFC 792, RFC 4443 §4): one raw socket per asking node, family and source address, none per pair.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::sock;
use netloom_packet::icmp::{self, Message, Quoted};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};
use crate::probe::{Answer, Job, Line, Listener, cause};
use crate::verdict::Cause;

/// Echoes under way at the same time. Bounds what arrives at one socket at once (a receive buffer of the default size holds about 250 small packets).
const WINDOW: usize = 128;

struct Asker {
    socket: Socket,
    id: u16,
    v6: bool,
    sequence: u16,
    /// Sequence number → job.
    sent: HashMap<u16, usize>,
}

/// Runs echo jobs on the calling thread.
///
/// # Errors
/// When a namespace cannot be entered or a raw socket made.
pub(super) fn run(jobs: &[&Job], patience: Duration, nonce: u64, line: Line<'_>) -> Result<()> {
    run_paced(jobs, Duration::ZERO, patience, nonce, Some(&line)).map(drop)
}

fn run_paced(
    jobs: &[&Job],
    interval: Duration,
    patience: Duration,
    nonce: u64,
    line: Option<&Line<'_>>,
) -> Result<Vec<Answer>> {
    let (mut askers, owner) = open(jobs, nonce)?;
    let mut answers = Answers { all: vec![None; jobs.len()], line };
    let mut waiting: VecDeque<usize> = spread(&owner, askers.len()).into();
    let mut sent_at = vec![0u64; jobs.len()];
    let mut under_way: VecDeque<usize> = VecDeque::new();
    let patience_ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    let mut open_count = 0;
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let mut next_ns = 0;

    while (!waiting.is_empty() || open_count > 0) && !line.is_some_and(Line::stopped) {
        while open_count < WINDOW
            && sock::now_ns() >= next_ns
            && let Some(job) = waiting.pop_front()
        {
            next_ns = sock::now_ns() + interval_ns;
            sent_at[job] = sock::now_ns();
            match send(&mut askers[owner[job]], jobs[job], job, nonce) {
                Ok(()) => {
                    under_way.push_back(job);
                    open_count += 1;
                }
                Err(e) => {
                    answers.set(job, Answer::failed(cause::of_error(&e, None, &jobs[job].from.node, jobs[job].target)));
                }
            }
        }
        // Those sent first run out of time first.
        let now = sock::now_ns();
        while let Some(first) = under_way.front().copied() {
            if answers.all[first].is_some() {
                under_way.pop_front();
            } else if now.saturating_sub(sent_at[first]) >= patience_ns {
                answers.set(first, Answer::failed(Cause::TimedOut));
                open_count -= 1;
                under_way.pop_front();
            } else {
                break;
            }
        }
        let paced = interval_ns > 0 && !waiting.is_empty() && open_count < WINDOW;
        let until_next = if paced { next_ns.saturating_sub(now) } else { u64::MAX };
        let left = match under_way.front() {
            Some(first) => patience_ns.saturating_sub(now.saturating_sub(sent_at[*first])).min(until_next),
            None if paced => until_next,
            None => continue,
        };
        let left = Duration::from_nanos(left.max(50_000));
        let left = line.map_or(left, |l| l.wait(left));
        let fds: Vec<_> = askers.iter().map(|a| (a.socket.as_fd(), Interest::READ)).collect();
        let ready = poll(&fds, Some(left))?;
        for (asker, ready) in askers.iter_mut().zip(ready) {
            if !ready.any() {
                continue;
            }
            while let Some((job, result)) = receive(asker, jobs, nonce)? {
                if answers.all[job].is_none() && sent_at[job] != 0 {
                    let answer = match result {
                        Ok(at) => Answer {
                            cause: Cause::Ok,
                            rtt: Some(Duration::from_nanos(at.saturating_sub(sent_at[job]))),
                            listener: Listener::None,
                        },
                        Err(cause) => Answer::failed(cause),
                    };
                    answers.set(job, answer);
                    open_count -= 1;
                }
            }
        }
    }
    Ok(answers.all.into_iter().map(|a| a.unwrap_or_else(|| Answer::failed(Cause::TimedOut))).collect())
}

/// What is known so far, told as it comes.
struct Answers<'a> {
    all: Vec<Option<Answer>>,
    line: Option<&'a Line<'a>>,
}

impl Answers<'_> {
    fn set(&mut self, job: usize, answer: Answer) {
        if let Some(line) = self.line {
            line.answer(job, answer.clone());
        }
        self.all[job] = Some(answer);
    }
}

/// Sends `count` echoes of one job, one each `interval`; the answers stand in the order of sending. For round trip times.
///
/// # Errors
/// As [`run`].
pub fn train(job: &Job, count: u32, interval: Duration, patience: Duration, nonce: u64) -> Result<Vec<Answer>> {
    job.from.netns.run(|| {
        let jobs: Vec<&Job> = (0..count).map(|_| job).collect();
        run_paced(&jobs, interval, patience, nonce, None)
    })?
}

/// One socket for each node, family and source address; and which of them each job uses.
fn open(jobs: &[&Job], nonce: u64) -> Result<(Vec<Asker>, Vec<usize>)> {
    let mut index: HashMap<(&str, bool, Option<IpAddr>), usize> = HashMap::new();
    let mut askers: Vec<Asker> = Vec::new();
    let mut owner = Vec::with_capacity(jobs.len());
    for job in jobs {
        let key = (job.from.node.as_str(), job.target.is_ipv6(), job.source);
        let at = match index.get(&key) {
            Some(at) => *at,
            None => {
                job.from.netns.enter_here()?;
                // The low bits of the nonce, different for each socket of the batch.
                let id = (nonce as u16).wrapping_add(askers.len() as u16);
                askers.push(
                    asker(job, id)
                        .map_err(|e| Error::socket(format!("{}: open a raw ICMP socket", job.from.node), e))?,
                );
                index.insert(key, askers.len() - 1);
                askers.len() - 1
            }
        };
        owner.push(at);
    }
    Ok((askers, owner))
}

fn asker(job: &Job, id: u16) -> std::io::Result<Asker> {
    let v6 = job.target.is_ipv6();
    let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    sock::stamp_arrivals(&socket)?;
    sock::only_icmp_answers(&socket, v6)?;
    if let Some(source) = job.source {
        // An address that is gone shows when sending; other probes of the node may still work.
        let _ = socket.bind(&SocketAddr::new(source, 0).into());
    }
    Ok(Asker { socket, id, v6, sequence: 0, sent: HashMap::new() })
}

/// An order in which the askers take turns, each starting at another of its targets, so that no target hears from all at once.
fn spread(owner: &[usize], askers: usize) -> Vec<usize> {
    let mut queues: Vec<VecDeque<usize>> = vec![VecDeque::new(); askers];
    for (job, asker) in owner.iter().enumerate() {
        queues[*asker].push_back(job);
    }
    for (shift, queue) in queues.iter_mut().enumerate() {
        if !queue.is_empty() {
            let by = shift % queue.len();
            queue.rotate_left(by);
        }
    }
    let mut order = Vec::with_capacity(owner.len());
    while order.len() < owner.len() {
        order.extend(queues.iter_mut().filter_map(VecDeque::pop_front));
    }
    order
}

fn send(asker: &mut Asker, job: &Job, number: usize, nonce: u64) -> std::io::Result<()> {
    let sequence = asker.sequence;
    asker.sequence = sequence.wrapping_add(1);
    asker.sent.insert(sequence, number);
    let mut payload = [0u8; 16];
    payload[..8].copy_from_slice(&nonce.to_be_bytes());
    payload[8..].copy_from_slice(&(number as u64).to_be_bytes());
    let message = match job.target {
        IpAddr::V4(_) => icmp::echo_request_v4(asker.id, sequence, &payload),
        // The kernel writes the checksum of raw ICMPv6 sockets itself (RFC 3542 §3.1).
        IpAddr::V6(to) => icmp::echo_request_v6(std::net::Ipv6Addr::UNSPECIFIED, to, asker.id, sequence, &payload),
    };
    let to = SocketAddr::new(job.target, 0).into();
    match asker.socket.send_to(&message, &to) {
        // An error that an earlier packet left on the socket; once reported it is gone.
        Err(e) if e.raw_os_error() == Some(111) => asker.socket.send_to(&message, &to).map(drop),
        other => other.map(drop),
    }
}

/// The next answer or error message that is about one of our jobs; `None` when the socket is drained.
fn receive(asker: &mut Asker, jobs: &[&Job], nonce: u64) -> Result<Option<(usize, Result<u64, Cause>)>> {
    let mut buffer = [0u8; 2048];
    loop {
        let got = match sock::receive(&asker.socket, &mut buffer) {
            Ok(Some(got)) => got,
            // A pending error of the socket is told by the ICMP message itself as well.
            Ok(None) | Err(_) => return Ok(None),
        };
        let bytes = &buffer[..got.length];
        let (message, icmp_type, icmp_code) = if asker.v6 {
            (icmp::parse_v6(bytes), bytes.first().copied(), bytes.get(1).copied())
        } else {
            // A raw IPv4 socket hands out the IP header too.
            let header = usize::from(bytes.first().copied().unwrap_or(0) & 0x0f) * 4;
            let body = bytes.get(header..).unwrap_or_default();
            (icmp::parse_v4(body), body.first().copied(), body.get(1).copied())
        };
        let (Ok(message), Some(icmp_type), Some(icmp_code), Some(from)) = (message, icmp_type, icmp_code, got.from)
        else {
            continue;
        };
        match message {
            Message::EchoReply { id, payload, .. }
                if id == asker.id && payload.len() >= 16 && payload[..8] == nonce.to_be_bytes() =>
            {
                let mut number = [0u8; 8];
                number.copy_from_slice(&payload[8..16]);
                let Ok(job) = usize::try_from(u64::from_be_bytes(number)) else {
                    continue;
                };
                if job < jobs.len() {
                    return Ok(Some((job, Ok(got.at_ns))));
                }
            }
            Message::Unreachable { quoted: Some(q), .. } | Message::TimeExceeded { quoted: Some(q), .. } => {
                if let Some(job) = about(asker, &q) {
                    let cause = cause::of_icmp(asker.v6, icmp_type, icmp_code, 0, from.ip(), jobs[job].target);
                    return Ok(Some((job, Err(cause))));
                }
            }
            Message::TooBig { mtu, quoted: Some(q) } => {
                if let Some(job) = about(asker, &q) {
                    return Ok(Some((job, Err(Cause::TooBig { mtu, from: Some(from.ip()) }))));
                }
            }
            _ => {}
        }
    }
}

fn about(asker: &Asker, quoted: &Quoted) -> Option<usize> {
    if quoted.first != Some(asker.id) {
        return None;
    }
    asker.sent.get(&quoted.second?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn askers_take_turns_and_start_apart() {
        // Three askers with the same three targets each.
        let owner = [0, 0, 0, 1, 1, 1, 2, 2, 2];
        let order = spread(&owner, 3);
        let targets: Vec<usize> = order.iter().map(|j| j % 3).collect();
        assert_eq!(targets[..3], [0, 1, 2]);
        let mut all = order;
        all.sort_unstable();
        assert_eq!(all, (0..9).collect::<Vec<_>>());
    }
}
