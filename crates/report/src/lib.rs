//! One result, many faces: terminal, JSON, JUnit.
//!
//! [`terminal`] owns standard output and standard error; nothing else in netloom prints. [`verdict`] is what a run comes to,
//! [`junit`] and [`text`] are its faces; serde makes the JSON.

pub mod junit;
pub mod progress;
pub mod style;
pub mod table;
pub mod terminal;
pub mod text;
pub mod verdict;

pub use terminal::Terminal;
