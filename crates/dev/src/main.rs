//! Developer tasks: `cargo dev`.

fn main() {}
