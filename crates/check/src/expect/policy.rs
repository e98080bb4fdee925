//! A policy in its owner's words: every rule in the direction it names, for every pair of an inside and an outside node.

use netloom_api::test::{Outcome, PolicyExpect, Target};

use super::{Check, Context, Looked, reach};

pub(super) fn look(expect: &PolicyExpect, context: &Context<'_>) -> Looked {
    let mut check = Check::default();
    // All probes with one outcome go together: a silence is waited for once.
    for outcome in [Outcome::Ok, Outcome::Refused, Outcome::NoRoute, Outcome::Unreachable, Outcome::Denied] {
        let mut pairs = Vec::new();
        for (rule, _) in expect.rules.iter().filter(|(_, o)| **o == outcome) {
            let (from, to) =
                if rule.outbound { (&expect.inside, &expect.outside) } else { (&expect.outside, &expect.inside) };
            let mut one = reach::pairs(context, from, &Target::Nodes(to.clone()), &[rule.proto], None, &mut check)?;
            one.iter_mut().for_each(|p| p.label = Some(rule.to_string()));
            pairs.extend(one);
        }
        check.merge(reach::judge(context, &pairs, outcome, 1)?);
    }
    Ok(check)
}
