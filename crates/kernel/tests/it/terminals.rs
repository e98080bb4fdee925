use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use netloom_kernel::process::{self, Exit, Program};
use netloom_kernel::tty::{self, Raw, Size};

#[test]
fn a_program_believes_it_has_a_terminal() {
    let size = Size { rows: 33, columns: 77 };
    let pair = tty::open_pair(Some(size)).unwrap();
    assert_eq!(tty::size(&pair.terminal), Some(size));
    let pid = process::fork_among_threads(|| {
        process::new_session_here().unwrap();
        tty::take_control_here(&pair.terminal).unwrap();
        for target in 0..3 {
            process::dup_onto_here(&pair.terminal, target).unwrap();
        }
        process::default_signals_here();
        process::close_from_here(3, &[]).unwrap();
        let strings = |texts: &[&str]| texts.iter().map(|text| CString::new(*text).unwrap()).collect::<Vec<_>>();
        let script = "test -t 0 && stty size </dev/tty && read word && echo \"<$word>\" && exit 5";
        let program = Program {
            file: OsStr::new("sh"),
            arguments: &strings(&["sh", "-c", script]),
            environment: &[],
            directory: None,
        };
        process::exec_here(&program).map_or(1, |_| 0)
    })
    .unwrap();
    drop(pair.terminal);
    let mut control = File::from(pair.control);
    control.write_all(b"hello\r").unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 100]);
    loop {
        let len = tty::read_control(&control, &mut buffer).unwrap();
        if len == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
    }
    assert!(text.contains("33 77\r\n") && text.contains("<hello>\r\n"), "{text}");
    assert_eq!(process::wait_child(pid, true).unwrap(), Some(Exit::Code(5)));
}

#[test]
fn raw_mode_comes_and_goes() {
    let pair = tty::open_pair(None).unwrap();
    let mut control = File::from(pair.control);
    tty::set_size(&control, Size { rows: 1, columns: 2 }).unwrap();
    assert_eq!(tty::size(&pair.terminal), Some(Size { rows: 1, columns: 2 }));
    let raw = Raw::enter(pair.terminal.as_fd()).unwrap();
    // Raw: nothing is echoed, and no line end is needed to read.
    control.write_all(b"\x03x").unwrap();
    let mut buffer = [0; 10];
    assert_eq!(tty::read_control(&pair.terminal, &mut buffer).unwrap(), 2);
    assert_eq!(buffer[..2], *b"\x03x");
    drop(raw);
    control.write_all(b"a").unwrap();
    assert_eq!(tty::read_control(&control, &mut buffer).unwrap(), 1, "the echo");
    let file = File::open("/dev/null").unwrap();
    assert!(Raw::enter(file.as_fd()).is_err() && tty::size(&file).is_none());
}
