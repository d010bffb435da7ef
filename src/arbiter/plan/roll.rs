//! A reload: the new generation of workers takes the place of the old ones step by step.
//!
//! The first new worker starts alone. Until it has booted nobody leaves, so a reload that does not load costs nothing; once
//! it has booted its generation is *proven*, and is what a later failure returns to. A worker that dies meanwhile is replaced
//! at once, by one of the new generation: it may take as long to boot as the first one has left, or longer.

use super::{Action, Backoff, Child, Exit, Limits, Plan, Time, deaths};

/// Which generation of workers is current, and how far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// The generation that is forked now.
    pub current: u64,
    /// The latest one of which a worker has booted.
    pub proven: u64,
    /// Reloads so far: no two have the same generation.
    pub reloads: u64,
    /// Workers of earlier generations may still serve.
    pub rolling: bool,
    /// How many workers there were before the first reload that is not proven.
    pub kept: usize,
}

impl Plan {
    /// The configuration has been read again: from now on workers are of a new generation.
    pub fn reloaded(&mut self) {
        let reloads = self.roll.reloads + 1;
        let kept = match self.unproven() {
            true => self.roll.kept,
            false => self.children.count(|child| child.stays() && !child.retires()),
        };
        self.roll = Roll { current: reloads, reloads, rolling: true, kept, ..self.roll };
        self.backoff = Backoff::default();
    }

    /// The first worker of the new generation decides, and the old ones can wait for it.
    pub(super) fn gate_closed(&self) -> bool {
        self.unproven() && self.children.count(|child| self.old(child) && child.booted()) > 0
    }

    /// While the gate is closed: how many workers are missing beside the first new one, since the reload began.
    pub(super) fn lost_in_reload(&self, limits: &Limits) -> usize {
        // One that is stuck in a request may serve nothing else.
        let old = self.children.count(|child| self.old(child) && !child.seen.stuck);
        self.roll.kept.min(limits.workers).saturating_sub(old)
    }

    fn unproven(&self) -> bool {
        self.roll.proven != self.roll.current
    }

    /// It stays, but is of an earlier generation.
    pub(super) fn old(&self, child: &Child) -> bool {
        child.generation != self.roll.current && child.stays()
    }

    /// It stays and is of the current generation, about to be replaced or not.
    pub(super) fn current(&self, child: &Child) -> bool {
        child.generation == self.roll.current && child.stays()
    }

    /// Before anybody is released: a generation that has booted is proven, and old workers that have not are of no use.
    pub(super) fn advance_roll(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        if !self.roll.rolling {
            return Vec::new();
        }
        let current = self.roll.current;
        let of_no_use = |child: &Child| child.generation != current && !child.booted();
        let mut actions = self.dismiss(of_no_use, now);
        if self.roll.proven != current && (self.current_booted() > 0 || limits.workers == 0) {
            self.roll.proven = current;
            actions.push(Action::ProveReload);
        }
        actions
    }

    /// After that: the reload is over when nobody of an earlier generation stays.
    pub(super) fn finish_roll(&mut self, limits: &Limits) -> Vec<Action> {
        let complete =
            self.current_booted() >= limits.workers && self.children.count(|child| self.old(child)) == 0;
        if !self.roll.rolling || !complete {
            return Vec::new();
        }
        self.roll.rolling = false;
        vec![Action::KeepReload]
    }

    /// The end of this worker says that what was reloaded does not load: it was among the first, and has not served. Where
    /// nobody serves any more it has to say so by its status.
    pub(super) fn ends_reload(&self, child: &Child, exit: Exit) -> bool {
        let failed = deaths::boot_failure(exit).is_some() && !child.has_served();
        let ends = match self.gate_closed() {
            true => failed || !child.booted(),
            false => failed && self.unproven() && self.booted() == 0,
        };
        ends && child.generation == self.roll.current
    }

    /// The old workers stay, and the proven generation is current again; a reload that had brought it goes on.
    pub(super) fn drop_reload(&mut self, now: Time) -> Vec<Action> {
        let proven = self.roll.proven;
        let mut actions = self.dismiss(|child| child.generation > proven, now);
        self.roll.current = proven;
        self.roll.rolling = self.children.count(|child| self.old(child)) > 0;
        actions.push(Action::DropReload);
        actions
    }

    fn current_booted(&self) -> usize {
        self.children.count(|child| self.current(child) && child.booted())
    }
}
