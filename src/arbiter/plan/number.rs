//! How many workers: who counts, whether one more may be started, and who may go.

use nix::sys::signal::Signal;

use super::{Action, Child, Limits, Plan, Time};

/// How many processes may import an application at the same time while it is not known to load, beside those that replace
/// somebody who has died: the first new worker, and one that another reload has made useless.
const MOST_FIRST: usize = 2;

impl Plan {
    /// How many workers take connections of others, and stay. None once the service ends.
    pub fn takers(&self) -> usize {
        match self.serves() {
            true => self.children.count(|child| child.stays() && child.seen.takes),
            false => 0,
        }
    }

    /// How many workers may be started now. A replacement comes before the worker that it replaces leaves, so there are
    /// more than `workers` meanwhile: by one, or by the surge of a reload.
    pub(super) fn startable(&self, limits: &Limits) -> usize {
        let missing = limits.workers.saturating_sub(self.children.count(|child| self.fresh(child)));
        if self.gate_closed() {
            let lost = self.lost_in_reload(limits);
            let wanted = (1 + lost).saturating_sub(self.children.count(|child| self.current(child)));
            // However fast reloads follow one another: an import ends when it is done, not when it is told to.
            let room = (MOST_FIRST + lost).saturating_sub(self.children.count(|child| !child.booted()));
            return missing.min(wanted).min(room);
        }
        let beyond = if self.roll.rolling { limits.surge() } else { 1 };
        let room = (limits.workers + beyond).saturating_sub(self.children.count(Child::stays));
        missing.min(room)
    }

    /// TERM, once, to workers that are too many: old ones first, then those that want to go or have to, then the oldest.
    /// A worker that has not booted counts for nobody.
    pub(super) fn release_surplus(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        if limits.workers == 0 {
            return self.dismiss(|_| true, now);
        }
        if self.gate_closed() {
            return Vec::new();
        }
        let surplus = self.booted().saturating_sub(limits.workers);
        let mut order: Vec<_> =
            self.children.iter().filter(|child| child.stays() && child.booted()).collect();
        order.sort_by_key(|child| (!self.old(child), !child.seen.stuck, !child.retires()));
        let leaving: Vec<_> = order.iter().take(surplus).map(|child| child.pid).collect();
        self.dismiss(|child| leaving.contains(&child.pid), now)
    }

    /// TERM to those of the staying workers that match, the oldest first.
    pub(super) fn dismiss(&mut self, matches: impl Fn(&Child) -> bool, now: Time) -> Vec<Action> {
        let leave = |child: &mut Child| {
            child.leaving = Some(now);
            Action::Signal(child.pid, Signal::SIGTERM)
        };
        self.children.iter_mut().filter(|child| child.stays() && matches(child)).map(leave).collect()
    }

    /// It counts towards the number of workers: of the current generation and not about to be replaced.
    fn fresh(&self, child: &Child) -> bool {
        self.current(child) && !child.retires()
    }

    /// Workers that serve and stay.
    pub(super) fn booted(&self) -> usize {
        self.children.count(|child| child.stays() && child.booted())
    }
}
