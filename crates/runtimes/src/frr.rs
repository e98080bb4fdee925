//! FRR's daemons, asked over their own sockets: what vtysh does, without a process for each question (48 ms).
//!
//! A daemon listens on `<run directory>/<daemon>.vty`, a unix stream socket. A command goes out as its text and a NUL; the answer is text that
//! ends in three NULs and one status byte (FRR's `lib/vty.c`, `vtysh_read` and `vtysh_write`; 8.4 and 10.x alike).

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Where daemons of a node keep their sockets, seen from inside it.
pub const RUN_DIR: &str = "/run/frr";

/// An answer larger than this is refused: 300,000 routes as JSON are about 100 MB.
const LARGEST_ANSWER: usize = 256 << 20;

/// What a daemon says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// FRR's `CMD_*` code (`lib/command.h`): 0 success, 1 warning, 2 no such command, 3 ambiguous, 4 incomplete, 13 warning of a
    /// configuration that failed.
    pub status: u8,
}

/// A connection to one daemon, in its privileged mode.
#[derive(Debug)]
pub struct Vty {
    daemon: String,
    stream: UnixStream,
    patience: Duration,
}

impl Vty {
    /// Where the socket of a node's daemon is, seen from outside: through the root directory of a process inside the node.
    pub fn path(pid: i32, daemon: &str) -> PathBuf {
        Path::new("/proc").join(pid.to_string()).join("root").join(&RUN_DIR[1..]).join(format!("{daemon}.vty"))
    }

    /// Connects to `socket` and enters privileged mode. `patience` bounds every later wait too.
    ///
    /// # Errors
    /// [`Error::Frr`] when nobody listens, or the daemon does not answer in time.
    pub fn connect(daemon: &str, socket: &Path, patience: Duration) -> Result<Vty> {
        let fail = |reason: String| Error::Frr { daemon: daemon.to_string(), reason };
        let stream = UnixStream::connect(socket).map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                fail(format!("it has no socket at {} (not started, or still starting)", socket.display()))
            }
            ErrorKind::ConnectionRefused => fail(format!("nobody listens at {} (it has ended)", socket.display())),
            _ => fail(format!("cannot connect to {}: {e}", socket.display())),
        })?;
        let mut vty = Vty { daemon: daemon.to_string(), stream, patience };
        vty.run("enable")?;
        Ok(vty)
    }

    /// Runs one command and takes its answer as it is.
    ///
    /// # Errors
    /// [`Error::Frr`] when the connection breaks, nothing comes in time, or the answer is too large.
    pub fn ask(&mut self, command: &str) -> Result<Answer> {
        let mut line = command.as_bytes().to_vec();
        line.push(0);
        let until = Instant::now() + self.patience;
        self.stream
            .set_write_timeout(Some(self.patience))
            .and_then(|()| self.stream.write_all(&line))
            .map_err(|e| self.broken(command, &e))?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(&mut chunk));
            match read {
                Ok(0) => return Err(self.fail(format!("it closed the connection during {command:?}"))),
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.broken(command, &e)),
            }
            if let Some(answer) = complete(&bytes) {
                return Ok(answer);
            }
            if bytes.len() > LARGEST_ANSWER {
                return Err(self.fail(format!("its answer to {command:?} is larger than {LARGEST_ANSWER} bytes")));
            }
        }
    }

    /// Runs one command that must succeed.
    ///
    /// # Errors
    /// As [`Vty::ask`], or what the daemon said when it refused the command.
    pub fn run(&mut self, command: &str) -> Result<String> {
        let answer = self.ask(command)?;
        match answer.status {
            0 => Ok(answer.text),
            status => {
                let said = match (answer.text.trim(), status) {
                    ("", 2) => "unknown command",
                    ("", 3) => "ambiguous command",
                    ("", 4) => "incomplete command",
                    ("", _) => "no reason given",
                    (text, _) => text,
                };
                Err(self.fail(format!("{command:?} fails with status {status}: {said}")))
            }
        }
    }

    fn fail(&self, reason: String) -> Error {
        Error::Frr { daemon: self.daemon.clone(), reason }
    }

    fn broken(&self, command: &str, error: &std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                self.fail(format!("no answer to {command:?} within {:?}", self.patience))
            }
            _ => self.fail(format!("{command:?}: {error}")),
        }
    }
}

/// The answer in `bytes`, once it is whole. Text holds no NUL, so the first three in a row end it.
pub(crate) fn complete(bytes: &[u8]) -> Option<Answer> {
    let (text, end) = bytes.split_at(bytes.len().checked_sub(4)?);
    match end {
        [0, 0, 0, status] => Some(Answer { text: String::from_utf8_lossy(text).into_owned(), status: *status }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[test]
    fn an_answer_ends_in_three_nuls_and_a_status() {
        assert_eq!(complete(b"\0\0\0\x02"), Some(Answer { text: String::new(), status: 2 }));
        assert_eq!(complete(b"text\n\0\0\0\0"), Some(Answer { text: "text\n".into(), status: 0 }));
        for part in [&b""[..], b"\0\0\0", b"text\n", b"text\n\0\0\0"] {
            assert_eq!(complete(part), None, "{part:?}");
        }
    }

    #[test]
    fn a_silent_daemon_is_given_up_and_an_absent_one_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("silent.vty");
        let gone = Vty::connect("bgpd", &path, Duration::from_millis(50)).unwrap_err().to_string();
        assert!(gone.contains("bgpd") && gone.contains("not started"), "{gone}");
        let _listener = UnixListener::bind(&path).unwrap();
        let silent = Vty::connect("bgpd", &path, Duration::from_millis(50)).unwrap_err().to_string();
        assert!(silent.contains("no answer to \"enable\""), "{silent}");
    }

    struct Daemon(Child);
    impl Drop for Daemon {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The real staticd, which needs nothing but a directory to run in (it waits for zebra meanwhile).
    #[test]
    fn a_real_daemon_answers_and_refuses() {
        let program = Path::new("/usr/lib/frr/staticd");
        if !program.exists() {
            println!("skipped: FRR is not installed here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let owned = Command::new("chown").args(["frr:frr", &file("")]).status().unwrap();
        assert!(owned.success(), "the user frr of Debian's package is there");
        std::fs::write(dir.path().join("staticd.conf"), "hostname teststatic\n").unwrap();
        let child = Command::new(program)
            .args([
                "-u",
                "frr",
                "-g",
                "frr",
                "-A",
                "127.0.0.1",
                "-P",
                "0",
                "-f",
                &file("staticd.conf"),
                "-i",
                &file("pid"),
                "-z",
                &file("zserv.api"),
                "--vty_socket",
                &file(""),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _daemon = Daemon(child);
        let socket = dir.path().join("staticd.vty");
        let until = Instant::now() + Duration::from_secs(10);
        let mut vty = loop {
            match Vty::connect("staticd", &socket, Duration::from_secs(5)) {
                Ok(vty) => break vty,
                Err(e) => assert!(Instant::now() < until, "{e}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(vty.run("show running-config").unwrap().contains("hostname teststatic"));
        let refused = vty.run("show nonsense").unwrap_err().to_string();
        assert!(refused.contains("staticd") && refused.contains("nonsense"), "{refused}");
        assert!(vty.run("show version").unwrap().contains("FRR"), "it goes on after a refusal");
    }
}
