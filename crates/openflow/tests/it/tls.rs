//! TLS with a real switch.

use std::fs;
use std::time::{Duration, Instant};

use netloom_openflow::client::{ClientError, Options, Tls};
use netloom_openflow::flow::FlowFilter;
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::{Client, FlowMod, Message};
use netloom_testkit::pki::Authority;
use netloom_testkit::{Datapath, Ovs, eventually, needs};

/// Has the bridge listen for controllers on a port of its own choice, and returns it.
fn listen(ovs: &Ovs, kind: &str) -> u16 {
    let log = || fs::read_to_string(ovs.dir().join("vswitchd.log")).unwrap();
    ovs.appctl(&["vlog/set", "console:info"]).unwrap();
    let before = log().len();
    ovs.vsctl(&["set-controller", "br0", &format!("{kind}:0:127.0.0.1")]).unwrap();
    let mut port = None;
    assert!(eventually(Duration::from_secs(20), || {
        let log = log();
        let said = log[before..].split("listening on port ").nth(1);
        port = said.and_then(|rest| rest.lines().next()?.trim().parse().ok());
        port.is_some()
    }));
    ovs.appctl(&["vlog/set", "console:warn"]).unwrap();
    port.unwrap()
}

fn refusal(remote: &str, tls: Option<Tls>) -> String {
    let options = Options { tls, connect_timeout: Duration::from_secs(1), ..Options::default() };
    let start = Instant::now();
    let error = Client::connect(remote.parse().unwrap(), options).unwrap_err();
    assert!(matches!(error, ClientError::NotConnected { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "a bounded wait");
    error.to_string()
}

#[test]
fn a_switch_is_changed_and_asked_over_tls() {
    needs!(ovs_vswitchd, ovsdb_server);
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ours").unwrap(), Authority::new(dir.path(), "theirs").unwrap());
    let (server, client) = (ours.issue("127.0.0.1").unwrap(), ours.issue("client.example").unwrap());
    let mut ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let word = |path: &std::path::Path| path.display().to_string();
    ovs.vsctl(&["set-ssl", &word(&server.key), &word(&server.certificate), &word(ours.file())]).unwrap();
    let port = listen(&ovs, "pssl");
    let remote = format!("ssl:127.0.0.1:{port}");
    let tls = Tls::new(ours.file()).identity(client.certificate.clone(), client.key.clone());

    let options = Options { tls: Some(tls.clone()), ..Options::default() };
    let client = Client::connect(remote.parse().unwrap(), options).unwrap();
    let flow =
        |n: u64| Message::FlowMod(FlowMod { cookie: n, ..format!("reg0={n},actions=output:2").parse().unwrap() });
    let flows: Vec<Message> = (0..20_000).map(flow).collect();
    client.bundle(&flows).unwrap();
    std::thread::scope(|scope| {
        // Long answers to some while others write.
        for _ in 0..2 {
            scope.spawn(|| {
                let Reply::Flow(told) = client.ask(Request::Flow(FlowFilter::default())).unwrap() else { panic!() };
                assert_eq!(told.len(), 20_000);
            });
        }
        scope.spawn(|| assert!(client.changes(&flows).unwrap().is_empty()));
    });

    let error = refusal(&remote, Some(Tls::new(theirs.file())));
    assert!(error.contains("does not come from the authority"), "{error}");
    let error = refusal(&remote, Some(tls.clone().name("other.example")));
    assert!(error.contains("not for other.example"), "{error}");
    let error = refusal(&remote, Some(Tls::new(ours.file())));
    assert!(error.contains("the server refused") && error.contains("no certificate"), "{error}");
    let error = refusal(&remote, None);
    assert!(error.contains("TLS needs the certificate of an authority"), "{error}");
    let error = refusal(&format!("tcp:127.0.0.1:{port}"), None);
    assert!(error.contains("perhaps it is ssl:, not tcp:"), "{error}");

    // The switch goes, and comes back on a port that is known already.
    ovs.vsctl(&["del-controller", "br0"]).unwrap();
    ovs.vsctl(&["set-controller", "br0", &format!("pssl:{port}:127.0.0.1")]).unwrap();
    client.session(Duration::from_secs(20)).unwrap();
    client.barrier().unwrap();
    ovs.kill_vswitchd();
    assert!(eventually(Duration::from_secs(10), || client.barrier().is_err()));
    ovs.start_vswitchd().unwrap();
    let number = client.session(Duration::from_secs(20)).unwrap().number;
    assert!(number > 1);
    client.barrier().unwrap();

    let plain = listen(&ovs, "ptcp");
    let error = refusal(&format!("ssl:127.0.0.1:{plain}"), Some(tls));
    assert!(error.contains("perhaps it is tcp:, not ssl:"), "{error}");
}
