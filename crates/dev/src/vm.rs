//! A command under another kernel: QEMU's software emulation, Debian's kernel, and this machine's
//! root read-only under an overlay in memory, so that a program built here runs unchanged there.

mod cpio;
mod kernel;
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;

pub(crate) use tests::run as run_tests;

/// Options of `cargo dev vm`.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Memory of the machine, as QEMU writes it.
    #[arg(long, default_value = "1536M")]
    memory: String,
    /// Processors of the machine.
    #[arg(long, default_value_t = 2)]
    cpus: u8,
    /// Seconds after which the machine is switched off and the command has failed.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
    /// Fetch the kernel Debian offers now, even if the cache holds one.
    #[arg(long)]
    refresh: bool,
    /// The command and its arguments, run as root in the current directory.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Options {
    /// The defaults, for a script given to bash.
    fn script(script: String) -> Self {
        Self {
            memory: "1536M".into(),
            cpus: 2,
            timeout: 900,
            refresh: false,
            command: vec!["bash".into(), "-c".into(), script],
        }
    }
}

/// Runs the command in the machine and returns its exit code.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let here = std::env::current_dir().context("the current directory is gone")?;
    let kernel = kernel::get(options.refresh)?;
    let exchange = Exchange::new(&here, &options.command)?;
    let share = |id: &str, path: &Path, options: &str| {
        [
            "-fsdev".to_owned(),
            format!("local,id={id},path={},security_model=none{options}", path.display()),
            "-device".to_owned(),
            format!("virtio-9p-pci,fsdev={id},mount_tag={id}"),
        ]
    };
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max"])
        .args(["-smp", &options.cpus.to_string(), "-m", &options.memory])
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-no-reboot", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0x501,iosize=1"])
        // A physical interface for the tests; what is behind it is QEMU's own and leads nowhere.
        .args(["-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net"])
        .arg("-kernel")
        .arg(&kernel.vmlinux)
        .arg("-initrd")
        .arg(&kernel.initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .args(share("root", Path::new("/"), ",readonly=on,multidevs=remap"))
        .args(share("modules", &kernel.modules, ",readonly=on"))
        .args(share("exchange", &exchange.path, ",multidevs=remap"))
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start qemu-system-x86_64: `make setup` installs it")?;
    let end = Instant::now() + Duration::from_secs(options.timeout);
    let ended = loop {
        if let Some(status) = qemu.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            _ = qemu.kill();
            _ = qemu.wait();
            bail!("the machine was still running after {} s: switched off", options.timeout);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let status = fs::read_to_string(exchange.path.join("status"))
        .with_context(|| format!("the machine ended ({ended}) before the command did"))?;
    let code: u8 = status.trim().parse().context("the machine left no exit code")?;
    Ok(ExitCode::from(code))
}

/// The directory both sides write: the command goes in, its exit code comes out.
struct Exchange {
    path: PathBuf,
}

impl Exchange {
    fn new(here: &Path, command: &[String]) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("netloom-vm.{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let exchange = Self { path };
        let mut script = String::new();
        for (name, value) in std::env::vars() {
            let wanted = ["NETLOOM_", "RUST_", "CARGO_"];
            if wanted.iter().any(|start| name.starts_with(start)) {
                writeln!(script, "export {name}={}", quoted(&value))?;
            }
        }
        writeln!(script, "export NETLOOM_VM=1")?;
        writeln!(script, "cd {} || exit 1", quoted(&here.display().to_string()))?;
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        writeln!(script, "{}", words.join(" "))?;
        fs::write(exchange.path.join("command"), script)?;
        // What runs from /tmp must still be seen there.
        let uses_tmp = here.starts_with("/tmp") || command.iter().any(|word| word.contains("/tmp/"));
        if !uses_tmp {
            fs::write(exchange.path.join("private-tmp"), "")?;
        }
        Ok(exchange)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.path);
    }
}

/// One word for a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod unit {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_quoted_word_back() {
        let word = "it's $HOME \"and\" `more`\n";
        let output =
            std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }
}
