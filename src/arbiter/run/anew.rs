//! The program executed anew: beside this process, as the next arbiter or to prove that the new code loads, or in its
//! place. What the plan has decided is carried out here; what the new program is told is text of `carry`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use std::sync::Arc;

use nix::sys::signal::Signal;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::{End, Run, now, prepare_child};
use crate::arbiter::carry::{Estate, Legacy};
use crate::arbiter::host::{Heritage, Host};
use crate::net::Handoff;
use crate::scoreboard::{Board, Slot};
use crate::sys::fork::{self, Side};
use crate::sys::{exec, pipe, signals};

/// What the loop of an arbiter needs of the kernel, whether it is new or was left by the program before.
pub(super) struct Equipment {
    pub pokes: OwnedFd,
    pub board: Arc<Board>,
    pub lifeline: Lifeline,
    pub predecessor: Option<OwnedFd>,
}

/// The pipe that nobody writes to: its read end tells others when the last process with the write end is gone.
pub(super) struct Lifeline {
    pub reader: Option<OwnedFd>,
    writer: OwnedFd,
}

impl Lifeline {
    /// It ends with the process, and not earlier.
    pub fn leave_open(&self) {
        std::mem::forget(self.writer.try_clone());
    }
}

impl Equipment {
    /// What this program was left by another one, or new. Gives the estate too, whose children are still to be adopted.
    pub fn take(host: &Host<'_, '_>, slots: usize) -> PyResult<(Self, Option<Estate>)> {
        Ok(match host.heritage()? {
            Heritage::Nothing => (Self::new(slots, &Legacy::default())?, None),
            Heritage::Legacy(text) => {
                (Self::new(slots, &Legacy::from_text(&text).map_err(malformed)?)?, None)
            }
            Heritage::Estate(text) => {
                let estate = Estate::from_text(&text).map_err(malformed)?;
                (Self::adopt(slots, &estate)?, Some(estate))
            }
        })
    }

    /// Everything made anew, for workers that are not there yet.
    fn new(slots: usize, legacy: &Legacy) -> io::Result<Self> {
        let (pokes, waker) = pipe::nonblocking()?;
        let (reader, writer) = pipe::nonblocking()?;
        let handoff = adopt_handoff(&legacy.handoff)?;
        Ok(Self {
            pokes,
            // A system without such sockets does without.
            board: Board::new(slots, waker, handoff.or_else(|| Handoff::new().ok()))?,
            lifeline: Lifeline { reader: Some(reader), writer },
            predecessor: legacy.lifeline.map(exec::inherit).transpose()?,
        })
    }

    /// What this process had before it executed the program anew.
    fn adopt(slots: usize, estate: &Estate) -> io::Result<Self> {
        let (reader, writer) = (exec::inherit(estate.lifeline.0)?, exec::inherit(estate.lifeline.1)?);
        let (pokes, waker) = (exec::inherit(estate.pokes.0)?, exec::inherit(estate.pokes.1)?);
        let handoff = adopt_handoff(&estate.handoff)?;
        Ok(Self {
            pokes,
            board: Board::adopt(exec::inherit(estate.memory)?, slots, waker, handoff)?,
            lifeline: Lifeline { reader: Some(reader), writer },
            predecessor: estate.predecessor.map(exec::inherit).transpose()?,
        })
    }
}

impl<'py> Run<'_, 'py> {
    /// Takes over the children of the program before.
    pub(super) fn adopt_children(&mut self, estate: Estate) -> PyResult<()> {
        for worker in &estate.plan.workers {
            let slot = (self.wrap_slot)(self.host.py(), Slot::of(&self.board, worker.slot))?;
            self.host.adopt_worker(worker.pid, slot)?;
        }
        self.undertaker.adopt(estate.tally);
        self.plan.adopt(estate.plan);
        match self.host.renewed()? {
            true => self.plan.reloaded(),
            false => self.host.drop_reload()?,
        }
        Ok(())
    }

    /// Signals that have come since the program before this one stopped listening to them.
    pub(super) fn take_held_signals(&mut self) -> PyResult<()> {
        for signal in self.host.held_signals()? {
            self.look();
            let actions = self.plan.signal(signal, &self.limits, now());
            self.perform_all(actions);
        }
        Ok(())
    }

    /// Starts the next arbiter; in the new process gives the end of the loop.
    pub(super) fn upgrade(&mut self, py: Python<'py>) -> PyResult<Option<End>> {
        let actions = match fork::fork(py, None, prepare_child) {
            Ok(Side::Child) => {
                let lifeline = self.lifeline.reader.take();
                let handoff = self.handoff_descriptors();
                for fd in lifeline.as_ref().map(AsFd::as_fd).into_iter().chain(handoff.into_iter().flatten())
                {
                    // What it does not get the new program will miss; this process must not go on.
                    let _ = exec::pass_on(fd);
                }
                let legacy =
                    Legacy { handoff: self.handoff(1), lifeline: lifeline.map(IntoRawFd::into_raw_fd) };
                // The descriptors stay open until the program is executed.
                std::mem::forget(Arc::clone(&self.board));
                return Ok(Some(End::Upgrade(legacy.to_text())));
            }
            Ok(Side::Parent(pid)) => {
                self.host.set_successor(pid)?;
                self.plan.successor_forked(pid)
            }
            Err(error) => self.plan.successor_not_forked(error.to_string()),
        };
        self.perform_all(actions);
        Ok(None)
    }

    /// Starts the proof that the new code loads; in the new process gives the end of the loop.
    pub(super) fn prove(&mut self, py: Python<'py>) -> Option<End> {
        let actions = match fork::fork(py, None, prepare_child) {
            Ok(Side::Child) => return Some(End::Prove),
            Ok(Side::Parent(pid)) => self.plan.proof_forked(pid),
            Err(error) => self.plan.renewal_failed(error.to_string()),
        };
        self.perform_all(actions);
        None
    }

    /// Executes the program in this process; comes back only if that fails.
    pub(super) fn renew(&mut self) {
        let held = signals::hold();
        // What comes from now on waits, blocked, for the new program.
        let waiting = self.signals.take().unwrap_or_default();
        let failure = self.execute(&waiting).map_or_else(|error| error.to_string(), |()| String::new());
        for fd in self.estate_descriptors().into_iter().flatten() {
            let _ = exec::keep(fd);
        }
        drop(held);
        let mut actions = self.plan.renewal_failed(failure);
        actions.extend(waiting.into_iter().flat_map(|signal| self.plan.signal(signal, &self.limits, now())));
        self.perform_all(actions);
        // One of them may have been SIGCHLD.
        self.collect_children();
    }

    fn execute(&self, waiting: &[Signal]) -> PyResult<()> {
        let [reader, writer, pokes, waker, memory, predecessor, ..] = self.estate_descriptors();
        for fd in self.estate_descriptors().into_iter().flatten() {
            exec::pass_on(fd)?;
        }
        let number = |fd: Option<BorrowedFd<'_>>| fd.map_or(-1, |fd| fd.as_raw_fd());
        let estate = Estate {
            lifeline: (number(reader), number(writer)),
            pokes: (number(pokes), number(waker)),
            memory: number(memory),
            handoff: self.handoff(0),
            predecessor: predecessor.map(|fd| fd.as_raw_fd()),
            tally: self.undertaker.tally(),
            plan: self.plan.carried(),
        };
        let passed = self.estate_descriptors().into_iter().flatten().map(|fd| fd.as_raw_fd()).collect();
        self.host.execute(&estate.to_text(), passed, waiting)
    }

    fn estate_descriptors(&self) -> [Option<BorrowedFd<'_>>; 9] {
        let [sender, receiver, page] = self.handoff_descriptors();
        [
            self.lifeline.reader.as_ref().map(AsFd::as_fd),
            Some(self.lifeline.writer.as_fd()),
            Some(self.pokes.as_fd()),
            Some(self.board.waker()),
            self.board.memory(),
            self.predecessor.as_ref().map(AsFd::as_fd),
            sender,
            receiver,
            page,
        ]
    }

    fn handoff_descriptors(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let found = self.board.handoff().and_then(Handoff::descriptors);
        found.map_or([None; 3], |descriptors| descriptors.map(Some))
    }

    /// The handoff socket for another program, with the number of its word: this arbiter's or, if it is `beside` this
    /// one, the other.
    fn handoff(&self, beside: usize) -> Vec<i32> {
        let Some(handoff) = self.board.handoff() else { return Vec::new() };
        let descriptors = self.handoff_descriptors().into_iter().flatten().map(|fd| fd.as_raw_fd());
        descriptors.chain([(handoff.which() ^ beside) as i32]).collect()
    }

    /// The other arbiter is gone: nobody of its takes connections.
    pub(super) fn forget_other(&self) {
        if let Some(handoff) = self.board.handoff() {
            handoff.forget_other();
        }
    }

    /// Looks whether the arbiter that has started this one is gone.
    pub(super) fn look_after_predecessor(&mut self) {
        let Some(predecessor) = &self.predecessor else { return };
        if pipe::wait_any(&[predecessor.as_fd()], Some(std::time::Duration::ZERO)).unwrap_or(0) != 0 {
            self.predecessor = None;
            self.forget_other();
            let actions = self.plan.predecessor_ended();
            self.perform_all(actions);
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// `carried`: sender, receiver, page, and which word is this arbiter's; anything else is no handoff socket.
fn adopt_handoff(carried: &[i32]) -> io::Result<Option<Handoff>> {
    let &[sender, receiver, page, which] = carried else { return Ok(None) };
    let [sender, receiver, page] = [sender, receiver, page].map(exec::inherit);
    Handoff::adopt(sender?, receiver?, page?, which.try_into().unwrap_or(usize::MAX)).map(Some)
}
