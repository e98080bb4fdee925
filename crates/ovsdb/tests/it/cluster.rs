//! A cluster of three real servers: which of them is chosen, and what is left when one goes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::{Message, insert};
use netloom_ovsdb::{Backoff, Client, Config, Error, Monitor, Remote, Row};
use netloom_testkit::{eventually, needs};
use serde_json::json;
use tempfile::TempDir;

use super::bad_servers::{Fake, greet, reply, requests, say, uuid};
use super::server::{DATABASE, SCHEMA};

const LONG: Duration = Duration::from_secs(30);

struct Cluster {
    dir: TempDir,
    servers: BTreeMap<usize, Child>,
    // Its pipe closes with this process, however it ends.
    keeper: Child,
}

impl Cluster {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("ovsdb-").tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join("schema"), SCHEMA).unwrap();
        let script = r#"read _; for f in "$1"/*.pid; do [ -f "$f" ] && kill -9 "$(cat "$f")"; done; rm -rf "$1""#;
        let keeper =
            Command::new("sh").args(["-c", script, "sh"]).arg(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
        let mut cluster = Self { dir, servers: BTreeMap::new(), keeper };
        for number in 0..3 {
            let address = |number: usize| format!("unix:{}", cluster.path(number, "raft").display());
            let mut tool = Command::new("ovsdb-tool");
            if number == 0 {
                tool.arg("create-cluster").args([cluster.path(0, "db"), cluster.dir.path().join("schema")]);
                tool.arg(address(0));
            } else {
                tool.arg("join-cluster")
                    .arg(cluster.path(number, "db"))
                    .arg(DATABASE)
                    .args([address(number), address(0)]);
            }
            assert!(tool.stderr(Stdio::null()).status().unwrap().success(), "{tool:?}");
            cluster.run(number);
        }
        let joined = |number| cluster.status(number).is_some_and(|status| status.contains("Status: cluster member"));
        assert!(eventually(LONG, || (0..3).all(joined) && cluster.leader().is_some()), "the cluster does not form");
        cluster
    }

    fn path(&self, number: usize, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{number}.{kind}"))
    }

    fn run(&mut self, number: usize) {
        let child = Command::new("ovsdb-server")
            .arg(format!("--remote=punix:{}", self.path(number, "sock").display()))
            .arg(format!("--pidfile={}", self.path(number, "pid").display()))
            .arg(format!("--unixctl={}", self.path(number, "ctl").display()))
            .args(["-vconsole:off", "-vsyslog:off", "-vfile:off"])
            .arg(self.path(number, "db"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.servers.insert(number, child);
        let socket = self.path(number, "sock");
        assert!(eventually(LONG, || UnixStream::connect(&socket).is_ok()), "no server");
    }

    fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.servers.remove(&number) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        drop(fs::remove_file(self.path(number, "pid")));
    }

    fn status(&self, number: usize) -> Option<String> {
        self.servers.get(&number)?;
        let out = Command::new("ovs-appctl")
            .arg("-t")
            .arg(self.path(number, "ctl"))
            .args(["cluster/status", DATABASE])
            .output()
            .unwrap();
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn leader(&self) -> Option<usize> {
        (0..3).find(|number| self.status(*number).is_some_and(|status| status.contains("Role: leader")))
    }

    fn remote(&self, number: usize) -> Remote {
        Remote::Unix(self.path(number, "sock"))
    }

    fn config(&self, numbers: &[usize]) -> Config {
        let mut config = Config::new(self.remote(numbers[0]), DATABASE).monitor(Monitor::Everything);
        config.remotes = numbers.iter().map(|number| self.remote(*number)).collect();
        config.backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
        config
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for number in 0..3 {
            self.kill(number);
        }
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

fn named(name: &str) -> Row {
    Row::new().with("name", name)
}

#[test]
fn the_leader_is_found_followed_and_replaced() {
    needs!(ovsdb_server, ovsdb_tool);
    let mut cluster = Cluster::start();
    let client = Client::connect(cluster.config(&[0, 1, 2]).leader_only()).unwrap();
    let mut known = 0;
    for round in 0..3 {
        let leader = cluster.leader().unwrap();
        assert!(eventually(LONG, || client.remote() == cluster.remote(leader).to_string()), "{:?}", client.status());
        for step in 0..20 {
            client.commit(vec![insert("Root", named(&format!("{round}.{step}")))]).unwrap();
        }
        known += 20;
        assert_eq!(client.snapshot().len("Root"), known);
        let before = client.counters().connections;
        cluster.kill(leader);
        // The next transaction waits for the next leader.
        let start = Instant::now();
        let committed = loop {
            match client.commit(vec![insert("Root", named(&format!("{round}.next")))]) {
                // It was sent to the one that was killed.
                Err(Error::Lost { .. }) => {}
                other => break other,
            }
        };
        committed.unwrap();
        println!("without a leader for {:?}", start.elapsed());
        known += 1;
        assert!(client.counters().connections > before);
        assert_eq!(client.snapshot().len("Root"), known);
        cluster.run(leader);
        assert!(eventually(LONG, || cluster.status(leader).is_some_and(|s| s.contains("Status: cluster member"))));
        assert!(eventually(LONG, || cluster.leader().is_some()));
    }
    assert_eq!(
        client.counters().loaded,
        1,
        "another member continues where the one before was: {:?}",
        client.counters()
    );
}

#[test]
fn a_follower_alone_is_refused_where_the_leader_is_asked_for_and_does_otherwise() {
    needs!(ovsdb_server, ovsdb_tool);
    let cluster = Cluster::start();
    let leader = cluster.leader().unwrap();
    let followers: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
    let mut config = cluster.config(&followers).leader_only();
    config.patience = Duration::from_secs(1);
    let error = Client::connect(config).unwrap_err().to_string();
    assert!(error.contains("is not the leader of its cluster"), "{error}");
    let client = Client::connect(cluster.config(&followers)).unwrap();
    client.commit(vec![insert("Root", named("through a follower"))]).unwrap();
    assert_eq!(client.snapshot().len("Root"), 1);
    assert_eq!(client.remote(), cluster.remote(followers[0]).to_string());
}

#[test]
fn a_member_that_lost_the_others_is_left() {
    needs!(ovsdb_server, ovsdb_tool);
    let mut cluster = Cluster::start();
    let leader = cluster.leader().unwrap();
    let followers: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
    let client = Client::connect(cluster.config(&[followers[0], followers[1]])).unwrap();
    cluster.kill(leader);
    cluster.kill(followers[1]);
    let lonely = || client.status().why.is_some_and(|why| !client.status().connected && !why.to_string().is_empty());
    assert!(eventually(LONG, lonely), "{:?}", client.status());
    let mut seen = String::new();
    assert!(
        eventually(LONG, || {
            seen = client.status().why.map(|why| why.to_string()).unwrap_or_default();
            seen.contains("not connected to the rest of its cluster")
        }),
        "{seen}"
    );
    cluster.run(followers[1]);
    client.commit(vec![insert("Root", named("two of three are enough"))]).unwrap();
}

#[test]
fn a_database_that_is_missing_is_named_with_those_that_are_there() {
    needs!(ovsdb_server, ovsdb_tool);
    let cluster = Cluster::start();
    let mut config = cluster.config(&[0, 1, 2]);
    config.database = "Other".to_owned();
    let error = Client::connect(config).unwrap_err();
    assert!(matches!(error, Error::Schema { .. }), "{error}");
    assert!(error.to_string().contains("no such database; it has Test, _Server"), "{error}");
}

/// A member of a cluster whose log is at `index`.
fn member(index: i64) -> Fake {
    Fake::new(move |stream| {
        requests(&stream, |method, params, id| match (method, params[0].as_str()) {
            ("monitor_cond", Some("_Server")) => {
                let row = json!({
                    "name": "Test", "model": "clustered", "connected": true, "leader": true,
                    "cid": ["uuid", uuid(7)], "index": index
                });
                reply(&stream, id, &json!({"Database": {uuid(1): {"initial": row}}}));
            }
            ("get_schema", _) => {
                reply(&stream, id, &json!({"name": "Test", "version": "1.0.0", "tables": {}}));
                // It goes as soon as it was of use.
                say(&stream, Message::notification("echo", &json!([])));
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
            _ => {}
        });
    })
}

#[test]
fn one_that_is_behind_what_was_seen_is_left() {
    let (ahead, behind) = (member(10), member(9));
    let mut config = ahead.config();
    config.remotes.push(Remote::Unix(behind.socket()));
    let client = Client::start(config).unwrap();
    let mut seen = String::new();
    assert!(
        eventually(LONG, || {
            seen = client.status().why.map(|why| why.to_string()).unwrap_or_default();
            seen.contains("is behind: at entry 9 of the cluster's log, and 10 was seen already")
        }),
        "{seen}"
    );
    let (tried, good) = (behind.connections(), ahead.connections());
    assert!(
        eventually(LONG, || ahead.connections() > good + 2 && behind.connections() > tried),
        "both are tried again"
    );
}

#[test]
fn a_server_from_before_there_were_clusters_does() {
    let fake = Fake::new(|stream| {
        greet(&stream, |_, _, id| {
            say(&stream, json!({"id": id, "result": null, "error": "unknown method"}).to_string());
        });
    });
    let mut config = fake.config().monitor(Monitor::Everything).leader_only();
    config.patience = LONG;
    let client = Client::connect(config).unwrap();
    assert!(client.snapshot().find("T", "name", "a").is_some());
}
