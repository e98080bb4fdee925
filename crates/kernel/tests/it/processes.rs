use std::ffi::{CString, OsStr};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use netloom_kernel::process::{self, Exit, Namespaces, PidFd, Program};
use netloom_kernel::signal::{self, SignalFd};
use netloom_kernel::{Result, mount, unix};

/// Runs `work` in a forked child; what it returns (or an error's text) comes back through a pipe.
fn in_child(work: impl FnOnce() -> Result<String>) -> String {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let pid = process::fork_among_threads(|| {
        let text = work().unwrap_or_else(|error| format!("error: {error}"));
        i32::from(writer.write_all(text.as_bytes()).is_err())
    })
    .unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(process::wait_child(pid, true).unwrap(), Some(Exit::Code(0)));
    text
}

#[test]
fn fork_refuses_among_threads() {
    // The test harness has several threads.
    let error = process::fork_child(|| 0).unwrap_err();
    assert!(error.to_string().contains("threads"), "{error}");
}

#[test]
fn a_cloned_child_is_process_one_of_its_own_world() {
    let text = in_child(|| {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let kinds = Namespaces::PID | Namespaces::MOUNT | Namespaces::UTS | Namespaces::NET;
        let parent = PidFd::current()?;
        let child = process::clone_child(kinds, || {
            let work = || -> Result<String> {
                process::die_with_parent_here(&parent)?;
                mount::make_private(Path::new("/"))?;
                mount::proc(Path::new("/proc"))?;
                process::set_hostname_here("leaf1")?;
                process::set_name_here("netloom-test");
                let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
                let comm = std::fs::read_to_string("/proc/1/comm").unwrap();
                let links = std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
                Ok(format!("{} {} {} {links}", std::process::id(), name.trim(), comm.trim()))
            };
            let text = work().unwrap_or_else(|error| error.to_string());
            writer.write_all(text.as_bytes()).unwrap();
            7
        })?;
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(child.pidfd.wait_ended(Some(Duration::from_secs(10)))?);
        Ok(format!("{text}; {:?}", process::wait_child(child.pid, true)?))
    });
    assert_eq!(text, "1 leaf1 netloom-test 3; Some(Code(7))");
}

#[test]
fn the_child_dies_with_its_parent() {
    // The middle process ends at once; its child, tied to it, must go as well.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let middle = process::fork_among_threads(|| {
        let own = PidFd::current().unwrap();
        process::fork_child(|| {
            let _open = &writer;
            process::die_with_parent_here(&own).unwrap();
            std::thread::sleep(Duration::from_secs(60));
            0
        })
        .unwrap();
        0
    })
    .unwrap();
    drop(writer);
    let start = std::time::Instant::now();
    let mut text = Vec::new();
    reader.read_to_end(&mut text).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
    process::wait_child(middle, true).unwrap();
}

#[test]
fn exec_finds_programs_and_says_when_not() {
    let strings = |texts: &[&str]| texts.iter().map(|text| CString::new(*text).unwrap()).collect::<Vec<_>>();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let pid = process::fork_among_threads(|| {
        process::default_signals_here();
        process::dup_onto_here(&writer, 1).unwrap();
        process::close_from_here(3, &[]).unwrap();
        let program = Program {
            file: OsStr::new("sh"),
            arguments: &strings(&["sh", "-c", "echo $GREETING $PWD; ls /proc/self/fd | wc -l; kill -TERM $$"]),
            environment: &strings(&["GREETING=hello", "PATH=/nonesuch:/usr/bin:/bin"]),
            directory: Some(Path::new("/tmp")),
        };
        process::exec_here(&program).map_or(1, |_| 0)
    })
    .unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    // ls itself opens the directory: 0, 1, 2 and that.
    assert_eq!(text, "hello /tmp\n4\n");
    assert_eq!(process::wait_child(pid, true).unwrap(), Some(Exit::Signal(15)));
    let text = in_child(|| {
        let program = Program {
            file: OsStr::new("no-such-program"),
            arguments: &strings(&["x"]),
            environment: &[],
            directory: None,
        };
        process::exec_here(&program).map(|_| String::new())
    });
    assert!(text.starts_with("error: run no-such-program: No such file"), "{text}");
}

#[test]
fn kept_descriptors_survive_the_closing() {
    let text = in_child(|| {
        let mut files = Vec::new();
        for _ in 0..6 {
            files.push(std::fs::File::open("/dev/null").unwrap());
        }
        use std::os::fd::AsRawFd;
        let keep = [files[1].as_raw_fd(), files[4].as_raw_fd()];
        // The result pipe lives below the files.
        process::close_from_here(files[0].as_raw_fd(), &keep)?;
        let open = |file: &std::fs::File| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).is_ok();
        let text = files.iter().map(|file| if open(file) { '1' } else { '0' }).collect();
        std::mem::forget(files);
        Ok(text)
    });
    assert_eq!(text, "010010");
}

#[test]
fn signals_arrive_at_the_descriptor() {
    let text = in_child(|| {
        let signals = SignalFd::open(&[signal::number::CHLD, signal::number::TERM])?;
        assert!(signals.read()?.is_none());
        process::fork_child(|| 3)?;
        let ready = netloom_kernel::poll::poll(
            &[(signals.as_fd(), netloom_kernel::poll::Interest::READ)],
            Some(Duration::from_secs(10)),
        )?;
        assert!(ready[0].readable());
        let signal = signals.read()?.map(|received| received.signal);
        let (_, exit) = process::reap()?.unwrap();
        assert!(process::reap()?.is_none());
        Ok(format!("{signal:?} {exit}"))
    });
    assert_eq!(text, format!("Some({}) exit status 3", signal::number::CHLD));
}

#[test]
fn descriptors_travel_over_a_socket() {
    let (a, b) = unix::Packets::pair().unwrap();
    let file = std::fs::File::open("/proc/self/comm").unwrap();
    let fds = vec![file.as_fd(); unix::MAX_FDS];
    a.send(b"here", &fds).unwrap();
    a.send(b"more", &[]).unwrap();
    let first = b.receive(100).unwrap();
    assert_eq!((first.bytes.as_slice(), first.fds.len()), (&b"here"[..], unix::MAX_FDS));
    assert_eq!(b.receive(100).unwrap().bytes, b"more");
    assert!(a.send(b"x", &vec![file.as_fd(); 254]).is_err());
    a.send(b"too long", &[]).unwrap();
    assert!(b.receive(3).is_err());
    assert_eq!(b.peer().unwrap().pid, std::process::id() as i32);
    drop(a);
    assert!(b.receive(100).unwrap().is_end());

    let directory = std::env::temp_dir().join(format!("netloom-kernel-it-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = unix::Listener::bind(&path).unwrap();
    assert!(unix::Listener::bind(&path).is_err());
    let client = unix::Packets::connect(&path).unwrap();
    let server = listener.accept().unwrap();
    server.send(b"hello", &[]).unwrap();
    assert_eq!(client.receive(10).unwrap().bytes, b"hello");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn mounts_stack_and_stay_private() {
    let base = std::env::temp_dir().join(format!("netloom-kernel-mount-{}", std::process::id()));
    std::fs::create_dir_all(&base).unwrap();
    let text = in_child(|| {
        process::unshare_here(Namespaces::MOUNT)?;
        mount::make_private(Path::new("/"))?;
        mount::tmpfs(&base, Some(1 << 20), 0o755)?;
        for name in ["low:er", "upper", "work", "all", "bound"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        std::fs::write(base.join("low:er/a"), "below").unwrap();
        let lower = base.join("low:er");
        mount::overlay(&[&lower, Path::new("/etc")], &base.join("upper"), &base.join("work"), &base.join("all"))?;
        std::fs::write(base.join("all/b"), "above").unwrap();
        mount::bind(&base.join("upper"), &base.join("bound"), false)?;
        mount::make_read_only(&base.join("bound"))?;
        let read = |name: &str| std::fs::read_to_string(base.join(name)).unwrap_or("gone".into());
        let seen = format!("{} {}", read("all/a"), read("bound/b"));
        assert!(std::fs::write(base.join("bound/c"), "").is_err());
        assert!(base.join("all/passwd").exists());
        let count = || mount::table().map(|table| table.iter().filter(|m| m.target.starts_with(&base)).count());
        let before = count()?;
        mount::detach(&base)?;
        Ok(format!("{seen} {before} {} {}", count()?, read("all/a")))
    });
    assert_eq!(text, "below above 3 0 gone");
    assert_eq!(std::fs::read_dir(&base).unwrap().count(), 0);
    std::fs::remove_dir_all(&base).unwrap();
}
