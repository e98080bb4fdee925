//! `netloom exporter` beside a real switch.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use netloom_kernel::process::PidFd;
use netloom_kernel::signal::number;
use netloom_testkit::{Datapath, Ovs, needs};

use crate::run::Place;

#[test]
fn it_serves_until_it_is_told_to_end() {
    needs!(ovs_vswitchd);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs.ofctl(&["add-flow", "br0", "actions=drop"]).unwrap();
    let (db, control) = (format!("unix:{}", ovs.database_socket().display()), ovs.dir().join("vswitchd.ctl"));
    let args = ["exporter", "--listen", "127.0.0.1:0", "--db", &db, "--control", control.to_str().unwrap()];
    let mut child = Place::new().command(&args).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.trim().strip_prefix("metrics at http://").unwrap().strip_suffix("/metrics").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    for line in ["netloom_ovs_up 1\n", "netloom_ovs_bridge_flows{bridge=\"br0\"} 1\n", "netloom_ovs_control_up 1\n"] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    PidFd::open(i32::try_from(child.id()).unwrap()).unwrap().signal(number::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_it_cannot_use_is_said_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for (args, code, says) in [
        (&["exporter", "--db", "/run/db.sock"][..], 2, "write unix:"),
        (&["exporter", "--listen", "here"], 2, "--listen"),
        (&["exporter", "--owners", "missing"], 3, "cannot read missing"),
        (&["exporter", "--listen", &port], 3, "cannot listen on"),
    ] {
        let out = Place::new().netloom(args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
