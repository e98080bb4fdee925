//! `netloom ci`.

use netloom_cli::exit::Exit;
use netloom_cli::lab::Ci;

use crate::context::Context;
use crate::cycle::Cycle;
use crate::failure::Result;
use crate::signals;

pub(crate) fn run(context: &Context, args: &Ci) -> Result<Exit> {
    signals::catch()?;
    Cycle::new(context, args).run()
}
