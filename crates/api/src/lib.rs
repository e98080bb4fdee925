//! What people write: the types of a lab file, and how one is read.
//!
//! - [`load`] reads YAML into a tree in which every value knows where it was written, takes in `include`s, replaces variables, checks
//!   the form, turns short forms into long ones and resolves `defaults` < `kinds` < `groups` < node;
//! - `validate` checks what a type cannot say (unknown nodes, an interface used twice, overlapping pools, …);
//! - [`diag`] is how mistakes are told: all at once, each with the text underlined;
//! - [`mod@schema`] is the file's JSON schema, for editors and for the reader itself.
//!
//! The canonical form is [`lab::Lab`]: no templates, no short forms, files inlined, everything a node inherits written at the node.
//! It is what a custom resource describes and what `netloom validate -o yaml` prints.

pub mod diag;
pub mod lab;
pub mod link;
pub mod load;
pub mod node;
pub mod places;
pub mod schema;
pub mod test;
mod validate;
pub mod values;
pub mod words;

pub use diag::{Diagnostic, Diagnostics};
pub use load::check::suggest;
pub use load::{Loaded, Options, Reading, load, read};
pub use places::Places;
pub use schema::schema;
