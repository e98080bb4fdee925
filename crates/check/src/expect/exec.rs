//! A command's outcome.

use std::time::Duration;

use netloom_api::test::ExecExpect;

use super::{Check, Context, Looked, text};
use crate::resolve;
use crate::verdict::Cause;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn look(expect: &ExecExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let argv = expect.command.argv();
    let code = expect.code.unwrap_or(0);
    let mut check = Check::default();
    for node in resolve::nodes(plan, &expect.node)? {
        let subject = format!("{node}: {}", argv.join(" "));
        let cause = match context.world.exec(node, &argv, LIMIT) {
            Err(e) => Cause::Command { detail: format!("the command could not be run: {e}") },
            Ok(out) => judge(expect, code, &out),
        };
        check.judge(subject, format!("exit code {code}"), cause);
    }
    Ok(check)
}

fn judge(expect: &ExecExpect, code: i32, out: &netloom_engine::Output) -> Cause {
    let stdout = String::from_utf8_lossy(&out.stdout);
    let stderr = String::from_utf8_lossy(&out.stderr);
    if out.timed_out {
        return Cause::Command { detail: format!("the command did not end within {}s", LIMIT.as_secs()) };
    }
    if out.status != code {
        let said = if stderr.trim().is_empty() { stdout.trim() } else { stderr.trim() };
        let last = said.lines().last().map_or(String::new(), |l| format!(": {l}"));
        return Cause::Command { detail: format!("the command ended with {}, not {code}{last}", out.status) };
    }
    if let Some(why) = expect.stdout.as_ref().and_then(|want| text::mismatch(&stdout, want)) {
        return Cause::Mismatch { detail: format!("its output is not as expected: {why}") };
    }
    if expect.json.is_empty() {
        return Cause::Ok;
    }
    let json: serde_json::Value = match serde_json::from_str(&stdout) {
        Ok(json) => json,
        Err(e) => return Cause::Mismatch { detail: format!("its output is no JSON: {e}") },
    };
    for (path, wanted) in &expect.json {
        match text::at(&json, path) {
            None => return Cause::Absent { detail: format!("its JSON has no {path}") },
            Some(found) if found != wanted => {
                return Cause::Mismatch { detail: format!("{path} is {found}, not {wanted}") };
            }
            Some(_) => {}
        }
    }
    Cause::Ok
}
