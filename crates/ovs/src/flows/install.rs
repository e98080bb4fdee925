//! Sends the changes as one bundle, and finds out which of them the switch refuses.

use std::collections::VecDeque;

use netloom_openflow::client::{Client, ClientError};
use netloom_openflow::{Message, Problem};

use crate::error::Result;
use crate::flows::diff::{Change, Diff, used_by};
use crate::flows::{Desired, Doing, Report, Why};

/// So many bad changes are left out of the whole bundle, one after another…
const WHOLE: usize = 16;

/// …unless that means to send so many changes again…
const AGAIN: usize = 200_000;

/// …and when there are more, it goes in pieces of so many, to find the others without sending everything for each.
const PIECE: usize = 512;

pub(super) fn install(client: &Client, desired: &Desired, mut diff: Diff) -> Result<Report> {
    let changes = std::mem::take(&mut diff.changes);
    let mut work = Work { desired, diff, pieces: VecDeque::from([changes]), report: Report::default() };
    work.leave_out_users_of_refused_groups();
    work.run(client)?;
    let Diff { unchanged, refused, .. } = work.diff;
    Ok(Report { unchanged, refused, ..work.report })
}

struct Work<'a> {
    desired: &'a Desired,
    diff: Diff,
    pieces: VecDeque<Vec<Change>>,
    report: Report,
}

impl Work<'_> {
    fn run(&mut self, client: &Client) -> Result<()> {
        let (mut bad, mut again, mut whole) = (0, 0, true);
        while let Some(piece) = self.pieces.pop_front() {
            if piece.is_empty() {
                continue;
            }
            match client.bundle(piece.iter().map(|change| &change.message)) {
                Ok(()) => self.count(&piece),
                Err(ClientError::Bundle { index, problem }) => {
                    (bad, again) = (bad + 1, again + piece.len());
                    self.leave_out(piece, index, problem);
                    if whole && (bad == WHOLE || again >= AGAIN) {
                        whole = false;
                        self.split();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn count(&mut self, done: &[Change]) {
        for change in done {
            let counter = match change.kind {
                Doing::Add => &mut self.report.added,
                Doing::Change => &mut self.report.changed,
                Doing::Remove => &mut self.report.removed,
            };
            *counter += 1;
        }
    }

    /// Takes the change that was refused out of a piece, with those that cannot be without it; what is left is to be sent.
    fn leave_out(&mut self, mut piece: Vec<Change>, index: Option<usize>, problem: Problem) {
        let index = index.filter(|at| *at < piece.len()).or((piece.len() == 1).then_some(0));
        let Some(at) = index else {
            // The switch does not say which one it was.
            let half = piece.split_off(piece.len() / 2);
            self.pieces.push_front(half);
            self.pieces.push_front(piece);
            return;
        };
        let change = piece.remove(at);
        self.pieces.push_front(piece);
        self.diff.refuse(self.desired, change.owner, &change.message, Why::Switch(problem));
        if let (Doing::Add, Message::GroupMod(group)) = (change.kind, &change.message) {
            self.leave_out_users_of(group.id);
        }
    }

    /// Leaves out what uses a group that will not be there.
    fn leave_out_users_of(&mut self, group: u32) {
        let mut missing = vec![group];
        while let Some(group) = missing.pop() {
            for piece in &mut self.pieces {
                let uses = |change: &Change| change.kind != Doing::Remove && used_by(&change.message).contains(&group);
                for change in piece.extract_if(.., |change| uses(change)) {
                    self.diff.refuse(self.desired, change.owner, &change.message, Why::Group(group));
                    if let (Doing::Add, Message::GroupMod(other)) = (change.kind, &change.message) {
                        missing.push(other.id);
                    }
                }
            }
        }
    }

    fn leave_out_users_of_refused_groups(&mut self) {
        for group in std::mem::take(&mut self.diff.missing_groups) {
            self.leave_out_users_of(group);
        }
    }

    fn split(&mut self) {
        let all: Vec<Change> = self.pieces.drain(..).flatten().collect();
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            self.pieces.push_back(all.by_ref().take(PIECE).collect());
        }
    }
}
