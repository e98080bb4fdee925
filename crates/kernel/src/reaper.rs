//! The smallest first process of a pid namespace: a program of one page that collects orphans and does nothing else.
//!
//! As process 1 of a node it stays as long as the node does, a thousand times on one machine, so it has no libraries, no heap and
//! no copy of anybody's memory: some 90 bytes of code behind a header, made here and written to a file.

use std::ffi::CStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Result};

// The signal mask it inherits blocks SIGCHLD (17, bit 16); it waits for that, and for nothing else (sigwait). The kernel keeps
// signals without a handler from the first process of a namespace; SIGKILL from outside ends it (pid_namespaces(7)).
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.netloom_reaper, \"a\"",
    ".balign 16",
    "netloom_reaper_begin:",
    "mov eax, 157", // prctl(PR_SET_NAME, name)
    "mov edi, 15",
    "lea rsi, [rip + 4f]",
    "syscall",
    "2:",
    "mov eax, 61", // wait4(-1, 0, WNOHANG, 0)
    "mov rdi, -1",
    "xor esi, esi",
    "mov edx, 1",
    "xor r10d, r10d",
    "syscall",
    "test rax, rax",
    "jg 2b",
    "mov eax, 128", // rt_sigtimedwait(set, 0, 0, 8)
    "lea rdi, [rip + 3f]",
    "xor esi, esi",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "jmp 2b",
    ".balign 8",
    "3: .quad 0x10000",
    "4: .asciz \"netloom-init\"",
    "netloom_reaper_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.netloom_reaper, \"a\"",
    ".balign 16",
    "netloom_reaper_begin:",
    "mov x8, #167", // prctl(PR_SET_NAME, name)
    "mov x0, #15",
    "adr x1, 4f",
    "svc #0",
    "2:",
    "mov x8, #260", // wait4(-1, 0, WNOHANG, 0)
    "mov x0, #-1",
    "mov x1, #0",
    "mov x2, #1",
    "mov x3, #0",
    "svc #0",
    "cmp x0, #0",
    "b.gt 2b",
    "mov x8, #137", // rt_sigtimedwait(set, 0, 0, 8)
    "adr x0, 3f",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #8",
    "svc #0",
    "b 2b",
    ".balign 8",
    "3: .quad 0x10000",
    "4: .asciz \"netloom-init\"",
    "netloom_reaper_end:",
    ".popsection",
);

unsafe extern "C" {
    static netloom_reaper_begin: u8;
    static netloom_reaper_end: u8;
}

/// `EM_X86_64`, `EM_AARCH64`.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// The program as an ELF file (elf(5)): header, one segment, code.
fn image() -> Vec<u8> {
    // SAFETY: both labels stand in the assembly above, the second behind the first, with the code between them.
    let code = unsafe {
        let (begin, end) = (&raw const netloom_reaper_begin, &raw const netloom_reaper_end);
        std::slice::from_raw_parts(begin, end.offset_from_unsigned(begin))
    };
    let size = HEADERS + code.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let word = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let long = |out: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    half(&mut out, &[2, MACHINE]); // ET_EXEC
    word(&mut out, &[1]);
    long(&mut out, &[BASE + HEADERS, 64, 0]); // entry, program headers, no sections
    word(&mut out, &[0]);
    half(&mut out, &[64, 56, 1, 0, 0, 0]);
    word(&mut out, &[1, 5]); // PT_LOAD, readable and executable
    long(&mut out, &[0, BASE, BASE, size, size, 0x1_0000]);
    out.extend(code);
    out
}

/// Writes the program to a new file and opens it for [`exec_here`].
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path) -> Result<OwnedFd> {
    let os = |e| Error::os(format!("write {}", path.display()), e);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path).map_err(os)?;
    file.write_all(&image()).map_err(os)?;
    // Nobody can run a file that somebody may write.
    drop(file);
    Ok(std::fs::File::open(path).map_err(os)?.into())
}

/// Becomes the program: blocks SIGCHLD and replaces the calling process. Returns only when that fails.
///
/// # Errors
/// Whatever execveat(2) says; `EACCES` on a file system mounted `noexec`.
pub fn exec_here(program: impl AsFd) -> Result<std::convert::Infallible> {
    const NAME: &CStr = c"netloom-init";
    let (argv, envp) = ([NAME.as_ptr(), std::ptr::null()], [std::ptr::null::<libc::c_char>()]);
    // SAFETY: the set is initialised before use; strings and arrays outlive the calls.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        libc::syscall(
            libc::SYS_execveat,
            program.as_fd().as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Err(Error::last_os("run the first process of a node"))
}
