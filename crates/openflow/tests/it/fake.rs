//! The client and peers that misbehave: every call ends, in a bounded time, and says why.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use netloom_openflow::client::{Client, ClientError, Event, Options, Remote};
use netloom_openflow::flow::FlowFilter;
use netloom_openflow::message::{Features, Frame, Header, Hello, Message, decode};
use netloom_openflow::multipart::{Multipart, Reply, Request};
use netloom_openflow::{FlowMod, Version};

const LONG: Duration = Duration::from_secs(20);

/// A peer on a unix socket, which does `with` to each connection, one after the other.
struct Fake {
    remote: Remote,
    _dir: tempfile::TempDir,
}

fn fake(mut with: impl FnMut(usize, UnixStream) + Send + 'static) -> Fake {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            with(number, stream);
        }
    });
    Fake { remote: Remote::Unix(socket), _dir: dir }
}

/// Impatient where the peer of a test does not answer, patient where it does: the machine may be busy.
fn options() -> Options {
    let soon = Duration::from_millis(500);
    Options {
        connect_timeout: LONG,
        request_timeout: soon,
        write_timeout: soon,
        idle: Duration::from_millis(100),
        patience: LONG,
        backoff: Duration::from_millis(10),
        backoff_limit: Duration::from_millis(40),
        ..Options::default()
    }
}

fn read(stream: &mut UnixStream) -> Option<Frame> {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).ok()?;
    let length = Header::parse(bytes.first_chunk().unwrap()).unwrap().length;
    bytes.resize(length.into(), 0);
    stream.read_exact(&mut bytes[8..]).ok()?;
    decode(&bytes).ok()
}

fn write(stream: &mut UnixStream, xid: u32, message: &Message) -> bool {
    stream.write_all(&message.encode(Version::V13, xid).unwrap()).is_ok()
}

/// Greets as a switch of OpenFlow 1.3 does.
fn greet(stream: &mut UnixStream) -> bool {
    write(stream, 1, &Message::Hello(Hello::of(&[Version::V13])));
    while let Some(frame) = read(stream) {
        if frame.message == Message::FeaturesRequest {
            return write(stream, frame.xid, &Message::FeaturesReply(Features { tables: 254, ..Features::default() }));
        }
    }
    false
}

/// Hears the greeting, says something and hangs up.
fn says(bytes: &[u8]) -> Fake {
    let bytes = bytes.to_vec();
    fake(move |_, mut stream| {
        read(&mut stream);
        let _ = stream.write_all(&bytes);
        // What is sent meanwhile is read, lest the connection be reset.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}

/// Greets, and then does `with` to every message.
fn switch(mut with: impl FnMut(&mut UnixStream, Frame) + Send + 'static) -> Fake {
    fake(move |_, mut stream| {
        if greet(&mut stream) {
            while let Some(frame) = read(&mut stream) {
                with(&mut stream, frame);
            }
        }
    })
}

/// Connecting fails again and again, each time in a bounded time, and this is said of it.
fn refused(fake: &Fake, words: &str) {
    let soon = Duration::from_millis(300);
    let client = Client::start(fake.remote.clone(), Options { connect_timeout: soon, ..options() }).unwrap();
    let began = Instant::now();
    loop {
        let error = client.session(soon).unwrap_err();
        assert!(matches!(error, ClientError::NotConnected { .. }), "{error}");
        if error.to_string().contains(words) {
            return;
        }
        assert!(began.elapsed() < LONG, "{error}");
    }
}

#[test]
fn a_peer_that_accepts_and_never_answers_is_given_up() {
    let mut held = Vec::new();
    refused(&fake(move |_, stream| held.push(stream)), "did not send a hello in time");
    let mut held = Vec::new();
    let silent = fake(move |_, mut stream| {
        write(&mut stream, 1, &Message::Hello(Hello::of(&[Version::V13])));
        held.push(stream);
    });
    refused(&silent, "did not send its features in time");
}

#[test]
fn another_version_is_told_with_both_lists() {
    let old = says(&[1, 0, 0, 8, 0, 0, 0, 1]);
    refused(&old, "the switch speaks up to 0x01; allowed here are 0x04, 0x05, 0x06");
    let odd = says(&[9, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 2, 2]);
    refused(&odd, "the switch speaks 0x01, 0x09; allowed here are");
    // A switch that answers in another version than was agreed.
    let mut bytes = Message::Hello(Hello::of(&[Version::V13])).encode(Version::V13, 1).unwrap();
    bytes.extend([2, 6, 0, 8, 0, 0, 0, 2]);
    let changed = says(&bytes);
    refused(&changed, "speaks OpenFlow version 0x02");
}

#[test]
fn what_is_not_openflow_is_told_so() {
    refused(&says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "the greeting");
    refused(&says(&[4, 20, 0, 8, 0, 0, 0, 1]), "does not begin with a hello");
    refused(&says(&[4, 0, 0, 3, 0, 0, 0, 1]), "says that it has 3 bytes");
    refused(&says(&[4, 0, 0, 16, 0, 0]), "within a message");
    refused(&says(&[]), "closed the connection");
}

#[test]
fn a_request_without_an_answer_ends_and_the_connection_stays() {
    let fake = switch(|stream, frame| match frame.message {
        Message::EchoRequest(bytes) => {
            write(stream, frame.xid, &Message::EchoReply(bytes));
        }
        Message::GetConfigRequest => {
            write(stream, frame.xid, &Message::GetConfigReply(Default::default()));
        }
        _ => {}
    });
    let client = Client::connect(fake.remote.clone(), options()).unwrap();
    let began = Instant::now();
    assert!(matches!(client.barrier(), Err(ClientError::Timeout { what: "a barrier", .. })));
    assert!(began.elapsed() < LONG);
    // It stayed alive by echoes, and what is answered is answered on the same connection.
    assert!(client.request("the configuration", &Message::GetConfigRequest).is_ok());
    assert_eq!(client.session(LONG).unwrap().number, 1);
}

#[test]
fn as_many_requests_as_allowed_wait_and_the_next_is_told_so() {
    let fake = switch(|stream, frame| {
        if let Message::EchoRequest(bytes) = frame.message {
            write(stream, frame.xid, &Message::EchoReply(bytes));
        }
    });
    let client = Client::connect(fake.remote.clone(), Options { in_flight: 3, ..options() }).unwrap();
    let waiting: Vec<_> = (0..3).map(|_| client.submit("nothing", &Message::BarrierRequest).unwrap()).collect();
    let began = Instant::now();
    let error = client.submit("one more", &Message::BarrierRequest).unwrap_err();
    assert!(matches!(error, ClientError::Busy { limit: 3, .. }), "{error}");
    assert!(began.elapsed() < LONG);
    // Who gives up makes room.
    drop(waiting);
    assert!(client.submit("one more", &Message::BarrierRequest).is_ok());
}

#[test]
fn a_peer_that_falls_silent_is_given_up_and_found_again() {
    let fake = fake(|number, mut stream| {
        if !greet(&mut stream) {
            return;
        }
        while let Some(frame) = read(&mut stream) {
            // The first connection is deaf.
            match frame.message {
                Message::EchoRequest(bytes) if number > 0 => {
                    write(&mut stream, frame.xid, &Message::EchoReply(bytes));
                }
                _ => {}
            }
        }
    });
    let patience = Duration::from_millis(200);
    let client = Client::connect(fake.remote.clone(), Options { patience, ..options() }).unwrap();
    let events = client.subscribe(10);
    let told: Vec<Event> = (0..3).filter_map(|_| events.next(LONG)).collect();
    match told.as_slice() {
        [Event::Up(first), Event::Down(why), Event::Up(second)] => {
            assert!(why.contains("an echo had no answer"), "{why}");
            assert_eq!((first.number, second.number), (1, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_echo_is_answered_at_once() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let fake = fake(move |_, mut stream| {
        greet(&mut stream);
        write(&mut stream, 77, &Message::EchoRequest(b"are you there".to_vec()));
        while let Some(frame) = read(&mut stream) {
            let _ = sender.send((frame.xid, frame.message));
        }
    });
    let _client = Client::connect(fake.remote.clone(), options()).unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), (77, Message::EchoReply(b"are you there".to_vec())));
}

#[test]
fn bytes_that_mean_nothing_end_the_connection_and_every_request_on_it() {
    for (damage, words) in [
        (vec![4u8, 19, 0, 4, 0, 0, 0, 9], "says that it has 4 bytes"),
        (vec![4, 19, 0, 10, 0, 0, 0, 9, 0, 1], "ends early"),
        (vec![6, 21, 0, 8, 0, 0, 0, 9], "version 0x06"),
        (vec![4, 19, 0, 100, 0, 0], "within a message"),
    ] {
        let fake = switch(move |stream, frame| {
            if frame.message == Message::BarrierRequest {
                let _ = stream.write_all(&damage);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        });
        let client = Client::connect(fake.remote.clone(), Options { request_timeout: LONG, ..options() }).unwrap();
        let began = Instant::now();
        let error = client.barrier().unwrap_err();
        assert!(matches!(error, ClientError::Lost { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(began.elapsed() < LONG / 2);
        // And the next connection is as good as the first.
        assert!(client.session(LONG).is_ok());
    }
}

#[test]
fn a_peer_that_takes_no_bytes_stops_nobody_for_long() {
    let mut held = Vec::new();
    let fake = fake(move |_, mut stream| {
        greet(&mut stream);
        held.push(stream);
    });
    let client = Client::connect(fake.remote.clone(), Options { idle: LONG, ..options() }).unwrap();
    let many: Vec<Message> = (0..20_000).map(|_| Message::FlowMod(FlowMod::default())).collect();
    let began = Instant::now();
    let error = client.changes(&many).unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. } | ClientError::Timeout { .. }), "{error}");
    assert!(began.elapsed() < LONG);
}

#[test]
fn an_answer_without_end_is_cut_and_a_flood_is_counted() {
    let fake = switch(|stream, frame| match frame.message {
        Message::MultipartRequest(_) => {
            let part = Message::MultipartReply(Multipart { more: true, body: Reply::Unknown(15, vec![0; 60_000]) });
            while write(stream, frame.xid, &part) {}
        }
        Message::BarrierRequest => {
            for _ in 0..5000 {
                write(stream, 0, &Message::FlowMonitorPaused);
            }
            write(stream, frame.xid, &Message::BarrierReply);
        }
        _ => {}
    });
    let patient = Options { reply_limit: 1 << 20, request_timeout: LONG, idle: LONG, ..options() };
    let client = Client::connect(fake.remote.clone(), patient).unwrap();
    let events = client.subscribe(10);
    client.barrier().unwrap();
    let mut messages = 0;
    let dropped = loop {
        match events.next(LONG) {
            Some(Event::Message(_)) => messages += 1,
            Some(Event::Dropped(count)) => break count,
            Some(_) => {}
            None => panic!("nothing was said to be dropped"),
        }
    };
    assert_eq!(messages + dropped, 5000);
    assert!(matches!(client.ask(Request::Flow(FlowFilter::default())), Err(ClientError::TooLong { .. })));
}

#[test]
fn a_closed_client_says_so_and_its_thread_ends() {
    let fake = switch(|_, _| {});
    let client =
        Client::connect(fake.remote.clone(), Options { request_timeout: LONG, idle: LONG, ..options() }).unwrap();
    let other = client.clone();
    let waiting = std::thread::spawn(move || other.barrier());
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    client.close();
    assert!(matches!(waiting.join().unwrap(), Err(ClientError::Closed)));
    assert!(matches!(client.barrier(), Err(ClientError::Closed)));
    assert!(began.elapsed() < LONG);
}
