//! A watch: what is known of the request that one thread or greenlet serves, for as long as it is in the application, and
//! how that hears that it has had its time.
//!
//! ```text
//! Idle --begin--> Running --seize--> Overdue
//!   ^----------------+-------end--------+
//! ```
//!
//! An exception is set, and taken back, under the lock of the stage, while the interpreter is held: so none is set for a
//! request that has ended, and none is left of one that ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::service::Passage;
use crate::reactor::Exchange;
use crate::scoreboard::Lane;
use crate::sys::{clock, signals};
use crate::wsgi::{Due, Ended, RequestTimeout, Responder, ffi};

/// The watch over the requests of one hand, one after the other.
pub struct Watch {
    /// Until when the request may take.
    pub due: Arc<Due>,
    /// Its place on the scoreboard.
    lane: Option<Lane>,
    stage: Mutex<Stage>,
}

/// A request in the application.
pub struct Run {
    /// What has its response.
    pub responder: Py<Responder>,
    /// Its environ.
    pub environ: Py<PyDict>,
    /// The object for hooks and loggers, if there is one.
    pub request: Option<Py<PyAny>>,
    /// When it came.
    pub passage: Passage,
    /// The thread that serves it, as CPython counts them.
    pub thread: u64,
    /// The greenlet that serves it, where there are greenlets.
    pub greenlet: Option<Py<PyAny>>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Running(Arc<Run>),
    Overdue(Overdue),
}

/// A request that has had its time.
#[derive(Clone)]
pub struct Overdue {
    /// The request.
    pub run: Arc<Run>,
    /// What logs call it.
    pub name: Arc<str>,
    raised: Raised,
}

/// How far the application's exception is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    /// Whoever runs the request looks here soon.
    Soon,
    /// CPython raises it when the thread runs Python code.
    Pending,
    /// The application has it.
    Done,
}

/// What is to be done about a request.
pub enum Found {
    /// Nothing.
    Nothing,
    /// It has had its time.
    Late(Arc<Run>),
    /// It has had as much time again. Found once.
    Stuck(Overdue),
}

impl Watch {
    /// No request has begun.
    pub fn new(due: Arc<Due>, lane: Option<Lane>) -> Arc<Self> {
        Arc::new(Self { due, lane, stage: Mutex::default() })
    }

    /// A request goes to the application.
    pub fn begin(&self, run: Run) {
        *self.stage() = Stage::Running(Arc::new(run));
        self.due.begin(clock::monotonic());
    }

    /// The application is done with it: from now on it is not interrupted. Gives what the logs call a request that was
    /// overdue.
    pub fn end(&self, py: Python<'_>) -> Option<Arc<str>> {
        self.due.end();
        // Taken out first: what ends with it may run the application's code, which must not be under the lock.
        let stage = std::mem::take(&mut *self.stage());
        let Stage::Overdue(overdue) = stage else { return None };
        if overdue.raised == Raised::Pending {
            settle(py, overdue.run.thread);
        }
        Some(overdue.name)
    }

    /// Looks whether the time is up. `now`: nanoseconds of CLOCK_MONOTONIC.
    pub fn look(&self, now: u64) -> Found {
        let stage = self.stage();
        if self.due.at() > now {
            return Found::Nothing;
        }
        match &*stage {
            Stage::Idle => {
                // Somebody has moved the deadline of a request that had ended.
                self.due.end();
                Found::Nothing
            }
            Stage::Running(run) => Found::Late(run.clone()),
            Stage::Overdue(overdue) => {
                self.due.end();
                Found::Stuck(overdue.clone())
            }
        }
    }

    /// Takes the response of a late request away from the application; `None` if there is none any more, or the request
    /// was given more time. `name` gives what logs call it.
    pub fn seize(
        &self,
        run: &Arc<Run>,
        name: impl FnOnce(&Exchange) -> Arc<str>,
    ) -> Option<(Exchange, Ended, Overdue)> {
        let mut stage = self.stage();
        let runs = matches!(&*stage, Stage::Running(running) if Arc::ptr_eq(running, run));
        if !runs || self.due.at() > clock::monotonic() {
            return None;
        }
        let Some((exchange, ended)) = run.responder.get().seize() else {
            // It ends just now, or its socket is the application's.
            self.due.end();
            return None;
        };
        self.due.pass();
        let overdue = Overdue { run: run.clone(), name: name(&exchange), raised: Raised::Soon };
        *stage = Stage::Overdue(overdue.clone());
        Some((exchange, ended, overdue))
    }

    /// Lets the application hear that its request is overdue. `main`: the thread that runs signal handlers, if ours is
    /// there: it looks at once, even in the middle of a system call; see [`Watch::claim`].
    pub fn interrupt(&self, py: Python<'_>, overdue: &Overdue, main: Option<u64>) -> PyResult<()> {
        let exception = py.get_type::<RequestTimeout>();
        let mut stage = self.stage();
        let Stage::Overdue(current) = &mut *stage else { return Ok(()) };
        let run = &overdue.run;
        if !Arc::ptr_eq(&current.run, run) || current.raised != Raised::Soon {
            return Ok(());
        }
        if main == Some(run.thread) {
            signals::interrupt(run.thread)?;
        } else if run.greenlet.is_none() && ffi::raise_in(py, run.thread, Some(&exception)) {
            current.raised = Raised::Pending;
        }
        Ok(())
    }

    /// The request has its line in the access log. If it has ended meanwhile its place may be another's.
    pub fn logged(&self, run: &Arc<Run>) {
        let stage = self.stage();
        if let (Stage::Overdue(overdue), Some(lane)) = (&*stage, &self.lane)
            && Arc::ptr_eq(&overdue.run, run)
        {
            lane.logged();
        }
    }

    /// Whether the exception of an overdue request is to be raised here and now: in this thread and greenlet.
    pub fn claim(&self, py: Python<'_>, greenlet: Option<&Bound<'_, PyAny>>) -> bool {
        self.claim_if(|run| {
            let same = match (&run.greenlet, greenlet) {
                (Some(theirs), Some(here)) => here.is(theirs),
                (None, None) => true,
                _ => false,
            };
            same && run.thread == ffi::thread(py)
        })
    }

    /// Whether the exception of this request is still to be raised.
    pub fn claim_for(&self, run: &Arc<Run>) -> bool {
        self.claim_if(|overdue| Arc::ptr_eq(overdue, run))
    }

    fn claim_if(&self, is_meant: impl FnOnce(&Arc<Run>) -> bool) -> bool {
        let mut stage = self.stage();
        let Stage::Overdue(overdue) = &mut *stage else { return false };
        let claimed = overdue.raised == Raised::Soon && is_meant(&overdue.run);
        if claimed {
            overdue.raised = Raised::Done;
        }
        claimed
    }

    /// The greenlet of an overdue request that has not heard of it.
    pub fn deaf_greenlet(&self) -> Option<Arc<Run>> {
        match &*self.stage() {
            Stage::Overdue(Overdue { run, raised: Raised::Soon, .. }) if run.greenlet.is_some() => {
                Some(run.clone())
            }
            _ => None,
        }
    }

    /// Held for moments; no Python code runs meanwhile.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes back an exception that this thread has been told to raise, if it has not done so. First it is raised where
/// nobody minds: CPython (to 3.12) leaves a mark behind for one that is only taken back, which makes every thread slower.
fn settle(py: Python<'_>, thread: u64) {
    let settled = py
        .import(intern!(py, "rgunicorn.workers._overdue"))
        .and_then(|module| module.call_method0(intern!(py, "settle")));
    ffi::raise_in(py, thread, None);
    if let Err(error) = settled
        && !error.is_instance_of::<RequestTimeout>(py)
    {
        error.write_unraisable(py, None);
    }
}
