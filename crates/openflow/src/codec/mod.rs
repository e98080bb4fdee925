//! Bytes in, values out, and back. Nothing here reads a socket or a clock.

pub(crate) mod action;
pub(crate) mod action_extra;
pub(crate) mod buf;
pub(crate) mod oxm;
pub(crate) mod port_no;
pub(crate) mod prop;
pub(crate) mod time;
