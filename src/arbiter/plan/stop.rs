//! The way down: everybody is told to leave, then waited for, then killed.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::late::{kill, said_overdue};
use super::{Action, Child, Children, Course, Level, Limits, Line, Plan, Time};

/// What remains of `graceful_timeout` once a graceful stop has been made a quick one.
const QUICK_GRACE: Duration = Duration::from_secs(2);
/// How long the arbiter waits for killed workers to be gone.
const KILL_GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Stop {
    quick: bool,
    killed: bool,
    until: Time,
    status: i32,
    reason: Option<&'static str>,
}

impl Plan {
    /// Stops everything; the arbiter will end with this status. Has no effect when it is stopping already.
    pub fn stop(
        &mut self,
        quick: bool,
        status: i32,
        reason: Option<&'static str>,
        limits: &Limits,
        now: Time,
    ) -> Vec<Action> {
        if matches!(self.course, Course::Stop(_)) {
            return Vec::new();
        }
        let announced = matches!(self.course, Course::Delay { .. });
        let until = now + limits.graceful_timeout;
        self.course = Course::Stop(Stop { quick, killed: false, until, status, reason });
        let mut actions = Vec::new();
        actions.extend((!announced).then_some(Action::AnnounceEnd));
        actions.push(Action::CloseListeners);
        actions.extend(self.abandon_renewal());
        actions.extend(self.tell_all(if quick { Signal::SIGQUIT } else { Signal::SIGTERM }, now));
        actions
    }

    /// A signal during a stop: INT and QUIT make it quick.
    pub(super) fn in_stop(&mut self, signal: Signal, now: Time) -> Vec<Action> {
        match signal {
            Signal::SIGINT | Signal::SIGQUIT => self.hurry(now),
            _ => Vec::new(),
        }
    }

    fn hurry(&mut self, now: Time) -> Vec<Action> {
        let Course::Stop(stop) = &mut self.course else { return Vec::new() };
        stop.until = stop.until.min(now + QUICK_GRACE);
        if std::mem::replace(&mut stop.quick, true) {
            return Vec::new();
        }
        let mut actions = vec![Action::Log(Line::new(Level::Info, "Quick shutdown requested", []))];
        actions.extend(self.tell_all(Signal::SIGQUIT, now));
        actions
    }

    fn tell_all(&mut self, signal: Signal, now: Time) -> Vec<Action> {
        let tell = |child: &mut Child| {
            child.leaving.get_or_insert(now);
            Action::Signal(child.pid, signal)
        };
        self.children.iter_mut().map(tell).collect()
    }
}

impl Stop {
    pub(super) fn settle(&mut self, children: &mut Children, now: Time) -> Vec<Action> {
        if children.is_empty() || self.killed && now >= self.until {
            return vec![Action::Halt { status: self.status, reason: self.reason }];
        }
        if now < self.until {
            return Vec::new();
        }
        self.killed = true;
        self.until = now + KILL_GRACE;
        children
            .iter_mut()
            .flat_map(|child| [said_overdue(child.pid, "graceful_timeout"), kill(child)])
            .collect()
    }

    pub(super) fn deadline(&self) -> Time {
        self.until
    }
}
