//! What the plan wants to be done: values, which `run` carries out in their order.

use nix::sys::signal::Signal;

use crate::arbiter::line::Line;
use crate::log::Reason;

/// Something to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork one worker, then call `forked` or `fork_failed`.
    Spawn,
    /// Start the next arbiter beside this one, then call `successor_forked`.
    Upgrade,
    /// The arbiter that has started this one is gone: take its place.
    Promote,
    /// The next arbiter is gone.
    ForgetSuccessor(i32),
    /// Start a process that proves that the new code loads, then call `proof_forked` or `renewal_failed`.
    Prove,
    /// Execute the program anew in this process, else call `renewal_failed`.
    Renew,
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
    /// Look which of these workers, by pid, have more private memory than they may, then call `weighed`.
    Weigh(Vec<i32>),
    /// Write to the error log.
    Log(Line),
    /// Ask the arbiter's method for this signal what to do; what it wants comes back through `order`.
    Handle(Signal),
    /// Read the configuration again; if that works call `reloaded`, or `renew` if the program is needed anew.
    Reload,
    /// The first worker of a reload has booted: its configuration is the one to return to.
    ProveReload,
    /// The reload is complete: what the old configuration held can go.
    KeepReload,
    /// The first worker of a reload does not boot: return to the configuration that is proven.
    DropReload,
    /// Change the number of workers that there should be.
    Resize(usize),
    /// Reopen the log files.
    ReopenLogs,
    /// The service was told to end: say so to the workers and to whoever watches it.
    AnnounceEnd,
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
