//! Single questions to a running lab, without any test: what `netloom probe` and `netloom ping` ask.

use netloom_api::test::{Expect, Outcome, Proto, ReachExpect, Selector, Target, Term, TermKind};

use crate::expect::{Check, Context, look};
use crate::resolve;
use crate::world::World;

/// One probe of each pair.
pub fn probe(world: &dyn World, from: &Selector, to: &Target, proto: Proto) -> Check {
    reach(world, from.clone(), to.clone(), vec![proto])
}

/// Every node that has an address against every other, by the addresses there are.
pub fn ping_all(world: &dyn World) -> Check {
    let plan = world.plan();
    let addressed = plan.nodes.keys().filter(|n| !resolve::addresses(plan, n).is_empty());
    let term = |n: &netloom_api::values::NodeName| Term { not: false, what: TermKind::Name(n.to_string()) };
    let all = Selector(addressed.map(term).collect());
    reach(world, all.clone(), Target::Nodes(all), Vec::new())
}

fn reach(world: &dyn World, from: Selector, to: Target, proto: Vec<Proto>) -> Check {
    let expect = ReachExpect { from, to, proto, af: None, count: None, result: Outcome::Ok };
    look(&Expect::Reach(expect), &Context::new(world))
}
