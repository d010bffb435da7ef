//! Workers that take too long: over a request, or over leaving.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Action, Child, Level, Limits, Line, Plan, Time};

/// How long a worker may take to die of SIGABRT before it gets SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// What a worker may be late with a beat: those of other makers beat by a clock of whole seconds, since Gunicorn looks
/// once a second.
const BEAT_GRACE: Duration = Duration::from_secs(1);

impl Plan {
    /// Workers that have been busy with one request for longer than `timeout`: SIGABRT, then SIGKILL. A
    /// worker that boots is never late.
    pub(super) fn abort_late(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
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
    pub(super) fn kill_overdue(&mut self, limits: &Limits, now: Time) -> Vec<Action> {
        let overdue_now = |child: &&mut Child| overdue_at(child, limits).is_some_and(|moment| now >= moment);
        let end = |child: &mut Child| [overdue(child, limits), kill(child)];
        self.children.iter_mut().filter(overdue_now).flat_map(end).collect()
    }
}

/// When one of the above may be due for this worker, or when it counts as booted.
pub(super) fn deadline(child: &Child, limits: &Limits) -> Option<Time> {
    if child.killed {
        return None;
    }
    let late = limits.timeout.and_then(|timeout| match child.aborted {
        Some(aborted) => Some(aborted + ABORT_GRACE),
        None => late_at(child, timeout),
    });
    late.into_iter().chain(overdue_at(child, limits)).chain(child.settles_at()).min()
}

pub(super) fn kill(child: &mut Child) -> Action {
    child.killed = true;
    Action::Signal(child.pid, Signal::SIGKILL)
}

fn overdue(child: &Child, limits: &Limits) -> Action {
    said_overdue(child.pid, patience(child, limits).map_or("graceful_timeout", |(_, setting)| setting))
}

/// What is said of a worker that has had the time of that setting.
pub(super) fn said_overdue(pid: i32, setting: &'static str) -> Action {
    let text = "Worker (pid:%s) has not left within %s and is killed.";
    Action::Log(Line::new(Level::Warning, text, [pid.into(), setting.to_owned().into()]))
}

/// When a worker counts as late, if it does not start anew before.
fn late_at(child: &Child, timeout: Duration) -> Option<Time> {
    let grace = if child.busy_since().is_some() { Duration::ZERO } else { BEAT_GRACE };
    child.watched_since().map(|since| since + timeout + grace)
}

/// When a leaving worker has had time enough. One with a request has until its `timeout`, unless it has given the
/// request up. Where several run at once they have that time together. One that has finished has to end, too: threads and
/// `atexit` functions of the application must not keep it for ever.
fn overdue_at(child: &Child, limits: &Limits) -> Option<Time> {
    let has_timeout = child.busy_since().is_some() && !child.seen.stuck;
    let leaving = child.leaving.filter(|_| !has_timeout && !child.killed)?;
    let since = leaving.max(Time::from_nanos(child.seen.done));
    patience(child, limits).map(|(patience, _)| since + patience)
}

/// How long that is, if not for ever, and the setting that says so.
fn patience(child: &Child, limits: &Limits) -> Option<(Duration, &'static str)> {
    let graceful = limits.graceful_timeout;
    match limits.timeout {
        _ if !child.seen.finishes || child.seen.stuck || child.seen.done > 0 => {
            Some((graceful, "graceful_timeout"))
        }
        Some(timeout) if timeout > graceful => Some((timeout, "timeout")),
        Some(_) => Some((graceful, "graceful_timeout")),
        None => None,
    }
}
