//! What the codec says against itself, against `ovs-ofctl` and against a real switch.

mod bytes;
mod real;
mod strategy;
