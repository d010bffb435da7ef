//! What to do next: from the workers there are, the limits and the time to the actions that are due. Pure:
//! nothing here forks, kills, logs or reads a clock, and nothing else decides to.
//!
//! `settle` is asked again and again until it has no more actions; each action is remembered as done when it
//! is given out, except `Spawn`, whose result comes back through `forked` or `fork_failed`.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::backoff::{Backoff, YOUNG};
use super::children::{Child, Children, Time};
use super::line::{Level, Line};
use crate::log::Reason;
use crate::scoreboard::{Snapshot, State};
use crate::sys::fork::Exit;
use stop::Stop;

mod deaths;
mod stop;
#[cfg(test)]
mod tests;

/// How long a worker may take to die of SIGABRT before it gets SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// What a worker may be late with a beat: those of other makers beat by a clock of whole seconds, since Gunicorn looks
/// once a second.
const BEAT_GRACE: Duration = Duration::from_secs(1);
/// The settings that decide about workers. They may change with every reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many workers there should be.
    pub workers: usize,
    /// How long a worker may be busy with one request (`timeout`); `None`: for ever.
    pub timeout: Option<Duration>,
    /// How long workers may take to leave (`graceful_timeout`).
    pub graceful_timeout: Duration,
    /// The arbiter was daemonized (`daemon`): it obeys SIGWINCH.
    pub daemon: bool,
}

/// Something to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork one worker, then call `forked` or `fork_failed`.
    Spawn,
    /// Send a signal to a worker.
    Signal(i32, Signal),
    /// Log that a worker is late and send it SIGABRT.
    Abort {
        /// Its process id.
        pid: i32,
        /// Its place on the scoreboard.
        slot: usize,
    },
    /// A worker has ended and been collected: forget it, call `child_exit`.
    Reaped {
        /// Its process id.
        pid: i32,
        /// Its place on the scoreboard.
        slot: usize,
        /// Why the requests are over that it was serving, if it was.
        why: Reason,
        /// The log has named these requests already.
        named: bool,
    },
    /// Write to the error log.
    Log(Line),
    /// Ask the arbiter's method for this signal what to do; what it wants comes back through `order`.
    Handle(Signal),
    /// Read the configuration again; if that works call `reloaded`.
    Reload,
    /// The reload is complete: what the old configuration held can go.
    KeepReload,
    /// The new workers do not boot: return to the configuration before the reload.
    DropReload,
    /// Change the number of workers that there should be.
    Resize(usize),
    /// Reopen the log files.
    ReopenLogs,
    /// Stop listening.
    CloseListeners,
    /// Nobody is left: end with this status; the reason, if any, is logged.
    Halt {
        /// Exit status.
        status: i32,
        /// Why, if it was not asked for.
        reason: Option<&'static str>,
    },
}

#[derive(Debug)]
enum Course {
    Serve,
    Stop(Stop),
}

/// The arbiter's mind.
#[derive(Debug)]
pub struct Plan {
    children: Children,
    generation: u64,
    reloading: bool,
    backoff: Backoff,
    course: Course,
}

impl Default for Plan {
    fn default() -> Self {
        let (children, backoff) = (Children::default(), Backoff::default());
        Self { children, generation: 0, reloading: false, backoff, course: Course::Serve }
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

    /// How many workers take connections of others, and stay.
    pub fn takers(&self) -> usize {
        match self.course {
            Course::Serve => self.children.count(|child| child.stays() && child.seen.takes),
            Course::Stop(_) => 0,
        }
    }

    /// A worker has been forked.
    pub fn forked(&mut self, pid: i32, age: u64, slot: usize, now: Time) {
        self.children.add(Child::new(pid, age, slot, self.generation, now));
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

    /// The configuration has been read again: from now on workers are of a new generation.
    pub fn reloaded(&mut self) {
        self.generation += 1;
        self.reloading = true;
        self.backoff = Backoff::default();
    }

    /// A signal has come.
    pub fn signal(&mut self, signal: Signal, now: Time) -> Vec<Action> {
        match &self.course {
            Course::Serve => vec![Action::Log(handling(signal)), Action::Handle(signal)],
            Course::Stop(_) => self.in_stop(signal, now),
        }
    }

    /// What this signal stands for is wanted.
    pub fn order(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        match &self.course {
            Course::Serve => self.obey(signal, limits, now),
            Course::Stop(_) => self.in_stop(signal, now),
        }
    }

    /// What is due now. Empty: nothing before `deadline`, unless something happens.
    pub fn settle(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        match &mut self.course {
            Course::Stop(stop) => stop.settle(&mut self.children, now),
            Course::Serve => {
                let mut actions = self.abort_late(limits, now);
                actions.extend(self.kill_overdue(limits, now));
                actions.extend(self.finish_reload(limits, now));
                actions.extend(self.release_replaced(limits, now));
                if self.missing(limits) > 0 && now >= self.backoff.until() {
                    actions.push(Action::Spawn);
                }
                actions
            }
        }
    }

    /// The earliest moment at which `settle` may have something to do; `None`: not before something happens.
    pub fn deadline(&self, limits: &Limits) -> Option<Time> {
        match &self.course {
            Course::Stop(stop) => Some(stop.deadline()),
            Course::Serve => {
                let respawn = (self.missing(limits) > 0).then(|| self.backoff.until());
                self.children.iter().filter_map(|child| child_deadline(child, limits)).chain(respawn).min()
            }
        }
    }

    fn obey(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        let workers = limits.workers;
        match signal {
            Signal::SIGTERM => self.stop(false, 0, None, limits, now),
            Signal::SIGINT | Signal::SIGQUIT => self.stop(true, 0, None, limits, now),
            Signal::SIGHUP => vec![Action::Reload],
            Signal::SIGTTIN => vec![Action::Resize(workers + 1)],
            Signal::SIGTTOU if workers > 1 => vec![Action::Resize(workers - 1)],
            Signal::SIGUSR1 => self.reopen_logs(),
            Signal::SIGWINCH if limits.daemon => {
                vec![Action::Log(Line::new(Level::Info, "graceful stop of workers", [])), Action::Resize(0)]
            }
            Signal::SIGWINCH => {
                vec![Action::Log(Line::new(Level::Debug, "SIGWINCH ignored. Not daemonized", []))]
            }
            Signal::SIGUSR2 => {
                vec![Action::Log(Line::new(
                    Level::Warning,
                    "USR2 signal ignored. Upgrades are not supported yet.",
                    [],
                ))]
            }
            _ => Vec::new(),
        }
    }

    fn reopen_logs(&self) -> Vec<Action> {
        let workers = self.children.iter().map(|child| Action::Signal(child.pid, Signal::SIGUSR1));
        std::iter::once(Action::ReopenLogs).chain(workers).collect()
    }

    /// Workers that have been busy with one request for longer than `timeout`: SIGABRT, then SIGKILL. A
    /// worker that boots is never late.
    fn abort_late(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        let Some(timeout) = limits.timeout else { return Vec::new() };
        let mut actions = Vec::new();
        for child in self.children.iter_mut().filter(|child| !child.killed) {
            match child.aborted {
                Some(aborted) if now >= aborted + ABORT_GRACE => actions.push(kill(child)),
                None if late_at(child, timeout).is_some_and(|moment| now >= moment) => {
                    child.aborted = Some(now);
                    actions.push(Action::Abort { pid: child.pid, slot: child.slot });
                }
                _ => {}
            }
        }
        actions
    }

    /// Workers that were told to leave, have no request whose end can be waited for, and are still there after
    /// `graceful_timeout`: SIGKILL.
    fn kill_overdue(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        let overdue_now = |child: &&mut Child| overdue_at(child, limits).is_some_and(|moment| now >= moment);
        let end = |child: &mut Child| [overdue(child.pid), kill(child)];
        self.children.iter_mut().filter(overdue_now).flat_map(end).collect()
    }

    /// Once every worker of a new generation has booted the others may go. Those of an older one that have
    /// not booted are of no use.
    fn finish_reload(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        if !self.reloading {
            return Vec::new();
        }
        let generation = self.generation;
        let superseded = |child: &Child| child.generation < generation && child.stays();
        // Retiring ones count: where `max_requests` is small they may be all there is at any moment.
        let current = |child: &Child| child.generation == generation && child.stays() && child.booted();
        let complete = self.children.count(current) >= limits.workers;
        let mut actions =
            self.dismiss(|child| superseded(child) && (complete || !child.booted()), usize::MAX, now);
        if complete {
            self.reloading = false;
            actions.push(Action::KeepReload);
        }
        actions
    }

    /// TERM, once, to retiring workers that have been replaced, and to the oldest of those that are too many.
    fn release_replaced(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        let (generation, booted) = (self.generation, self.fresh_and_booted());
        let retiring = |child: &Child| child.generation == generation && child.stays() && child.seen.retiring;
        let still_needed = limits.workers.saturating_sub(booted);
        let replaced = self.children.count(retiring).saturating_sub(still_needed);
        let mut actions = self.dismiss(retiring, replaced, now);
        let surplus = booted.saturating_sub(limits.workers);
        actions.extend(self.dismiss(|child| fresh(child, generation) && child.booted(), surplus, now));
        actions
    }

    /// TERM to the oldest `most` of those that match.
    fn dismiss(&mut self, matches: impl Fn(&Child) -> bool, most: usize, now: Time) -> Vec<Action> {
        let leave = |child: &mut Child| {
            child.leaving = Some(now);
            Action::Signal(child.pid, Signal::SIGTERM)
        };
        self.children.iter_mut().filter(|child| matches(child)).take(most).map(leave).collect()
    }

    fn missing(&self, limits: &Limits) -> usize {
        limits.workers.saturating_sub(self.children.count(|child| fresh(child, self.generation)))
    }

    fn fresh_and_booted(&self) -> usize {
        self.children.count(|child| fresh(child, self.generation) && child.booted())
    }
}

/// It counts towards the number of workers: of the current generation and not about to leave.
fn fresh(child: &Child, generation: u64) -> bool {
    child.generation == generation && child.stays() && !child.seen.retiring
}

fn kill(child: &mut Child) -> Action {
    child.killed = true;
    Action::Signal(child.pid, Signal::SIGKILL)
}

fn overdue(pid: i32) -> Action {
    let text = "Worker (pid:%s) has not left within graceful_timeout and is killed.";
    Action::Log(Line::new(Level::Warning, text, [pid.into()]))
}

/// When a worker counts as late, if it does not start anew before.
fn late_at(child: &Child, timeout: Duration) -> Option<Time> {
    let grace = if child.busy_since().is_some() { Duration::ZERO } else { BEAT_GRACE };
    child.watched_since().map(|since| since + timeout + grace)
}

/// When a leaving worker has had time enough. One with a request has until its `timeout`, unless it has given the
/// request up.
fn overdue_at(child: &Child, limits: &Limits) -> Option<Time> {
    let finishes = child.busy_since().is_some() && !child.seen.stuck;
    let waited_for = !finishes && !child.killed;
    child.leaving.filter(|_| waited_for).map(|leaving| leaving + limits.graceful_timeout)
}

fn child_deadline(child: &Child, limits: &Limits) -> Option<Time> {
    if child.killed {
        return None;
    }
    let late = limits.timeout.and_then(|timeout| match child.aborted {
        Some(aborted) => Some(aborted + ABORT_GRACE),
        None => late_at(child, timeout),
    });
    late.into_iter().chain(overdue_at(child, limits)).chain(child.settles_at()).min()
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
