//! Builds a ring of N idle namespaces and prints how long each phase took.
//!
//! `cargo run --release -p netloom-kernel --example ring -- 1000`

use std::time::Instant;

use netloom_kernel::Result;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{AddressSpec, Batch, LinkChange, Rtnl, VethEnd};

fn main() -> Result<()> {
    let count: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    let start = Instant::now();
    let nodes = Netns::create_many_with_rtnl(count)?;
    let made = start.elapsed();
    let mut batch = Batch::new();
    for (index, (netns, _)) in nodes.iter().enumerate() {
        let (next, _) = &nodes[(index + 1) % count];
        batch.create_veth(&VethEnd::new("eth0").inside(netns).index(2), &VethEnd::new("eth1").inside(next).index(3));
    }
    let mut host = Rtnl::open()?;
    host.apply(batch)?;
    let linked = start.elapsed();
    let mut handles = Vec::with_capacity(count);
    let change = LinkChange { up: Some(true), alias: Some("netloom:ring"), ..LinkChange::default() };
    for (index, (netns, mut rtnl)) in nodes.into_iter().enumerate() {
        let address = |link: usize, end: usize| {
            let number = 0x0a00_0000 + 2 * (link % count) as u32 + end as u32;
            ipnet::Ipv4Net::new_assert(number.into(), 31).into()
        };
        let mut batch = Batch::new();
        batch.link_up(1);
        batch.add_address(&AddressSpec::new(2, address(index, 0)));
        batch.add_address(&AddressSpec::new(3, address(index + count - 1, 1)));
        batch.set_link(2, &change);
        batch.set_link(3, &change);
        rtnl.apply(batch)?;
        handles.push(netns);
    }
    let done = start.elapsed();
    drop(handles);
    let closed = start.elapsed();
    #[expect(clippy::print_stdout, reason = "an example")]
    {
        println!("{count} nodes and links in {done:?}");
        println!("  namespaces {made:?}, links {:?}, configuration {:?}", linked - made, done - linked);
        println!("  closing the handles {:?}", closed - done);
    }
    Ok(())
}
