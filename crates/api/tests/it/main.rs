//! Tests of the lab file as a user meets it: texts in, labs or diagnostics out.

mod bad;
mod docs;
mod good;
mod limits;
mod properties;
