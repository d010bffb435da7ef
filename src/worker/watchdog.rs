//! The watchdog: a thread that sees to requests which are in the application for longer than `request_timeout`. It sleeps
//! until the first of them may be due, and never needs the interpreter, which a request may hold for long (a regular
//! expression does). What needs it, the clerk does, a second thread. Neither is one of Python's `threading`, which the hubs of
//! greenlets replace.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::service::{Passage, Report, Service, Tidings};
use super::watch::{Overdue, Run, Watch};
use crate::scoreboard::Lane;
use crate::sys::{clock, signals};
use crate::wsgi::{Alarm, Due, Opened, RequestTimeout, Responder, ffi};

/// What the hands of a worker and its watchdog share.
pub struct Watchdog {
    alarm: Arc<Alarm>,
    watches: Mutex<Vec<Arc<Watch>>>,
    /// The thread that runs signal handlers, if ours is installed.
    main: OnceLock<u64>,
    /// That thread could not be interrupted when it was to be.
    again: AtomicBool,
    host: OnceLock<Host>,
    /// A greenlet has not heard that its request is overdue.
    throws: AtomicBool,
    /// What the host loop should tell the logs, with the time since when: their locks are made for greenlets, not for
    /// other threads.
    tidings: Mutex<Vec<(u64, Tidings)>>,
    stopping: AtomicBool,
    /// Tells that the clerk has ended.
    ended: Mutex<Option<Receiver<()>>>,
}

/// The host loop of greenlets.
pub struct Host {
    /// Gives the running greenlet.
    pub current: Py<PyAny>,
    /// Has a callable called in the hub, soon.
    pub schedule: Py<PyAny>,
}

impl Watchdog {
    /// `limit`: `request_timeout` in nanoseconds.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            alarm: Alarm::new(limit),
            watches: Mutex::default(),
            main: OnceLock::new(),
            again: AtomicBool::new(false),
            host: OnceLock::new(),
            throws: AtomicBool::new(false),
            tidings: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended: Mutex::default(),
        })
    }

    /// Greenlets of this host serve the requests.
    pub fn set_host(&self, host: Host) {
        let _ = self.host.set(host);
    }

    /// A watch for one hand more. `lane`: its place on the scoreboard.
    pub fn watch(&self, lane: Option<Lane>) -> Arc<Watch> {
        let watch = Watch::new(Due::new(self.alarm.clone()), lane);
        self.watches().push(watch.clone());
        watch
    }

    /// A request goes to the application, in this thread and greenlet.
    pub fn begin(
        &self,
        py: Python<'_>,
        watch: &Watch,
        opened: &Opened<'_>,
        responder: &Py<Responder>,
        passage: &Passage,
    ) -> PyResult<()> {
        let Some(environ) = opened.environ() else { return Ok(()) };
        watch.begin(Run {
            responder: responder.clone_ref(py),
            environ: environ.clone().unbind(),
            request: opened.request.as_ref().map(|request| request.clone().unbind()),
            passage: passage.clone(),
            thread: ffi::thread(py),
            greenlet: self.current(py)?,
        });
        Ok(())
    }

    /// Has the main thread, which must be this one, leave system calls for a request that is overdue.
    pub fn install_handler(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let watchdog = Arc::clone(self);
        let module = py.import("rgunicorn.workers._overdue")?;
        let is_elsewhere = module.getattr("is_in_handler")?.unbind();
        let handler = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let py = arguments.py();
            // What comes out of the handler of another signal would leave its work undone.
            if is_elsewhere.call1(py, (arguments.get_item(1)?,))?.is_truthy(py)? {
                watchdog.again.store(true, Ordering::Relaxed);
                watchdog.alarm.ring();
                return Ok(());
            }
            let greenlet = watchdog.current(py)?;
            let greenlet = greenlet.as_ref().map(|greenlet| greenlet.bind(py));
            let watches = watchdog.watches().clone();
            let meant = watches.iter().any(|watch| watch.claim(py, greenlet));
            if meant { Err(RequestTimeout::new_err(())) } else { Ok(()) }
        };
        let handler = PyCFunction::new_closure(py, Some(c"interrupt"), None, handler)?;
        if module.call_method1("install", (handler,))?.is_truthy()? {
            let _ = self.main.set(ffi::thread(py));
        }
        Ok(())
    }

    /// Starts the threads.
    pub fn start(self: &Arc<Self>, service: &Arc<Service>) -> std::io::Result<()> {
        let (reports, told) = channel();
        let (ends, ended) = channel();
        *self.ended() = Some(ended);
        let (watchdog, seen) = (Arc::clone(self), Arc::downgrade(service));
        spawn("watchdog", move || watchdog.keep_watch(&seen, &reports))?;
        let (watchdog, seen) = (Arc::clone(self), Arc::downgrade(service));
        spawn("watchdog clerk", move || {
            Python::attach(|py| watchdog.keep_books(py, &seen, told));
            drop((seen, ends));
        })
    }

    /// Ends the threads. If one waits for somebody (a log that is stuck) it is left behind.
    pub fn stop(&self, py: Python<'_>) -> PyResult<()> {
        const PATIENCE: Duration = Duration::from_secs(1);
        self.dismiss();
        let ended = self.ended().take();
        if let Some(ended) = ended {
            let _ = py.detach(move || ended.recv_timeout(PATIENCE));
        }
        if self.main.get() == Some(&ffi::thread(py)) {
            py.import("rgunicorn.workers._overdue")?.call_method0("uninstall")?;
        }
        Ok(())
    }

    /// Lets the threads end, without waiting for that.
    pub fn dismiss(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.alarm.ring();
    }

    fn keep_watch(&self, service: &Weak<Service>, reports: &Sender<Report>) {
        loop {
            self.alarm.sleep(|| self.earliest());
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            let Some(service) = service.upgrade() else { return };
            if self.again.swap(false, Ordering::Relaxed) {
                self.interrupt_again();
            }
            let watches = self.watches().clone();
            for report in watches.iter().filter_map(|watch| service.see_to(watch)) {
                // The clerk outlives the watchdog.
                let _ = reports.send(report);
            }
        }
    }

    /// The main thread was in the handler of another signal.
    fn interrupt_again(&self) {
        const SOON: Duration = Duration::from_millis(5);
        thread::sleep(SOON);
        if let Some(&main) = self.main.get() {
            // Fails only for a thread that does not exist.
            let _ = signals::interrupt(main);
        }
    }

    /// Until the watchdog ends.
    fn keep_books(&self, py: Python<'_>, service: &Weak<Service>, reports: Receiver<Report>) {
        let reports = Mutex::new(reports);
        loop {
            let patience = self.patience();
            let next = || match (reports.lock().unwrap_or_else(PoisonError::into_inner), patience) {
                (reports, Some(patience)) => reports.recv_timeout(patience),
                (reports, None) => reports.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let found = py.detach(next);
            let Some(service) = service.upgrade() else { return };
            match found {
                Ok(report) => self.pass_on(py, &service, report),
                Err(RecvTimeoutError::Timeout) => self.tell_tidings(py, &service),
                Err(RecvTimeoutError::Disconnected) => return self.tell_tidings(py, &service),
            }
        }
    }

    fn pass_on(&self, py: Python<'_>, service: &Service, report: Report) {
        let (tidings, wakes) = service.interrupt(py, self, report);
        if self.host.get().is_none() {
            return service.tell(py, &tidings);
        }
        self.tidings().push((clock::monotonic(), tidings));
        if wakes {
            service.reactor.wake();
        }
    }

    /// How long the host loop may still take to tell the logs. It may be held up by the very request.
    fn patience(&self) -> Option<Duration> {
        const PATIENCE: u64 = 1_000_000_000;
        let since = self.tidings().first().map(|(since, _)| *since)?;
        Some(Duration::from_nanos((since + PATIENCE).saturating_sub(clock::monotonic())))
    }

    /// Whether there is something that the logs have not heard.
    pub fn has_tidings(&self) -> bool {
        !self.tidings().is_empty()
    }

    /// Tells the logs what they have not heard.
    pub fn tell_tidings(&self, py: Python<'_>, service: &Service) {
        let tidings = std::mem::take(&mut *self.tidings());
        for (_, tidings) in tidings {
            service.tell(py, &tidings);
        }
    }

    fn tidings(&self) -> MutexGuard<'_, Vec<(u64, Tidings)>> {
        self.tidings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the application hear that its request is overdue. True: the host loop must be woken for it.
    pub fn interrupt(&self, py: Python<'_>, watch: &Watch, overdue: &Overdue) -> PyResult<bool> {
        watch.interrupt(py, overdue, self.main.get().copied())?;
        let waits = self.host.get().is_some();
        if waits {
            self.throws.store(true, Ordering::SeqCst);
        }
        Ok(waits)
    }

    /// For the host loop, when it was woken: has the exception thrown, in the hub, into each greenlet that waits and whose
    /// request is overdue.
    pub fn throw(&self, py: Python<'_>) -> PyResult<()> {
        let Some(host) = self.host.get().filter(|_| self.throws.swap(false, Ordering::SeqCst)) else {
            return Ok(());
        };
        let throw = py.import("rgunicorn.workers._overdue")?.getattr("throw")?.unbind();
        let watches = self.watches().clone();
        for watch in watches {
            let Some(run) = watch.deaf_greenlet() else { continue };
            let throw = throw.clone_ref(py);
            let throw = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                let py = arguments.py();
                if watch.claim_for(&run) { throw.call1(py, (&run.greenlet,)).map(drop) } else { Ok(()) }
            };
            host.schedule.call1(py, (PyCFunction::new_closure(py, Some(c"throw"), None, throw)?,))?;
        }
        Ok(())
    }

    /// Whether a thread is the one that runs signal handlers.
    pub fn is_main(&self, thread: u64) -> bool {
        self.main.get() == Some(&thread)
    }

    fn current(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.host.get().map(|host| host.current.call0(py)).transpose()
    }

    fn earliest(&self) -> u64 {
        self.watches().iter().map(|watch| watch.due.at()).min().unwrap_or(u64::MAX)
    }

    fn watches(&self) -> MutexGuard<'_, Vec<Arc<Watch>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Option<Receiver<()>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signals are for the main thread: only there they end a system call.
fn spawn(name: &str, life: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let life = || {
        signals::block_all();
        life();
    };
    thread::Builder::new().name(name.to_owned()).spawn(life).map(drop)
}
