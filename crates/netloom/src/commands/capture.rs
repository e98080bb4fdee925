//! `netloom capture`.

use netloom_cli::exit::Exit;
use netloom_cli::node::Capture;

use crate::context::Context;
use crate::failure::Result;

pub(crate) fn run(_context: &Context, _args: &Capture) -> Result<Exit> {
    Ok(Exit::Ok)
}
