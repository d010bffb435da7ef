//! What to do next: from the workers there are, the limits and the time to the actions that are due. Pure:
//! nothing here forks, kills, logs or reads a clock, and nothing else decides to.
//!
//! `settle` is asked again and again until it has no more actions; each action is remembered as done when it
//! is given out, except `Spawn`, whose result comes back through `forked` or `fork_failed`.

use std::time::Duration;

use nix::sys::signal::Signal;

pub use self::action::Action;
pub use self::limits::{Lifetime, Limits};
pub use self::renewal::PROVEN;
use self::renewal::Renewal;
pub use self::roll::Roll;
use self::stop::Stop;
use self::upgrade::Upgrade;
use self::wear::Scales;
use super::backoff::{Backoff, YOUNG};
use super::children::{Child, Children, Time};
use super::line::{Level, Line};
use crate::scoreboard::{Snapshot, State};
use crate::sys::fork::Exit;

mod action;
mod deaths;
mod delay;
mod late;
mod limits;
mod number;
mod renewal;
mod roll;
mod stop;
#[cfg(test)]
mod tests;
mod upgrade;
mod wear;

#[derive(Debug)]
enum Course {
    Serve,
    /// The service was told to end and serves on until then.
    Delay {
        until: Time,
    },
    Stop(Stop),
}

/// The arbiter's mind.
#[derive(Debug)]
pub struct Plan {
    children: Children,
    roll: Roll,
    backoff: Backoff,
    scales: Scales,
    course: Course,
    upgrade: Upgrade,
    renewal: Renewal,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            children: Children::default(),
            roll: Roll::default(),
            backoff: Backoff::default(),
            scales: Scales::default(),
            course: Course::Serve,
            upgrade: Upgrade::default(),
            renewal: Renewal::default(),
        }
    }
}

impl Plan {
    /// The workers, oldest first.
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// Looks at what every worker is doing.
    pub fn observe(&mut self, look: impl Fn(usize) -> Snapshot, now: Time) {
        for child in self.children.iter_mut() {
            child.seen = look(child.slot);
            if child.settles_at().is_some_and(|moment| now >= moment) {
                child.seen.state = State::Idle;
            }
        }
    }

    /// Some worker's `timeout` is running, so that the earliest deadline is known. If none is, a worker that
    /// starts a request has to wake the arbiter.
    pub fn watching(&self) -> bool {
        self.children.count(|child| child.watched_since().is_some()) > 0
    }

    /// A worker has been forked. `lot` is a random number.
    pub fn forked(&mut self, pid: i32, age: u64, slot: usize, now: Time, lot: u32) {
        self.children.add(Child::new(pid, age, slot, self.roll.current, now, lot));
    }

    /// A worker could not be forked; `why` is the system's text.
    pub fn fork_failed(&mut self, why: String, now: Time) -> Vec<Action> {
        match self.backoff.fork_failed(now) {
            Some(delay) => {
                let text = "Cannot start a worker: %s. Trying again in %s seconds.";
                vec![Action::Log(Line::new(Level::Error, text, [why.into(), seconds(delay).into()]))]
            }
            None => Vec::new(),
        }
    }

    /// A signal has come.
    pub fn signal(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        match &self.course {
            Course::Serve => vec![Action::Log(handling(signal)), Action::Handle(signal)],
            Course::Delay { .. } => self.in_delay(signal, limits, now),
            Course::Stop(_) => self.in_stop(signal, now),
        }
    }

    /// What this signal stands for is wanted.
    pub fn order(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        match &self.course {
            Course::Serve => self.obey(signal, limits, now),
            Course::Delay { .. } => self.in_delay(signal, limits, now),
            Course::Stop(_) => self.in_stop(signal, now),
        }
    }

    /// What is due now. Empty: nothing before `deadline`, unless something happens.
    pub fn settle(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        match &mut self.course {
            Course::Stop(stop) => stop.settle(&mut self.children, now),
            Course::Delay { until } => {
                let until = *until;
                self.settle_delay(until, limits, now)
            }
            Course::Serve => {
                let mut actions = self.abort_late(limits, now);
                actions.extend(self.kill_overdue(limits, now));
                actions.extend(self.wear_out(limits, now));
                actions.extend(self.advance_roll(limits, now));
                actions.extend(self.release_surplus(limits, now));
                actions.extend(self.finish_roll(limits));
                actions.extend(self.settle_upgrade());
                actions.extend(self.settle_renewal());
                if self.startable(limits) > 0 && now >= self.backoff.until() {
                    actions.push(Action::Spawn);
                }
                actions
            }
        }
    }

    /// What this action begins nobody wants any more: since it was given out a failure has ended the service.
    pub fn abandons(&self, action: &Action) -> bool {
        match action {
            Action::Spawn => matches!(self.course, Course::Stop(_)),
            Action::Upgrade | Action::Prove | Action::Renew => !self.serves(),
            _ => false,
        }
    }

    /// The earliest moment at which `settle` may have something to do; `None`: not before something happens.
    pub fn deadline(&self, limits: &Limits) -> Option<Time> {
        let (end, spawn) = match &self.course {
            Course::Stop(stop) => return Some(stop.deadline()),
            Course::Delay { until } => (Some(*until), self.lost(limits)),
            Course::Serve => (self.wear_deadline(limits), self.startable(limits) > 0),
        };
        let respawn = spawn.then(|| self.backoff.until());
        let late = self.children.iter().filter_map(|child| late::deadline(child, limits));
        late.chain(respawn).chain(end).min()
    }

    fn serves(&self) -> bool {
        matches!(self.course, Course::Serve)
    }

    fn obey(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        let workers = limits.workers;
        match signal {
            Signal::SIGTERM => self.end(limits, now),
            // Nobody waits for the end but the successor, which takes the connections.
            Signal::SIGQUIT if self.successor().is_some() => self.stop(false, 0, None, limits, now),
            Signal::SIGINT | Signal::SIGQUIT => self.stop(true, 0, None, limits, now),
            Signal::SIGHUP => self.reload_ordered(),
            Signal::SIGTTIN => vec![Action::Resize(workers + 1)],
            Signal::SIGTTOU if workers > 1 => vec![Action::Resize(workers - 1)],
            Signal::SIGUSR1 => self.reopen_logs(),
            Signal::SIGWINCH if limits.daemon => {
                vec![Action::Log(Line::new(Level::Info, "graceful stop of workers", [])), Action::Resize(0)]
            }
            Signal::SIGWINCH => {
                vec![Action::Log(Line::new(Level::Debug, "SIGWINCH ignored. Not daemonized", []))]
            }
            Signal::SIGUSR2 => self.upgrade_ordered(),
            _ => Vec::new(),
        }
    }

    fn reopen_logs(&self) -> Vec<Action> {
        let workers = self.children.iter().map(|child| Action::Signal(child.pid, Signal::SIGUSR1));
        std::iter::once(Action::ReopenLogs).chain(workers).collect()
    }
}

/// Gunicorn's line for a signal, with its name for SIGCHLD.
fn handling(signal: Signal) -> Line {
    let (level, name) = match signal {
        Signal::SIGCHLD => (Level::Debug, "cld".to_owned()),
        _ => (Level::Info, signal.as_str().trim_start_matches("SIG").to_lowercase()),
    };
    Line::new(level, "Handling signal: %s", [name.into()])
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}
