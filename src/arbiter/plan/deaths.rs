//! What the end of a child process means: a line in the log, a wait, the end of a reload, or the end of the
//! service.

use nix::sys::signal::Signal;

use super::{Action, Child, Exit, Level, Limits, Line, Plan, Reason, Time, YOUNG, fresh, seconds};

/// Exit status of a worker that could not boot, and of an arbiter that ends because of it.
pub const WORKER_BOOT_ERROR: i32 = 3;
/// Exit status when the application could not be found.
pub const APP_LOAD_ERROR: i32 = 4;

impl Plan {
    /// A child process has ended; `status` is the status word of waitpid(2).
    pub fn exited(&mut self, pid: i32, exit: Exit, status: i32, limits: &Limits, now: Time) -> Vec<Action> {
        let Some(child) = self.children.remove(pid) else {
            if let Some(actions) = self.successor_ended(pid, exit).or_else(|| self.proof_ended(pid, exit)) {
                return actions;
            }
            let text = "Reaped unknown child process (pid:%s, status:%s)";
            return vec![Action::Log(Line::new(Level::Debug, text, [pid.into(), status.into()]))];
        };
        let mut actions: Vec<_> = obituary(&child, exit).map(Action::Log).into_iter().collect();
        // Of one that was late they have, with the timeout.
        let named = child.aborted.is_some();
        actions.push(Action::Reaped { pid, slot: child.slot, why: cut_short(&child), named });
        if child.stays() {
            actions.extend(self.mourn(&child, exit, limits, now));
        }
        actions
    }

    /// A worker has ended unasked.
    fn mourn(&mut self, child: &Child, exit: Exit, limits: &Limits, now: Time) -> Vec<Action> {
        // What has served has booted, whatever status its application ended it with.
        let failure = boot_failure(exit).filter(|_| !child.has_served());
        if failure.is_some() && self.reload_can_be_dropped(child) {
            return self.drop_reload(now);
        }
        let alone = self.children.count(|other| other.stays() && other.booted()) == 0;
        if let Some((status, reason)) = failure.filter(|_| alone) {
            return self.stop(false, status, Some(reason), limits, now);
        }
        // Ends of its own accord: `max_requests` (of native classes after they asked for a replacement), `reload`.
        let retired = child.seen.retiring || (exit == Exit::Code(0) && child.has_lived());
        let of_starting = child.aborted.is_none() && !retired && now < child.forked + YOUNG;
        if failure.is_none() && !of_starting {
            return Vec::new();
        }
        match self.backoff.died_young(now) {
            Some(delay) => {
                let text = "Workers die young. The next one starts in %s seconds.";
                vec![Action::Log(Line::new(Level::Warning, text, [seconds(delay).into()]))]
            }
            None => Vec::new(),
        }
    }

    /// It was of the new generation, and workers of an older one still serve.
    fn reload_can_be_dropped(&self, child: &Child) -> bool {
        let old = |other: &Child| other.generation < self.generation && other.stays() && other.booted();
        self.reloading && child.generation == self.generation && self.children.count(old) > 0
    }

    /// The old workers stay and count as current; those of the new generation leave.
    fn drop_reload(&mut self, now: Time) -> Vec<Action> {
        let generation = self.generation;
        let mut actions =
            self.dismiss(|child| child.generation == generation && child.stays(), usize::MAX, now);
        self.children.iter_mut().for_each(|child| child.generation = generation);
        self.reloading = false;
        debug_assert!(self.children.count(|child| fresh(child, generation) || child.seen.retiring) > 0);
        let text = "Reload failed: the new workers do not boot. The old ones keep serving.";
        actions.insert(0, Action::Log(Line::new(Level::Error, text, [])));
        actions.push(Action::DropReload);
        actions
    }
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

fn boot_failure(exit: Exit) -> Option<(i32, &'static str)> {
    match exit {
        Exit::Code(WORKER_BOOT_ERROR) => Some((WORKER_BOOT_ERROR, "Worker failed to boot.")),
        Exit::Code(APP_LOAD_ERROR) => Some((APP_LOAD_ERROR, "App failed to load.")),
        _ => None,
    }
}

/// Gunicorn's line for a worker's end; none for status 0. Who killed it is a riddle only if it was not the arbiter.
fn obituary(child: &Child, exit: Exit) -> Option<Line> {
    let pid = child.pid;
    let number = match exit {
        Exit::Code(0) => return None,
        Exit::Code(code) => {
            let text = "Worker (pid:%s) exited with code %s.";
            return Some(Line::new(Level::Error, text, [pid.into(), code.into()]));
        }
        Exit::Signal(number) => number,
    };
    let signal = Signal::try_from(number).ok();
    let name = signal.map_or_else(|| format!("signal {number}"), |signal| signal.to_string());
    let (level, text) = match signal {
        Some(Signal::SIGKILL) if !child.killed => {
            (Level::Error, "Worker (pid:%s) was sent %s! Perhaps out of memory?")
        }
        Some(Signal::SIGKILL) => (Level::Error, "Worker (pid:%s) was sent %s!"),
        Some(Signal::SIGTERM) => (Level::Info, "Worker (pid:%s) was sent %s!"),
        _ => (Level::Warning, "Worker (pid:%s) was sent %s!"),
    };
    Some(Line::new(level, text, [pid.into(), name.into()]))
}
