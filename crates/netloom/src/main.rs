//! netloom: parse, call one command, exit.

fn main() {}
