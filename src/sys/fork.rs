//! Making child processes the way CPython wants it done, and collecting those that ended.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "python")]
use nix::sys::signal::Signal;

/// Set in this process once it has forked, and in every process that was forked from it.
static HAS_FORKED: AtomicBool = AtomicBool::new(false);
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// From now on, whatever forks, [`has_forked`] is true in the parent and [`is_forked_child`] in the child. To be called
/// by each server of a process: one that was forked may have a server of its own.
pub fn watch() {
    static REGISTERED: Once = Once::new();
    extern "C" fn in_parent() {
        HAS_FORKED.store(true, Ordering::Relaxed);
    }
    extern "C" fn in_child() {
        IS_CHILD.store(true, Ordering::Relaxed);
    }
    // SAFETY: both only store to a static, which is allowed around any fork.
    REGISTERED.call_once(|| unsafe {
        libc::pthread_atfork(None, Some(in_parent), Some(in_child));
    });
    IS_CHILD.store(false, Ordering::Relaxed);
}

/// Whether the application has forked: its children may hold descriptors of this process.
pub fn has_forked() -> bool {
    HAS_FORKED.load(Ordering::Relaxed)
}

/// Whether this process was forked by the application: then the sockets are its parent's business.
pub fn is_forked_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// Ends such a process without touching anything that it shares with its parent.
pub fn leave_child(status: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status) }
}

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Collects one ended child without waiting: its pid, how it ended, and the status word of waitpid(2).
/// `None`: no more now.
pub fn reap() -> Option<(i32, Exit, i32)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for one int.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid > 0 {
            let exit = match libc::WIFSIGNALED(status) {
                true => Exit::Signal(libc::WTERMSIG(status)),
                false => Exit::Code(libc::WEXITSTATUS(status)),
            };
            return Some((pid, exit, status));
        }
        if pid == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Which side of a fork this is.
#[cfg(feature = "python")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that forked, with the child's pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// Forks with CPython's before and after calls, so that its locks and `os.register_at_fork` callbacks are
/// looked after. No signal reaches the child before `prepare_child` has run there, which is where inherited
/// handlers are undone, and `held`, if any, none before the child unblocks it. Fails as fork(2) does.
#[cfg(feature = "python")]
pub fn fork(
    _attached: pyo3::Python<'_>,
    held: Option<Signal>,
    prepare_child: impl FnOnce(),
) -> io::Result<Side> {
    use nix::sys::signal::{SigSet, SigmaskHow};
    use pyo3::ffi;

    // SAFETY: this thread is attached to the interpreter, as `_attached` proves; each branch below ends with
    // the call that CPython demands after a fork.
    unsafe { ffi::PyOS_BeforeFork() };
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    // SAFETY: every Rust thread that the child might miss is Python's own, and CPython repairs its state
    // after the fork.
    let pid = unsafe { libc::fork() };
    let failure = io::Error::last_os_error();
    if pid == 0 {
        prepare_child();
    }
    if let Ok(mut mask) = mask {
        if pid == 0
            && let Some(held) = held
        {
            mask.add(held);
        }
        let _ = mask.thread_set_mask();
    }
    match pid {
        0 => {
            // SAFETY: the child of the fork above, in the thread that forked.
            unsafe { ffi::PyOS_AfterFork_Child() };
            Ok(Side::Child)
        }
        _ => {
            // SAFETY: the parent of the fork above, whether or not it succeeded.
            unsafe { ffi::PyOS_AfterFork_Parent() };
            if pid < 0 { Err(failure) } else { Ok(Side::Parent(pid)) }
        }
    }
}
