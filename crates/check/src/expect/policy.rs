//! A policy in its owner's words: every rule in the direction it names, for every pair of an inside and an outside node.

use netloom_api::test::{PolicyExpect, Target};

use super::{Check, Context, Looked, reach};

pub(super) fn look(expect: &PolicyExpect, context: &Context<'_>) -> Looked {
    let mut check = Check::default();
    for (rule, outcome) in &expect.rules {
        let (from, to) =
            if rule.outbound { (&expect.inside, &expect.outside) } else { (&expect.outside, &expect.inside) };
        let mut one = Check::default();
        let pairs = reach::pairs(context, from, &Target::Nodes(to.clone()), &[rule.proto], None, &mut one)?;
        one.merge(reach::judge(context, &pairs, *outcome, 1)?);
        for finding in &mut one.findings {
            finding.subject = format!("{rule}: {}", finding.subject);
        }
        check.merge(one);
    }
    Ok(check)
}
