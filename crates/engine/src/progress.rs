//! Telling how far a stage has come.

use std::time::Instant;

use crate::event::{Event, Phase};

pub(crate) struct Progress {
    phase: Phase,
    total: usize,
    start: Instant,
}

impl Progress {
    pub(crate) fn begin(phase: Phase, total: usize, on: &mut dyn FnMut(Event)) -> Progress {
        on(Event::Begin { phase, total });
        Progress { phase, total, start: Instant::now() }
    }

    pub(crate) fn step(&mut self, done: usize, on: &mut dyn FnMut(Event)) {
        on(Event::Progress { phase: self.phase, done, total: self.total });
    }

    pub(crate) fn end(self, on: &mut dyn FnMut(Event)) {
        on(Event::End { phase: self.phase, took: self.start.elapsed() });
    }
}
