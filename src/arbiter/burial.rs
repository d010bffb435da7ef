//! What is done about a worker that has ended: its requests are named, its lines of the access log written, its work added
//! up, and its place given back.

use std::path::Path;

use nix::sys::signal::Signal;
use pyo3::prelude::*;

use super::children::Time;
use super::host::Host;
use super::oom::Casualties;
use super::requests;
use super::tally::Tally;
use crate::log::Reason;
use crate::scoreboard::{Board, Running};
use crate::sys::fork::Exit;

/// Who does it, for all workers of a service.
pub struct Undertaker {
    casualties: Casualties,
    tally: Tally,
}

/// A worker that has ended.
pub struct Deceased {
    /// Its process id.
    pub pid: i32,
    /// Its place on the scoreboard.
    pub slot: usize,
    /// Why the requests are over that it was serving, if it was.
    pub why: Reason,
    /// The log has named these requests already.
    pub named: bool,
}

impl Undertaker {
    /// Nobody has ended yet.
    pub fn new() -> Self {
        Self { casualties: Casualties::watch(Path::new("/")), tally: Tally::default() }
    }

    /// Whether a process that ended so may have been ended for want of memory.
    pub fn starved(&mut self, exit: Exit, now: Time) -> bool {
        exit == Exit::Signal(Signal::SIGKILL as i32) && self.casualties.claim(now)
    }

    /// Does what is due. What fails is the user's logger or hook.
    pub fn bury(&mut self, worker: &Deceased, board: &Board, host: &Host<'_, '_>, now: Time) -> PyResult<()> {
        let running = board.running(worker.slot);
        let unwritten = board.unwritten(worker.slot);
        let [_, unsent] = &unwritten;
        self.tally.add(&board.snapshot(worker.slot), &running, unsent);
        let lost = if worker.named { Vec::new() } else { requests::lost(worker.pid, &running, now) };
        let logged = lost.iter().try_for_each(|line| host.log(line));
        let logged = logged.and_then(|()| write_access_lines(&unwritten, host));
        let logged = logged.and_then(|()| log_cut(worker, &running, host, now));
        board.release(worker.slot);
        if let Some(handoff) = board.handoff() {
            // The kernel may have called the worker for somebody whom it could not let in any more.
            handoff.call();
        }
        host.remove_worker(worker.pid).and(logged)
    }

    /// What all of them have done.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What others have done, who ended before the program was executed anew.
    pub fn adopt(&mut self, tally: Tally) {
        self.tally = tally;
    }
}

/// The lines of the access log that the worker has not written: of requests that it has served, and of responses that it
/// was sending.
fn write_access_lines(unwritten: &[Vec<u8>], host: &Host<'_, '_>) -> PyResult<()> {
    unwritten.iter().filter(|lines| !lines.is_empty()).try_for_each(|lines| host.write_access_lines(lines))
}

/// And of the requests that it was serving when it ended.
fn log_cut(worker: &Deceased, running: &[Running], host: &Host<'_, '_>, now: Time) -> PyResult<()> {
    let mut cut = running.iter().filter(|request| !request.logged);
    cut.try_for_each(|one| {
        host.log_cut_request(worker.pid, &one.request, requests::taken(one, now), worker.why)
    })
}
