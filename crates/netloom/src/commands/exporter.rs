//! `netloom exporter`: what Open vSwitch counts, for Prometheus.

use std::net::TcpListener;
use std::time::Duration;

use netloom_cli::exit::Exit;
use netloom_cli::switch::Exporter as Args;
use netloom_ovs::exporter::{Exporter, Options, Remote, Server};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::signals;

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit> {
    let db: Remote = args.db.parse().map_err(|e| Failure::usage(format!("--db: {e}")))?;
    if let Some(path) = args.owners.as_deref() {
        // Later changes of it are read; that it is not there at all is a mistake.
        std::fs::metadata(path).map_err(|e| Failure::file("read", path, &e))?;
    }
    signals::catch()?;
    let options = Options {
        run_dir: args.run_dir.clone(),
        control: args.control.clone(),
        owners: args.owners.clone(),
        max_owners: args.max_owners,
        max_ports: args.max_ports,
        max_groups: args.max_groups,
        ..Options::new(db)
    };
    let cannot = |e: &dyn std::fmt::Display| Failure::environment(format!("cannot listen on {}: {e}", args.listen));
    let listener = TcpListener::bind(args.listen).map_err(|e| cannot(&e))?;
    let exporter = Exporter::start(options).map_err(|e| Failure::environment(e.to_string()))?;
    if let Err(error) = exporter.wait_connected() {
        context.terminal.note(format!("{error}; it is tried again, and netloom_ovs_up is 0 meanwhile"));
    }
    let server = Server::start(listener, move || exporter.scrape()).map_err(|e| cannot(&e))?;
    context.terminal.say(format!("metrics at http://{}/metrics", server.address()));
    while signals::caught().is_none() {
        std::thread::sleep(TICK);
    }
    Ok(Exit::Ok)
}
