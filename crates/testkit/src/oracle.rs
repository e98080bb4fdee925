//! Running the system's own programs inside a namespace.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use netloom_kernel::netns::Netns;
use serde_json::Value;

fn command(line: &str) -> Result<Command> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command (split at blanks, no shell) in a namespace and returns whatever came of it.
pub fn output(netns: &Netns, line: &str) -> Result<Output> {
    let mut command = command(line)?;
    // The child inherits the namespace of the thread that forks it.
    netns.run(|| command.output())?.with_context(|| format!("cannot run {line}"))
}

/// Runs a command in a namespace and returns its standard output; fails when the command does.
pub fn run(netns: &Netns, line: &str) -> Result<String> {
    let out = output(netns, line)?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(out.status.success(), "{line}: {}\n{text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    Ok(text)
}

/// [`run`], with the output read as JSON (`ip -j`, `tc -j`, `iperf3 -J`).
pub fn run_json(netns: &Netns, line: &str) -> Result<Value> {
    let text = run(netns, line)?;
    // `ip -j` prints nothing at all for an empty list in some versions.
    if text.trim().is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    serde_json::from_str(&text).with_context(|| format!("{line} printed no JSON: {text}"))
}

/// Starts a command in a namespace, its output thrown away. It is killed when the handle is dropped.
pub fn spawn(netns: &Netns, line: &str) -> Result<Running> {
    let mut command = command(line)?;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = netns.run(|| command.spawn())?.with_context(|| format!("cannot start {line}"))?;
    Ok(Running { child, line: line.to_owned() })
}

/// [`spawn`], keeping the output for [`Running::finish`].
pub fn spawn_piped(netns: &Netns, line: &str) -> Result<Running> {
    let mut command = command(line)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = netns.run(|| command.spawn())?.with_context(|| format!("cannot start {line}"))?;
    Ok(Running { child, line: line.to_owned() })
}

/// A started command.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends and returns its standard output; fails when it does. Made by [`spawn_piped`].
    pub fn finish(mut self) -> Result<String> {
        use std::io::Read;
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut out)?;
        }
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut err)?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{}: {status}\n{out}{err}", self.line);
        }
        Ok(out)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; both calls then do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Repeats `check` every few milliseconds until it holds; false when `within` is over first.
pub fn eventually(within: Duration, mut check: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    loop {
        if check() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
