//! The arbiter's loop: signals, ended children and pokes from workers in; the plan's actions out. Between two
//! events it sleeps in poll, detached from the interpreter, without a timeout unless the plan has a deadline.

use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pyo3::prelude::*;

use super::burial::{Deceased, Undertaker};
use super::children::Time;
use super::host::{Host, Reload};
use super::line::Line;
use super::plan::{Action, Limits, Plan};
use super::touch::Touch;
use super::{memory, requests};
use crate::scoreboard::{Board, Slot};
use crate::sys::fork::{self, Side};
use crate::sys::signals::{self, SignalPipe};
use crate::sys::{clock, pipe, random};

use anew::{Equipment, Lifeline};

mod anew;
mod events;
mod touched;

/// The signals that the arbiter acts on.
const SIGNALS: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCHLD,
];

/// Workers that can exist at once. A place costs memory only once it has been used.
const MOST_WORKERS: usize = 4096;

/// How the loop ends.
pub enum End {
    /// This process is a new worker, whose object this is. Everything of the arbiter's that it must not keep
    /// is closed.
    Child(Py<PyAny>),
    /// This process is to become the next arbiter; the text tells it what it inherits.
    Upgrade(String),
    /// This process is to prove that the new code loads.
    Prove,
    /// All workers are gone: the arbiter ends.
    Halt {
        /// Exit status.
        status: i32,
        /// Why, if it was not asked for.
        reason: Option<String>,
    },
}

/// Wraps a worker's place on the scoreboard for Python.
pub type WrapSlot = fn(Python<'_>, Slot) -> PyResult<Py<PyAny>>;

/// Runs the arbiter until it halts; in each forked worker it returns too. Fails only where it cannot begin:
/// no memory or no descriptors.
pub fn run(arbiter: &Bound<'_, PyAny>, wrap_slot: WrapSlot) -> PyResult<End> {
    let mut run = Run::new(Host::new(arbiter), wrap_slot)?;
    let py = arbiter.py();
    run.take_held_signals()?;
    run.collect_children();
    run.take_orders();
    run.take_touches();
    loop {
        if let Some(end) = run.settle(py) {
            return Ok(end);
        }
        run.sleep(py)?;
        run.take_signals();
        run.take_touches();
    }
}

struct Run<'a, 'py> {
    host: Host<'a, 'py>,
    wrap_slot: WrapSlot,
    plan: Plan,
    limits: Limits,
    failure: Option<String>,
    signals: SignalPipe,
    board: Arc<Board>,
    undertaker: Undertaker,
    pokes: OwnedFd,
    touch: Touch,
    poll: Poll,
    events: Events,
    /// Workers watch the read end: it ends when the last copy of the write end is gone, which is the
    /// arbiter's.
    lifeline: Lifeline,
    /// Ends when the arbiter does that has started this one.
    predecessor: Option<OwnedFd>,
}

impl<'a, 'py> Run<'a, 'py> {
    fn new(host: Host<'a, 'py>, wrap_slot: WrapSlot) -> PyResult<Self> {
        let (equipment, estate) = Equipment::take(&host, MOST_WORKERS)?;
        let Equipment { pokes, board, lifeline, predecessor } = equipment;
        host.set_waker(board.waker())?;
        let signals = SignalPipe::listen(&SIGNALS)?;
        let poll = Poll::new()?;
        let watched = [Some(signals.as_fd()), Some(pokes.as_fd()), predecessor.as_ref().map(AsFd::as_fd)];
        for (token, fd) in watched.into_iter().flatten().enumerate() {
            poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), Token(token), Interest::READABLE)?;
        }
        let touch = Touch::of_former(host.touch_files_before()?);
        let mut run = Self {
            limits: host.limits()?,
            host,
            wrap_slot,
            plan: Plan::default(),
            failure: None,
            signals,
            board,
            undertaker: Undertaker::new(),
            pokes,
            touch,
            poll,
            events: Events::with_capacity(8),
            lifeline,
            predecessor,
        };
        if run.predecessor.is_some() {
            run.plan.follow();
        }
        if let Some(estate) = estate {
            run.adopt_children(estate)?;
        }
        Ok(run)
    }

    /// Does what is due until nothing more is.
    fn settle(&mut self, py: Python<'py>) -> Option<End> {
        loop {
            self.look();
            let actions = self.plan.settle(&self.limits, now());
            self.show_takers();
            if actions.is_empty() {
                return None;
            }
            for action in actions {
                if let Some(end) = self.perform(py, action) {
                    return Some(end);
                }
            }
            self.take_signals();
        }
    }

    /// Brings the plan up to date with the scoreboard and the settings.
    fn look(&mut self) {
        match self.host.limits() {
            Ok(limits) => self.limits = limits,
            Err(error) => self.fail(error),
        }
        let board = &self.board;
        self.plan.observe(|slot| board.snapshot(slot), now());
    }

    /// For the actions that follow from an event: none of them forks or halts.
    fn perform_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Err(error) = self.act(action) {
                self.fail(error);
            }
        }
    }

    fn perform(&mut self, py: Python<'py>, action: Action) -> Option<End> {
        match action {
            // A hook has raised in the middle of a batch.
            action if self.plan.abandons(&action) => {}
            Action::Spawn => match self.spawn(py) {
                Ok(end) => return end,
                Err(error) => self.fail(error),
            },
            Action::Upgrade => match self.upgrade(py) {
                Ok(end) => return end,
                Err(error) => self.fail(error),
            },
            Action::Prove => return self.prove(py),
            Action::Renew => self.renew(),
            Action::Halt { status, reason } => {
                // Nothing can be made of a failure any more.
                if self.host.counts_requests().unwrap_or(true) {
                    let _ = self.host.log(&self.undertaker.tally().line());
                }
                self.lifeline.leave_open();
                let reason = reason.map(str::to_owned).or(self.failure.take());
                return Some(End::Halt { status, reason });
            }
            action => self.perform_all(vec![action]),
        }
        None
    }

    /// Tells the workers whether anybody takes the connections of those that leave, and then which of them do: in the other
    /// order a worker could believe at the end of the service that others let in who waits.
    fn show_takers(&self) {
        if let Some(handoff) = self.board.handoff() {
            handoff.set_takers(self.plan.takers());
        }
        let leaving = self.plan.children().iter().filter(|child| !child.stays());
        leaving.for_each(|child| self.board.dismiss(child.slot));
    }

    fn act(&mut self, action: Action) -> PyResult<()> {
        match action {
            Action::Spawn | Action::Upgrade | Action::Prove | Action::Renew | Action::Halt { .. } => {
                unreachable!("only `settle` gives these, and `perform` takes them")
            }
            Action::Signal(pid, signal) => {
                // Before anybody leaves who counts as one.
                self.show_takers();
                send(pid, signal);
                Ok(())
            }
            Action::Abort { pid, slot } => {
                self.board.mark_late(slot);
                let logged = self.log_all(requests::late(pid, &self.board.running(slot), now()));
                send(pid, Signal::SIGABRT);
                logged.and(self.host.abort_worker(pid))
            }
            Action::Reaped { pid, slot, why, named } => {
                self.undertaker.bury(&Deceased { pid, slot, why, named }, &self.board, &self.host, now())
            }
            Action::Log(line) => self.host.log(&line),
            Action::Handle(signal) => self.host.handle(signal),
            Action::Reload => {
                match self.host.reload(self.board.memory().is_some())? {
                    Reload::Done => self.plan.reloaded(),
                    Reload::Refused => {}
                    Reload::NeedsProgram => self.plan.renew(),
                }
                Ok(())
            }
            Action::Weigh(pids) => {
                let heavy = memory::heavy(&pids, self.limits.memory.unwrap_or(u64::MAX));
                let actions = self.plan.weighed(&heavy, &self.limits, now());
                actions.into_iter().try_for_each(|action| self.act(action))
            }
            Action::ProveReload => self.host.prove_reload(),
            Action::Promote => self.host.promote(),
            Action::ForgetSuccessor(pid) => {
                self.forget_other();
                self.host.forget_successor(pid)
            }
            Action::KeepReload => self.host.keep_reload(),
            Action::DropReload => self.host.drop_reload(),
            Action::Resize(workers) => self.host.resize(workers),
            Action::ReopenLogs => self.host.reopen_logs(),
            Action::AnnounceEnd => {
                self.board.announce_end();
                self.host.announce_end()
            }
            Action::CloseListeners => self.host.close_listeners(),
        }
    }

    fn log_all(&self, lines: Vec<Line>) -> PyResult<()> {
        lines.iter().try_for_each(|line| self.host.log(line))
    }

    fn spawn(&mut self, py: Python<'py>) -> PyResult<Option<End>> {
        let Some(slot) = self.board.claim() else {
            self.cannot_fork(format!("there are {MOST_WORKERS} already"));
            return Ok(None);
        };
        let index = slot.index();
        let lifeline = self.lifeline.reader.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let made = (self.wrap_slot)(py, slot).and_then(|slot| self.host.new_worker(slot, lifeline));
        let (worker, age) = made.inspect_err(|_| self.board.release(index))?;
        match fork::fork(py, Some(Signal::SIGUSR1), prepare_child) {
            Ok(Side::Child) => {
                // The worker holds its number.
                let _ = self.lifeline.reader.take().map(IntoRawFd::into_raw_fd);
                return Ok(Some(End::Child(worker.unbind())));
            }
            Ok(Side::Parent(pid)) => {
                self.plan.forked(pid, age, index, now(), u32::from_ne_bytes(random::bytes()));
                self.host.add_worker(&worker, pid)?;
            }
            Err(error) => {
                self.board.release(index);
                self.cannot_fork(error.to_string());
            }
        }
        Ok(None)
    }

    fn cannot_fork(&mut self, why: String) {
        let actions = self.plan.fork_failed(why, now());
        self.perform_all(actions);
    }

    /// An exception from a hook or a logger: the service cannot go on as its owner meant it, so it stops.
    fn fail(&mut self, error: PyErr) {
        let (status, reason, graceful) = self.host.failed(error);
        self.failure = self.failure.take().or(reason);
        let actions = self.plan.stop(!graceful, status, None, &self.limits, now());
        for action in actions {
            // A second failure on the way out changes nothing.
            let _ = self.act(action);
        }
    }

    /// Sleeps until a signal, a poke, or the plan's deadline.
    fn sleep(&mut self, py: Python<'py>) -> PyResult<()> {
        let unwatched = self.limits.timeout.is_some() && !self.plan.watching();
        if unwatched {
            self.board.announce_sleep();
            let board = &self.board;
            self.plan.observe(|slot| board.snapshot(slot), now());
        }
        let tending = match self.host.tend(self.plan.children()) {
            Ok(next) => next,
            Err(error) => {
                self.fail(error);
                None
            }
        };
        let until = |deadline: Time| deadline.saturating_sub(now());
        let timeout = self.plan.deadline(&self.limits).map(until);
        let touched = self.touch.deadline().map(until);
        let timeout = timeout.into_iter().chain(tending).chain(touched).min();
        let (poll, events) = (&mut self.poll, &mut self.events);
        let slept = py.detach(|| poll.poll(events, timeout));
        if unwatched {
            self.board.withdraw_sleep();
        }
        if let Err(error) = slept
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        pipe::drain(&self.pokes, |_| ())?;
        self.look_after_predecessor();
        if let Err(error) = py.check_signals() {
            self.fail(error);
        }
        Ok(())
    }
}

/// Signals have their default effect in a new process until it installs handlers of its own.
fn prepare_child() {
    signals::reset(&SIGNALS);
}

fn now() -> Time {
    Time::from_nanos(clock::monotonic())
}

/// A process that is gone already will be collected; there is nothing to do about it here.
fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}
