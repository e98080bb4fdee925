//! Streams to the daemons of Open vSwitch: a unix socket, TCP, or TLS over TCP.
//!
//! OVSDB and OpenFlow name their remotes in the same words (`unix:PATH`, `tcp:HOST:PORT`, `ssl:HOST:PORT`) and are spoken by threads of which one
//! reads while another writes. What both need for that is here: [`Remote`] where it is, [`Tls`] who may speak, [`Stream`] the bytes.

mod remote;
mod stream;
mod tls;

pub use remote::{Remote, RemoteError};
pub use stream::{Stream, is_tls};
pub use tls::{Pem, Tls};
