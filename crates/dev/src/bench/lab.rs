//! The two sides: a lab held by netloom, and what holds the same without it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::{Bench, machine};

/// A program that prints `up`, holds something until it gets a line, and prints `down`.
pub(crate) struct Holder {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    name: String,
}

impl Holder {
    /// Starts it and returns the seconds until it said `up`.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<(Self, f64)> {
        let start = Instant::now();
        let mut holder = Self::spawn(command)?;
        holder.line("up")?;
        Ok((holder, start.elapsed().as_secs_f64()))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout), name })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line.
    pub(crate) fn tell(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.stdin, "{text}").with_context(|| format!("{} is gone", self.name))
    }

    /// The words after `key` of the next line, which must start with it.
    pub(crate) fn line(&mut self, key: &str) -> anyhow::Result<Vec<String>> {
        let mut text = String::new();
        self.stdout.read_line(&mut text)?;
        let mut words = text.split_whitespace().map(str::to_owned);
        ensure!(words.next().as_deref() == Some(key), "{} said {text:?} in place of {key}", self.name);
        Ok(words.collect())
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// When what a lab held had gone, in seconds from the beginning of its end.
pub(crate) struct Gone {
    pub(crate) links: f64,
    /// None if the machine's namespaces did not become fewer by the lab's.
    pub(crate) namespaces: Option<f64>,
}

/// Ends of links outside of the lab, which go when the lab's namespaces do.
pub(crate) struct Witness {
    holder: Holder,
    lab: usize,
}

impl Witness {
    /// Puts ends into the first, the middle and the last namespace that `pid` holds.
    pub(crate) fn place(bench: &Bench, pid: u32) -> anyhow::Result<Self> {
        let held = machine::held_by(pid)?;
        ensure!(held.len() >= 3, "process {pid} holds {} namespaces", held.len());
        let ends = [0, held.len() / 2, held.len() - 1].map(|index| &held[index]);
        let mut command = Command::new(bench.raw.join("witness"));
        let mut holder = Holder::spawn(command.args(ends))?;
        holder.line("ready")?;
        Ok(Self { holder, lab: held.len() })
    }

    /// Begins to watch: the lab must be told to go right after. The times count from now.
    pub(crate) fn watch(mut self) -> anyhow::Result<JoinHandle<anyhow::Result<Gone>>> {
        let lab = self.lab.to_string();
        let start = Instant::now();
        self.holder.tell(&lab)?;
        Ok(std::thread::spawn(move || {
            self.holder.line("links")?;
            let links = start.elapsed().as_secs_f64();
            let namespaces = self.holder.line("namespaces").is_ok().then(|| start.elapsed().as_secs_f64());
            self.holder.end()?;
            Ok(Gone { links, namespaces })
        }))
    }
}

/// A lab that netloom holds.
pub(crate) struct Lab<'a> {
    bench: &'a Bench,
    file: PathBuf,
    name: String,
    down: bool,
}

impl<'a> Lab<'a> {
    /// `netloom up` of the text under the name; returns the seconds of the call.
    pub(crate) fn up(bench: &'a Bench, name: &str, text: &str) -> anyhow::Result<(Self, f64)> {
        let file = bench.scratch.path().join(format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        let mut lab = Self { bench, file, name: name.to_owned(), down: false };
        let start = Instant::now();
        let result = lab.call(&["up"]);
        let took = start.elapsed().as_secs_f64();
        lab.down = result.is_err();
        result?;
        Ok((lab, took))
    }

    /// `netloom down`; returns the seconds of the call.
    pub(crate) fn down(mut self) -> anyhow::Result<f64> {
        let start = Instant::now();
        let result = self.call(&["down"]);
        let took = start.elapsed().as_secs_f64();
        self.down = result.is_ok();
        result?;
        Ok(took)
    }

    /// The process that holds the lab's namespaces.
    pub(crate) fn keeper(&self) -> anyhow::Result<u32> {
        machine::holder(&self.name)
    }

    fn call(&self, words: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(&self.bench.netloom)
            .args(words)
            .arg(&self.file)
            .args(["--name", &self.name, "--quiet"])
            .stdin(Stdio::null())
            .output()
            .context("cannot start netloom")?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            let first: Vec<&str> = error.lines().take(3).collect();
            bail!("netloom {} ended with {}: {}", words.join(" "), output.status, first.join(" "));
        }
        Ok(())
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        if !self.down {
            _ = self.call(&["down"]);
        }
    }
}

/// What a node of a generated lab is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Nodes {
    Idle,
    /// A file of its own and one process.
    Populated,
    /// A router with BGP.
    Frr,
}

/// A lab file: a ring of `n` nodes with the floor's addresses.
pub(crate) fn ring(n: usize, nodes: Nodes) -> String {
    let mut text = String::from("apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: ring}\nspec:\n");
    text += match nodes {
        Nodes::Idle => "",
        Nodes::Populated => {
            "  defaults:\n    files: {/etc/motd: \"one of many\\n\"}\n    run: {main: [sleep, infinity]}\n"
        }
        Nodes::Frr => "  defaults: {kind: frr}\n",
    };
    text += "  nodes:\n";
    for i in 1..=n {
        _ = match nodes {
            Nodes::Frr => writeln!(text, "    n{i}: {{bgp: {{as: {}}}}}", 65_000 + i),
            _ => writeln!(text, "    n{i}: {{}}"),
        };
    }
    text += "  links:\n";
    for i in 0..n {
        let (third, fourth) = (i * 4 / 256, i * 4 % 256);
        _ = writeln!(
            text,
            "    - endpoints: [{{node: n{}, interface: eth0, addresses: [10.0.{third}.{}/30]}}, \
             {{node: n{}, interface: eth1, addresses: [10.0.{third}.{}/30]}}]",
            i + 1,
            fourth + 1,
            (i + 1) % n + 1,
            fourth + 2
        );
    }
    text
}

/// Waits until `done` or half a minute has gone.
pub(crate) fn wait(mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
