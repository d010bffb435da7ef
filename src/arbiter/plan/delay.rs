//! The time between the order to end and the end (`shutdown_delay`): everybody serves on, so that whoever sends requests
//! can find out and go elsewhere. Workers that die are replaced; nothing else is changed any more.

use nix::sys::signal::Signal;

use super::{Action, Course, Level, Limits, Line, Plan, Time, handling};

impl Plan {
    /// Ends the service gracefully, after `shutdown_delay`.
    pub(super) fn end(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        if limits.shutdown_delay.is_zero() || self.booted() == 0 {
            return self.stop(false, 0, None, limits, now);
        }
        self.course = Course::Delay { until: now + limits.shutdown_delay };
        let text = "The service ends. It goes on accepting for %s seconds.";
        let seconds = limits.shutdown_delay.as_secs().to_string();
        let announced = [Action::AnnounceEnd, Action::Log(Line::new(Level::Info, text, [seconds.into()]))];
        announced.into_iter().chain(self.abandon_renewal()).collect()
    }

    /// A signal in that time: whoever wants the end once more wants it now.
    pub(super) fn in_delay(&mut self, signal: Signal, limits: &Limits, now: Time) -> Vec<Action> {
        let consequence = match signal {
            Signal::SIGTERM => self.stop(false, 0, None, limits, now),
            Signal::SIGINT | Signal::SIGQUIT => self.stop(true, 0, None, limits, now),
            Signal::SIGUSR1 => self.reopen_logs(),
            _ => Vec::new(),
        };
        std::iter::once(Action::Log(handling(signal))).chain(consequence).collect()
    }

    pub(super) fn settle_delay(&mut self, until: Time, limits: &Limits, now: Time) -> Vec<Action> {
        if now >= until {
            return self.stop(false, 0, None, limits, now);
        }
        let mut actions = self.abort_late(limits, now);
        actions.extend(self.kill_overdue(limits, now));
        if self.lost(limits) && now >= self.backoff.until() {
            actions.push(Action::Spawn);
        }
        actions
    }

    /// Some worker has died and is not replaced.
    pub(super) fn lost(&self, limits: &Limits) -> bool {
        self.children.count(super::Child::stays) < limits.workers
    }
}
