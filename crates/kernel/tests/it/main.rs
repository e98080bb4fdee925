//! Tests on real namespaces, compared with iproute2 and nftables. They need root.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cgroups;
mod features;
mod links;
mod nft;
mod packets;
mod processes;
mod routes;
mod tc;
mod terminals;

use std::process::Command;
use std::time::{Duration, Instant};

use netloom_kernel::netns::Netns;
use serde_json::Value;

/// Runs an oracle inside a namespace and returns its standard output.
fn oracle(netns: &Netns, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = netns.run(|| Command::new(words[0]).args(&words[1..]).output().unwrap()).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn oracle_json(netns: &Netns, command: &str) -> Value {
    serde_json::from_str(&oracle(netns, command)).unwrap()
}

/// Repeats `check` until it holds; the kernel tells link states a moment late.
fn eventually(mut check: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if check() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
