//! `ovs-ofctl` as the oracle: the bytes it sends for a text are the bytes we send for it, and mean the same to us.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use netloom_openflow::Version;
use netloom_openflow::flow::FlowMod;
use netloom_openflow::group::GroupMod;
use netloom_openflow::message::{Frame, Header, Hello, Message, decode};
use netloom_testkit::needs;

/// Flows as people write them. Those after the mark need OpenFlow 1.5.
const FLOWS: &str = include_str!("flows.txt");
const GROUPS: &str = include_str!("groups.txt");

fn texts(all: &'static str, version: Version) -> Vec<&'static str> {
    let old = version < Version::V15;
    let mut out = Vec::new();
    let mut newer = false;
    for line in all.lines().filter(|line| !line.is_empty()) {
        match line {
            "# 1.5" => newer = true,
            line if line.starts_with('#') => {}
            line if !(newer && old) => out.push(line),
            _ => {}
        }
    }
    out
}

/// The option of ovs-ofctl that allows this version alone.
pub(crate) fn option(version: Version) -> &'static str {
    match version {
        Version::V13 => "OpenFlow13",
        Version::V14 => "OpenFlow14",
        Version::V15 => "OpenFlow15",
    }
}

/// Reads one whole message.
fn read(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).ok()?;
    let length = Header::parse(bytes.first_chunk().unwrap()).unwrap().length;
    bytes.resize(length.into(), 0);
    stream.read_exact(&mut bytes[8..]).ok()?;
    Some(bytes)
}

/// What `ovs-ofctl` sends to a switch that says yes to everything: the messages that change something, as bytes.
fn sent(version: Version, command: &[&str], text: &str) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (socket, file) = (dir.path().join("s"), dir.path().join("f"));
    std::fs::write(&file, text).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let mut child = Command::new("ovs-ofctl")
        .args(["-O", option(version), "--timeout=20", "--no-names"])
        .args(command)
        .arg(format!("unix:{}", socket.display()))
        .arg(&file)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = Vec::new();
    // What is wrong with the text is found before anything is sent.
    listener.set_nonblocking(true).unwrap();
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(_) if child.try_wait().unwrap().is_none() => std::thread::sleep(std::time::Duration::from_millis(2)),
            Err(_) => {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("ovs-ofctl ended: {said}");
            }
        }
    };
    stream.set_nonblocking(false).unwrap();
    stream.write_all(&Message::Hello(Hello::of(&Version::ALL)).encode(Version::V15, 1).unwrap()).unwrap();
    while let Some(bytes) = read(&mut stream) {
        let Frame { xid, message, .. } = decode(&bytes).unwrap();
        let answer = match message {
            Message::Hello(_) => continue,
            Message::BarrierRequest => Message::BarrierReply,
            Message::EchoRequest(bytes) => Message::EchoReply(bytes),
            _ => {
                out.push(bytes);
                continue;
            }
        };
        let _ = stream.write_all(&answer.encode(version, xid).unwrap());
    }
    let result = child.wait_with_output().unwrap();
    assert!(result.status.success(), "ovs-ofctl: {}", String::from_utf8_lossy(&result.stderr));
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two messages are the same bytes. In OpenFlow 1.5 ovs-ofctl sends registers in pairs, and we one by one: there they
/// are the same when they mean the same.
fn same(version: Version, ours: &[u8], theirs: &[u8]) -> bool {
    ours == theirs || (version == Version::V15 && decode(ours).unwrap() == decode(theirs).unwrap())
}

#[test]
fn a_flow_in_text_becomes_the_bytes_that_ofctl_sends_and_comes_back() {
    needs!(ovs_ofctl);
    for version in Version::ALL {
        let texts = texts(FLOWS, version);
        let theirs = sent(version, &["add-flows"], &texts.join("\n"));
        assert_eq!(theirs.len(), texts.len());
        let mut wrong = Vec::new();
        let mut again = Vec::new();
        for (text, bytes) in texts.iter().zip(&theirs) {
            let frame = decode(bytes).unwrap_or_else(|e| panic!("{text}: {e}\n{}", hex(bytes)));
            let ours: FlowMod = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            again.push(ours.to_string());
            let ours = Message::FlowMod(ours).encode(version, frame.xid).unwrap_or_else(|e| panic!("{text}: {e}"));
            if !same(version, &ours, bytes) {
                wrong.push(format!("{version} {text}\n  ofctl {}\n  ours  {}", hex(bytes), hex(&ours)));
            }
            // What was decoded is said again in the same bytes.
            let back = frame.message.encode(version, frame.xid).unwrap();
            if !same(version, &back, bytes) {
                wrong.push(format!("{version} {text}, decoded\n  ofctl {}\n  again {}", hex(bytes), hex(&back)));
            }
            let Message::FlowMod(decoded) = frame.message else { panic!("{text}: not a flow") };
            let reparsed: FlowMod = decoded.to_string().parse().unwrap_or_else(|e| panic!("{decoded}: {e}"));
            let reparsed = Message::FlowMod(reparsed).encode(version, frame.xid).unwrap();
            if !same(version, &reparsed, bytes) {
                wrong.push(format!(
                    "{version} {text}, written as {decoded}\n  ofctl {}\n  ours  {}",
                    hex(bytes),
                    hex(&reparsed)
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // ovs-ofctl reads what we write as we meant it.
        let mut reread = sent(version, &["add-flows"], &again.join("\n"));
        let clear = |bytes: &mut Vec<u8>| bytes[4..8].fill(0);
        let mut theirs = theirs;
        theirs.iter_mut().for_each(clear);
        reread.iter_mut().for_each(clear);
        for ((ours, theirs), text) in reread.iter().zip(&theirs).zip(&again) {
            assert!(same(version, ours, theirs), "{version}: {text}\n{}\n{}", hex(ours), hex(theirs));
        }
    }
}

#[test]
fn a_group_in_text_becomes_the_bytes_that_ofctl_sends_and_comes_back() {
    needs!(ovs_ofctl);
    for version in Version::ALL {
        let texts = texts(GROUPS, version);
        let theirs = sent(version, &["add-groups"], &texts.join("\n"));
        assert_eq!(theirs.len(), texts.len());
        for (text, bytes) in texts.iter().zip(&theirs) {
            let frame = decode(bytes).unwrap();
            let ours: GroupMod = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            let said = ours.to_string();
            let ours = Message::GroupMod(ours).encode(version, frame.xid).unwrap();
            assert_eq!(hex(&ours), hex(bytes), "{version} {text}");
            let Message::GroupMod(decoded) = &frame.message else { panic!("{text}: not a group") };
            let reparsed: GroupMod = decoded.to_string().parse().unwrap_or_else(|e| panic!("{decoded}: {e}"));
            assert_eq!(&reparsed, decoded, "{version} {text}");
            let again = sent(version, &["add-groups"], &said);
            assert_eq!(hex(&again[0][8..]), hex(&bytes[8..]), "{version}: {said}");
        }
    }
}
