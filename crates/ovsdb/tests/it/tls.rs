//! TLS with a real server: who is believed, and what is said when somebody is not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::{comment, insert};
use netloom_ovsdb::{Client, Config, Error, Monitor, Pem, Row, Tls};
use netloom_testkit::pki::{Authority, Identity};
use netloom_testkit::{eventually, needs};

use super::server::{DATABASE, Mode, Server, held};

/// A server that listens on a port, for TLS when it has a certificate.
struct Listening {
    server: Server,
    words: Vec<String>,
    port: u16,
}

impl Listening {
    fn tls(identity: &Identity, authority: &Path) -> Self {
        Self::start("pssl", &identity.options(authority))
    }

    fn start(kind: &str, words: &[String]) -> Self {
        let mut server = Server::start(Mode::Alone);
        server.kill();
        server.run_with(&[words, &[format!("--remote={kind}:0:127.0.0.1")]].concat());
        let port = server.port();
        // Where it listens when it is started again.
        let words = [words, &[format!("--remote={kind}:{port}:127.0.0.1")]].concat();
        Self { server, words, port }
    }

    fn config(&self, kind: &str, tls: Option<Tls>) -> Config {
        self.at(&format!("{kind}:127.0.0.1:{}", self.port), tls)
    }

    fn at(&self, remote: &str, tls: Option<Tls>) -> Config {
        let mut config = self.server.config().monitor(Monitor::Everything);
        config.remotes = vec![remote.parse().unwrap()];
        config.tls = tls;
        config
    }
}

/// Two authorities, of which one made a certificate for the client.
struct World {
    dir: tempfile::TempDir,
    ours: Authority,
    theirs: Authority,
    client: Identity,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) =
            (Authority::new(dir.path(), "ours").unwrap(), Authority::new(dir.path(), "theirs").unwrap());
        let client = ours.issue("client.example").unwrap();
        Self { dir, ours, theirs, client }
    }

    fn tls(&self) -> Tls {
        Tls::new(self.ours.file()).identity(self.client.certificate.clone(), self.client.key.clone())
    }

    fn listening(&self, name: &str) -> Listening {
        Listening::tls(&self.ours.issue(name).unwrap(), self.ours.file())
    }
}

fn named(name: &str) -> Row {
    Row::new().with("name", name)
}

/// What is said when it does not come to a connection.
fn refusal(mut config: Config) -> String {
    config.patience = Duration::from_secs(2);
    config.greeting = Duration::from_secs(1);
    let start = Instant::now();
    let error = Client::connect(config).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "a bounded wait");
    error.to_string()
}

#[test]
fn a_database_is_read_and_changed_over_tls_by_many_at_once_and_after_a_crash() {
    needs!(ovsdb_server, ovsdb_tool);
    let world = World::new();
    let mut listening = world.listening("127.0.0.1");
    let client = Client::connect(listening.config("ssl", Some(world.tls()))).unwrap();
    // Larger than a record of TLS (16 KiB), and than the buffers of the sockets.
    let long = "x".repeat(3 << 20);
    client.commit(vec![insert("Root", named(&long))]).unwrap();
    thread::scope(|scope| {
        for caller in 0..20 {
            let client = &client;
            scope.spawn(move || {
                for step in 0..10 {
                    client.commit(vec![insert("Root", named(&format!("{caller}.{step}")))]).unwrap();
                }
            });
        }
    });
    assert_eq!(client.snapshot().len("Root"), 201);
    listening.server.kill();
    assert!(eventually(Duration::from_secs(10), || !client.status().connected));
    listening.server.run_with(&listening.words);
    client.commit(vec![insert("Root", named("after"))]).unwrap();
    assert_eq!(held(&client.snapshot()), listening.server.dump());
    assert_eq!(client.snapshot().len("Root"), 202);
}

#[test]
fn who_is_not_believed_is_told_why() {
    needs!(ovsdb_server, ovsdb_tool);
    let world = World::new();
    let listening = world.listening("127.0.0.1");
    let here = |tls: Tls| refusal(listening.config("ssl", Some(tls)));

    let wrong_authority = here(Tls::new(world.theirs.file()));
    assert!(wrong_authority.contains("does not come from the authority in"), "{wrong_authority}");
    assert!(wrong_authority.contains("theirs.pem"), "{wrong_authority}");

    let nothing_shown = here(Tls::new(world.ours.file()));
    assert!(
        nothing_shown.contains("the server refused") && nothing_shown.contains("no certificate"),
        "{nothing_shown}"
    );

    let stranger = world.theirs.issue("client.example").unwrap();
    let stranger = here(Tls::new(world.ours.file()).identity(stranger.certificate, stranger.key));
    assert!(stranger.contains("the server refused"), "{stranger}");

    let expired = Listening::tls(&world.ours.issue_expired("127.0.0.1").unwrap(), world.ours.file());
    let expired = refusal(expired.config("ssl", Some(world.tls())));
    assert!(expired.contains("the server's certificate has expired"), "{expired}");
}

#[test]
fn the_name_in_a_certificate_counts_as_was_said() {
    needs!(ovsdb_server, ovsdb_tool);
    let world = World::new();
    let listening = world.listening("switch.example");
    let here = |tls: Tls| listening.config("ssl", Some(tls));
    let error = refusal(here(world.tls()));
    assert!(error.contains("is for DnsName(\"switch.example\"), not for 127.0.0.1"), "{error}");
    Client::connect(here(world.tls().name("switch.example"))).unwrap();
    Client::connect(here(world.tls().any_name())).unwrap();
    // Any name is not any authority.
    let error = refusal(here(Tls::new(world.theirs.file()).any_name()));
    assert!(error.contains("does not come from the authority"), "{error}");
    let expired = Listening::tls(&world.ours.issue_expired("switch.example").unwrap(), world.ours.file());
    let error = refusal(expired.config("ssl", Some(world.tls().any_name())));
    assert!(error.contains("has expired"), "{error}");
    // A name is looked up.
    let listening = world.listening("localhost");
    Client::connect(listening.at(&format!("ssl:localhost:{}", listening.port), Some(world.tls()))).unwrap();
}

#[test]
fn two_who_do_not_both_speak_tls_are_told_so() {
    needs!(ovsdb_server, ovsdb_tool);
    let world = World::new();
    let plain = Listening::start("ptcp", &[]);
    let error = refusal(plain.config("ssl", Some(world.tls())));
    assert!(error.contains("perhaps it is tcp:, not ssl:"), "{error}");
    let tls = world.listening("127.0.0.1");
    let error = refusal(tls.config("tcp", None));
    assert!(error.contains("without a word; perhaps it is ssl:, not tcp:"), "{error}");
    // Other servers say in the words of TLS that they expected it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = format!("tcp:{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A fatal alert: an unexpected message.
            drop(stream.write_all(&[0x15, 3, 3, 0, 2, 2, 10]));
        }
    });
    let error = refusal(Config::new(remote.parse().unwrap(), DATABASE));
    assert!(error.contains("the server speaks TLS; connect to it with ssl:"), "{error}");
}

#[test]
fn one_that_accepts_and_never_shakes_hands() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = format!("ssl:{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        }
    });
    let config = Config::new(remote.parse().unwrap(), DATABASE).tls(world.tls());
    let error = refusal(config);
    assert!(error.contains("did not finish the handshake in time"), "{error}");
}

#[test]
fn files_that_do_not_do_are_named() {
    let world = World::new();
    let config = |tls: Option<Tls>| {
        let mut config = Config::new("ssl:127.0.0.1:1".parse().unwrap(), DATABASE);
        config.tls = tls;
        config
    };
    let error = refusal(config(None));
    assert!(error.contains("TLS needs the certificate of an authority"), "{error}");
    let missing = world.dir.path().join("missing.pem");
    let error = refusal(config(Some(Tls::new(missing))));
    assert!(error.contains("missing.pem: No such file"), "{error}");
    let error = refusal(config(Some(Tls::new(world.client.key.clone()))));
    assert!(error.contains("holds no certificate"), "{error}");
    let error = refusal(config(Some(world.tls().identity(world.client.certificate.clone(), world.ours.file()))));
    assert!(error.contains("ours.pem: holds no private key"), "{error}");
    let other = world.ours.issue("other.example").unwrap();
    let error = refusal(config(Some(world.tls().identity(world.client.certificate.clone(), other.key))));
    assert!(error.contains("other.example-2100-key.pem"), "{error}");
    let text = Tls::new(Pem::Text(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".as_slice().into()));
    assert!(refusal(config(Some(text))).contains("the PEM text given"));
}

#[test]
fn certificates_of_ovs_pki_are_for_no_host_and_do_with_any_name() {
    needs!(ovsdb_server, ovsdb_tool, ovs_pki, openssl);
    let dir = tempfile::tempdir().unwrap();
    let pki = |words: &[&str]| {
        let mut command = Command::new("ovs-pki");
        command.current_dir(dir.path()).args(["-d", "pki", "-l", "log"]).args(words);
        let out = command.stdin(Stdio::null()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    pki(&["init"]);
    pki(&["req+sign", "server", "switch"]);
    pki(&["req+sign", "client", "controller"]);
    let file = |name: &str| dir.path().join(name);
    let identity = |name: &str| Identity {
        certificate: file(&format!("{name}-cert.pem")),
        key: file(&format!("{name}-privkey.pem")),
    };
    let listening = Listening::tls(&identity("server"), &file("pki/controllerca/cacert.pem"));
    let client = identity("client");
    let tls = Tls::new(file("pki/switchca/cacert.pem")).identity(client.certificate, client.key);
    let error = refusal(listening.config("ssl", Some(tls.clone())));
    assert!(error.contains("certificate"), "{error}");
    let client = Client::connect(listening.config("ssl", Some(tls.any_name()))).unwrap();
    client.commit(vec![comment("hello")]).unwrap();
}
