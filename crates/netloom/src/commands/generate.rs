//! `netloom generate`.

use netloom_cli::exit::Exit;
use netloom_cli::make::Generate;

use crate::context::Context;
use crate::failure::Result;

pub(crate) fn run(_context: &Context, _args: &Generate) -> Result<Exit> {
    Ok(Exit::Ok)
}
