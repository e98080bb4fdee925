//! `netloom exec`, `exec -t` and `console`: the program's own terminal, signals, exit codes.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::PidFd;
use netloom_kernel::signal::number;
use netloom_kernel::tty::{self, Size};
use netloom_testkit::needs;

use crate::run::Place;

const ONE: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: one}\nspec:\n  nodes: {a: {}, z: {}}\n  links: [[\"a:eth1\", \"z:eth1\"]]\n";

/// A running lab, taken down at the end.
struct Up(Place);

impl Up {
    fn new() -> Up {
        let place = Place::new();
        fs::write(place.path("lab.yaml"), ONE).unwrap();
        let out = place.netloom(&["up"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Up(place)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.netloom(&["down", "--name", "one"]);
    }
}

/// A user's terminal, with `netloom` on it in a session of its own.
struct User {
    control: File,
    terminal: OwnedFd,
    child: Child,
    seen: String,
}

impl User {
    fn runs(place: &Place, size: Size, args: &[&str]) -> User {
        let pair = tty::open_pair(Some(size)).unwrap();
        let stdio = || Stdio::from(pair.terminal.try_clone().unwrap());
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(env!("CARGO_BIN_EXE_netloom"))
            .args(args)
            .current_dir(place.directory.path())
            .env("NETLOOM_RUN_DIR", place.run_dir())
            .env("TERM", "vt220")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        User { control: pair.control.into(), terminal: pair.terminal, child, seen: String::new() }
    }

    /// Reads the screen until `word` is on it.
    fn sees(&mut self, word: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.seen.contains(word) {
            let left = until.saturating_duration_since(Instant::now());
            let ready = poll(&[(self.control.as_fd(), Interest::READ)], Some(left)).unwrap();
            assert!(ready[0].any(), "no {word:?} in {:?}", self.seen);
            let mut buffer = [0; 1000];
            let len = tty::read_control(&self.control, &mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..len]));
        }
    }

    fn types(&mut self, keys: &str) {
        self.control.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything about the terminal's mode.
    fn mode(&self) -> String {
        let out = Command::new("stty").arg("-g").stdin(self.terminal.try_clone().unwrap()).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    fn code(&mut self) -> i32 {
        let program = PidFd::open(i32::try_from(self.child.id()).unwrap()).unwrap();
        assert!(program.wait_ended(Some(Duration::from_secs(20))).unwrap(), "it never ended: {:?}", self.seen);
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn a_terminal_of_its_own_that_follows_the_users() {
    needs!(root);
    let up = Up::new();
    let script = "trap 'echo now $(stty size)' WINCH; trap 'echo interrupted' INT; \
                  echo at $(tty) $TERM $(hostname) $(stty size); \
                  while :; do word=; read -t 0.2 word; case \"$word\" in end) exit 5;; ?*) echo \"<$word>\";; esac; done";
    let mut user = User::runs(&up.0, Size { rows: 33, columns: 77 }, &["exec", "-t", "a", "--", "bash", "-c", script]);
    let before = user.mode();
    user.sees("vt220 a 33 77\r\n");
    let own = user.seen.split(' ').nth(1).unwrap().to_string();
    let users = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&user.terminal))).unwrap();
    assert!(own.starts_with("/dev/pts/") && own != users.to_str().unwrap(), "{own}");
    // The keys go through one by one, so the user's own terminal must not act on them.
    assert_ne!(user.mode(), before);
    user.types("hello\r");
    user.sees("<hello>\r\n");
    user.types("\x03");
    user.sees("interrupted\r\n");
    tty::set_size(&user.control, Size { rows: 10, columns: 100 }).unwrap();
    user.sees("now 10 100\r\n");
    user.types("end\r");
    assert_eq!(user.code(), 5, "{}", user.seen);
    assert_eq!(user.mode(), before, "not restored");
}

#[test]
fn a_signal_restores_the_terminal_and_hangs_up() {
    needs!(root);
    let up = Up::new();
    for (signal, code) in [(number::TERM, 143), (number::HUP, 129)] {
        let mut user = User::runs(
            &up.0,
            Size { rows: 24, columns: 80 },
            &["exec", "-t", "a", "--", "bash", "-c", "echo pid $$; exec sleep 1000"],
        );
        let before = user.mode();
        user.sees("pid ");
        PidFd::open(i32::try_from(user.child.id()).unwrap()).unwrap().signal(signal).unwrap();
        assert_eq!(user.code(), code, "{}", user.seen);
        assert_eq!(user.mode(), before, "not restored");
        let sleeps = || !up.0.netloom(&["exec", "a", "--", "pgrep", "-x", "sleep"]).stdout.is_empty();
        assert!(netloom_testkit::oracle::eventually(Duration::from_secs(5), || !sleeps()), "the program runs on");
    }
}

#[test]
fn a_lot_of_output_arrives_whole() {
    needs!(root);
    let up = Up::new();
    let mut user =
        User::runs(&up.0, Size { rows: 24, columns: 80 }, &["exec", "-t", "a", "--", "seq", "-s,", "100000"]);
    user.sees("99999,100000\r\n");
    assert_eq!(user.code(), 0);
    assert_eq!(user.seen.matches(',').count(), 99_999);
}

#[test]
fn a_console_is_a_shell_on_a_terminal() {
    needs!(root);
    let up = Up::new();
    let mut user = User::runs(&up.0, Size { rows: 24, columns: 80 }, &["console", "a"]);
    user.types("test -t 0 && echo $((6*7)) at $(hostname); exit 9\r");
    user.sees("42 at a\r\n");
    assert_eq!(user.code(), 9, "{}", user.seen);
}

#[test]
fn codes_are_the_programs_or_say_why_there_is_none() {
    needs!(root);
    let up = Up::new();
    for (args, code) in [
        (&["exec", "a", "--", "sh", "-c", "exit 3"][..], 3),
        (&["exec", "a", "--", "sh", "-c", "kill -9 $$"], 137),
        (&["exec", "a", "--", "no-such-program"], 127),
        (&["exec", "a", "--", "/no/such/program"], 127),
        (&["exec", "a", "--", "/etc/passwd"], 126),
        (&["exec", "a", "--", "/usr"], 126),
        (&["exec", "-w", "/usr/share", "a", "--", "sh", "-c", "test $PWD = /usr/share"], 0),
        // What is missing here is not the program.
        (&["exec", "-w", "/no/such/directory", "a", "--", "true"], 4),
        (&["exec", "-t", "a", "--", "true"], 2),
    ] {
        let out = up.0.netloom(args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert_eq!(code > 100 && code < 130 || [2, 4].contains(&code), said.starts_with("error: "), "{args:?}: {said}");
    }
}

#[test]
fn a_signal_is_passed_on_to_a_program_without_a_terminal() {
    needs!(root);
    let up = Up::new();
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = up.0.command(&["exec", "a", "--", "bash", "-c", script]).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    PidFd::open(i32::try_from(child.id()).unwrap()).unwrap().signal(number::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
