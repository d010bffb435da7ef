//! What the end of a child process means: a line in the log, a wait, the end of a reload, or the end of the
//! service.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Action, Child, Exit, Level, Limits, Line, Plan, Time, YOUNG, seconds};
use crate::log::Reason;

/// Exit status of a worker that could not boot, and of an arbiter that ends because of it.
pub const WORKER_BOOT_ERROR: i32 = 3;
/// Exit status when the application could not be found.
pub const APP_LOAD_ERROR: i32 = 4;
/// A worker that ends before this age, unless it has asked for a replacement, has not done what it was there for.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

impl Plan {
    /// A child process has ended; `status` is the status word of waitpid(2). `starved`: the kernel has ended a process
    /// for want of memory since the last one was killed.
    pub fn exited(
        &mut self,
        pid: i32,
        exit: Exit,
        status: i32,
        starved: bool,
        limits: &Limits,
        now: Time,
    ) -> Vec<Action> {
        let Some(child) = self.children.remove(pid) else {
            if let Some(actions) = self.successor_ended(pid, exit).or_else(|| self.proof_ended(pid, exit)) {
                return actions;
            }
            let text = "Reaped unknown child process (pid:%s, status:%s)";
            return vec![Action::Log(Line::new(Level::Debug, text, [pid.into(), status.into()]))];
        };
        let ends_reload = self.serves() && child.stays() && self.ends_reload(&child, exit);
        let mut actions = Vec::new();
        if !ends_reload {
            actions.extend(obituary(&child, exit, starved).map(Action::Log));
        }
        // Of one that was late they have, with the timeout.
        let named = child.aborted.is_some();
        actions.push(Action::Reaped { pid, slot: child.slot, why: cut_short(&child), named });
        if ends_reload {
            actions.push(Action::Log(reload_failed(&child, exit, starved, self.booted())));
            actions.extend(self.drop_reload(now));
        } else if child.stays() {
            actions.extend(self.mourn(&child, exit, limits, now));
        }
        actions
    }

    /// A worker has ended unasked.
    fn mourn(&mut self, child: &Child, exit: Exit, limits: &Limits, now: Time) -> Vec<Action> {
        // What has served has booted, whatever status its application ended it with.
        let failure = boot_failure(exit).filter(|_| !child.has_served());
        let alone = self.children.count(|other| other.stays() && other.booted()) == 0;
        if let Some((status, reason)) = failure.filter(|_| alone && self.serves()) {
            return self.stop(false, status, Some(reason), limits, now);
        }
        if failure.is_none() && !died_young(child, exit, now) || self.old(child) {
            return Vec::new();
        }
        match self.backoff.died_young(child.has_served(), now) {
            Some(delay) => {
                let text = "Workers die young. The next one starts in %s seconds.";
                vec![Action::Log(Line::new(Level::Warning, text, [seconds(delay).into()]))]
            }
            None => Vec::new(),
        }
    }
}

/// Its start has to do with its end: the next one may fare no better.
fn died_young(child: &Child, exit: Exit, now: Time) -> bool {
    // Ends of its own accord: `max_requests` (of native classes after they asked for a replacement), `reload`.
    let its_time = (child.has_served() || child.seen.beat > 0) && now >= child.forked + SHORTEST_LIFE;
    let retired = child.seen.retiring || (exit == Exit::Code(0) && its_time);
    child.aborted.is_none() && !retired && now < child.forked + YOUNG
}

/// Why requests were cut short that the worker was serving, if it was.
fn cut_short(child: &Child) -> Reason {
    if child.aborted.is_some() {
        Reason::Timeout
    } else if child.stays() {
        Reason::Killed
    } else {
        Reason::Shutdown
    }
}

/// The status and the reason with which the service ends where nobody boots.
pub(super) fn boot_failure(exit: Exit) -> Option<(i32, &'static str)> {
    match exit {
        Exit::Code(WORKER_BOOT_ERROR) => Some((WORKER_BOOT_ERROR, "Worker failed to boot.")),
        Exit::Code(APP_LOAD_ERROR) => Some((APP_LOAD_ERROR, "App failed to load.")),
        _ => None,
    }
}

/// Gunicorn's line for a worker's end; for status 0 only where there was no boot. Memory is named only where the kernel says
/// that it ran out.
fn obituary(child: &Child, exit: Exit, starved: bool) -> Option<Line> {
    let pid = child.pid;
    let number = match exit {
        Exit::Code(0) if child.booted() || child.has_served() || !child.stays() => return None,
        Exit::Code(0) => {
            let text = "Worker (pid:%s) exited with code 0 before it could serve.";
            return Some(Line::new(Level::Error, text, [pid.into()]));
        }
        Exit::Code(code) => {
            let text = "Worker (pid:%s) exited with code %s.";
            return Some(Line::new(Level::Error, text, [pid.into(), code.into()]));
        }
        Exit::Signal(number) => number,
    };
    let (level, text) = match Signal::try_from(number) {
        Ok(Signal::SIGKILL) if starved && !child.killed => {
            (Level::Error, "Worker (pid:%s) was sent %s! Perhaps out of memory?")
        }
        Ok(Signal::SIGKILL) => (Level::Error, "Worker (pid:%s) was sent %s!"),
        Ok(Signal::SIGTERM) => (Level::Info, "Worker (pid:%s) was sent %s!"),
        _ => (Level::Warning, "Worker (pid:%s) was sent %s!"),
    };
    Some(Line::new(level, text, [pid.into(), signal_name(number).into()]))
}

/// In place of an obituary. A worker that could not load the application has logged why.
fn reload_failed(child: &Child, exit: Exit, starved: bool, serving: usize) -> Line {
    let manner = match exit {
        Exit::Signal(libc::SIGKILL) if starved => "was sent SIGKILL, perhaps out of memory".to_owned(),
        exit => manner(exit),
    };
    let text = match serving {
        0 => {
            "Reload failed: the new workers do not boot (pid:%s %s), and no old one is left. The configuration \
             before it is tried."
        }
        _ => "Reload failed: the new workers do not boot (pid:%s %s). The old ones keep serving.",
    };
    Line::new(Level::Error, text, [child.pid.into(), manner.into()])
}

/// How a process has ended, in words.
pub(super) fn manner(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(number) => format!("was sent {}", signal_name(number)),
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.to_string())
}
