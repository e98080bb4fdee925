//! Probes, traffic, faults and assertions against a running lab, and verdicts with a cause.
//!
//! | module | what it holds |
//! |---|---|
//! | [`world`] | [`World`]: what a check needs of a lab; [`netloom_engine::Lab`] is one |
//! | [`verdict`] | results as plain data: status, cause, measured values with units, evidence |
//! | [`ask`] | single questions, without any test |
//! | [`probe`] | one question to the network: echo, TCP, UDP, path, MTU, HTTP, DNS; the answer has a cause |
//! | [`expect`] | one module per expectation |
//! | [`explain`] | which way a packet would take, and which rule decides; nothing is sent |
//! | [`traffic`] | numbered streams and what became of them |
//! | [`fault`] | faults, the stack that puts them back, whether a stream crosses them |
//! | [`run`] | the runner |
//! | [`resolve`], [`observe`] | names to addresses by the plan; what the kernel holds now |

pub mod ask;
pub mod error;
pub mod expect;
pub mod explain;
pub mod fault;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod observe;
pub mod probe;
pub mod resolve;
pub mod run;
pub mod traffic;
pub mod verdict;
pub mod world;

pub use error::{Error, Result};
pub use world::{FaultOp, Undo, World};
