//! What the codec says against itself, against `ovs-ofctl` and against a real switch.

mod bytes;
mod ofctl;
mod print;
mod real;
mod strategy;
