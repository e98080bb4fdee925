//! `netloom doctor`.

use netloom_cli::exit::Exit;
use netloom_cli::make::Doctor;

use crate::context::Context;
use crate::failure::Result;

pub(crate) fn run(_context: &Context, _args: &Doctor) -> Result<Exit> {
    Ok(Exit::Ok)
}
