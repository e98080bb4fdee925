//! Traffic under test: numbered streams ([`stream`], counted by [`account`]) and [`bulk`] transfer.

pub mod account;
pub mod bulk;
pub mod stream;

pub use account::Flow;
pub use stream::{Stream, StreamSpec};
