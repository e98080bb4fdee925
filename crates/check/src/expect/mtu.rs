//! The largest packet that passes unfragmented.

use netloom_api::test::MtuExpect;

use super::{Check, Context, Looked};
use crate::probe::{Place, mtu};
use crate::resolve;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &MtuExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let mut check = Check::default();
    let families: &[bool] = match expect.af {
        Some(6) => &[true],
        Some(_) => &[false],
        None => &[false, true],
    };
    for from in resolve::nodes(plan, &expect.from)? {
        let place = Place::of(context.world, from)?;
        let mut found = false;
        for v6 in families {
            for to in resolve::destinations(plan, &expect.to, *v6)? {
                let Some(target) = to.address.filter(|_| resolve::primary(plan, from, *v6).is_some()) else { continue };
                if to.node.as_ref() == Some(from) {
                    continue;
                }
                found = true;
                let source = to.node.as_ref().and_then(|_| resolve::source(plan, from, *v6));
                let subject = format!("{from} → {}", context.owners.describe(target));
                let wanted = format!("{} bytes", expect.bytes);
                let holds = match mtu::largest(
                    &place,
                    source,
                    target,
                    expect.bytes,
                    context.patience,
                    context.world.nonce(),
                )? {
                    Err(cause) => {
                        check.fail(&subject, wanted, cause);
                        continue;
                    }
                    Ok(bytes) => {
                        let holds = bytes == expect.bytes;
                        check.measurements.push(Measurement {
                            name: "mtu".into(),
                            subject: subject.clone(),
                            value: f64::from(bytes),
                            unit: Unit::Bytes,
                            bound: Some(expect.bytes.to_string()),
                            holds: Some(holds),
                        });
                        if holds {
                            Cause::Ok
                        } else {
                            Cause::Mismatch { detail: format!("{bytes} bytes pass, not {}", expect.bytes) }
                        }
                    }
                };
                check.judge(subject, wanted, holds);
            }
        }
        if !found {
            let name = format!("{from} or {}", expect.to);
            check.fail(format!("{from} → {}", expect.to), "an address family in common", Cause::Unresolved { name });
        }
    }
    Ok(check)
}
