//! Workers that are worn: they have lived for too long, or have grown too large. They go the way of those that retire of
//! their own accord, replacement first.

use std::time::Duration;

use super::{Action, Child, Level, Limits, Line, Plan, Time};
use crate::arbiter::line::Arg;

/// How often the memory of workers is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long it is not looked at, at most, where every time somebody is too large.
const SELDOM: Duration = Duration::from_secs(64);
/// A worker that is too large before this age has not grown: it needs more than it may have.
const GROWN: Duration = Duration::from_secs(60);

/// When to look at the memory of workers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales {
    every: Duration,
    at: Time,
}

impl Default for Scales {
    fn default() -> Self {
        Self { every: EVERY, at: Time::ZERO }
    }
}

impl Plan {
    /// Marks workers whose life is over, and asks for the memory of the others when it is time.
    pub(super) fn wear_out(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        let mut actions = Vec::new();
        let over = |child: &&mut Child| over_at(child, limits).is_some_and(|moment| now >= moment);
        for child in self.children.iter_mut().filter(over) {
            child.worn = true;
            actions.push(old_age(child, now));
        }
        if limits.memory.is_some() && now >= self.scales.at {
            self.scales.at = now + self.scales.every;
            let pids: Vec<_> =
                self.children.iter().filter(|child| wears(child)).map(|child| child.pid).collect();
            actions.extend((!pids.is_empty()).then_some(Action::Weigh(pids)));
        }
        actions
    }

    /// Of those that were asked for these have more private memory than they may: `(pid, bytes)`.
    pub fn weighed(&mut self, heavy: &[(i32, u64)], limits: &Limits, now: Time) -> Vec<Action> {
        let mut actions = Vec::new();
        for child in self.children.iter_mut().filter(|child| wears(child)) {
            let Some((_, bytes)) = heavy.iter().find(|(pid, _)| *pid == child.pid) else { continue };
            child.worn = true;
            actions.push(too_large(child, *bytes, limits.memory.unwrap_or_default(), now));
        }
        // Otherwise a limit below what every worker needs would be a loop of starts.
        let every = if heavy.is_empty() { EVERY } else { (self.scales.every * 2).min(SELDOM) };
        self.scales = Scales { every, at: now + every };
        actions
    }

    /// When the next of these is due.
    pub(super) fn wear_deadline(&self, limits: &Limits) -> Option<Time> {
        let over = self.children.iter().filter_map(|child| over_at(child, limits)).min();
        let weigh = limits.memory.is_some() && self.children.count(wears) > 0;
        over.into_iter().chain(weigh.then_some(self.scales.at)).min()
    }
}

/// It serves, and nothing says yet that it shall be replaced.
fn wears(child: &Child) -> bool {
    child.stays() && child.booted() && !child.retires()
}

fn over_at(child: &Child, limits: &Limits) -> Option<Time> {
    limits.lifetime.filter(|_| wears(child)).map(|lifetime| child.forked + lifetime.drawn(child.lot))
}

fn old_age(child: &Child, now: Time) -> Action {
    let text = "Worker (pid:%s) has lived for %s seconds (max_worker_lifetime) and is replaced.";
    Action::Log(Line::new(Level::Info, text, [child.pid.into(), age(child, now)]))
}

fn too_large(child: &Child, bytes: u64, limit: u64, now: Time) -> Action {
    let args = [child.pid.into(), mebibytes(bytes), mebibytes(limit), age(child, now)];
    let (level, text) = match now < child.forked + GROWN {
        true => (
            Level::Warning,
            "Worker (pid:%s) has %s MiB of private memory, more than max_worker_memory (%s MiB), and is replaced, \
             though it is only %s seconds old: it may need more than that.",
        ),
        false => (
            Level::Info,
            "Worker (pid:%s) has %s MiB of private memory, more than max_worker_memory (%s MiB), and is replaced after \
             %s seconds.",
        ),
    };
    Action::Log(Line::new(level, text, args))
}

fn age(child: &Child, now: Time) -> Arg {
    Arg::Text(now.saturating_sub(child.forked).as_secs().to_string())
}

fn mebibytes(bytes: u64) -> Arg {
    Arg::Text(format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}
