//! What people write: the types of a lab file, and how one is read.
//!
//! Three steps, each its own module:
//! 1. [`load`] reads YAML into a tree in which every value knows where it was written, merges `include`s, substitutes variables.
//! 2. [`canon`] turns short forms into the canonical long form and resolves `defaults` < `kinds` < `groups` < node.
//! 3. [`validate`] checks what a type cannot say (unknown nodes, an interface used twice, overlapping pools, …).
//!
//! The canonical form is [`lab::Lab`]: no templates, no short forms, files inlined, everything a node inherits written at the node.
//! It is what a custom resource describes and what `netloom validate -o yaml` prints.

pub mod diag;
pub mod lab;
pub mod link;
pub mod load;
pub mod node;
pub mod schema;
pub mod test;
pub mod values;

pub use diag::{Diagnostic, Diagnostics};
pub use load::{Loaded, Options, load};
pub use schema::schema;
