//! Signals into a pipe: the handler writes the signal's number, so that a loop gets them in order and acts
//! outside of any handler. A process forked from the one that listens never writes into its pipe.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use signal_hook::SigId;
use signal_hook::low_level::{register, unregister};

use super::pipe;

/// A set of signals that this process receives through a pipe. Dropping it leaves them without effect.
pub struct SignalPipe {
    reader: OwnedFd,
    // Kept open until the handlers are gone: they write to its number.
    writer: OwnedFd,
    handlers: Vec<SigId>,
}

impl SignalPipe {
    /// Takes over these signals; handlers that were installed before are forgotten.
    pub fn listen(signals: &[Signal]) -> io::Result<Self> {
        let (reader, writer) = pipe::nonblocking()?;
        let mut listening = Self { reader, writer, handlers: Vec::new() };
        // A signal that comes between two dispositions waits.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let installed = listening.install(signals);
        mask.thread_set_mask()?;
        installed.map(|()| listening)
    }

    fn install(&mut self, signals: &[Signal]) -> io::Result<()> {
        reset(signals);
        let fd = self.writer.as_raw_fd();
        let owner = std::process::id();
        for &signal in signals {
            let number = signal as u8;
            let handler = move || {
                if std::process::id() == owner {
                    write_one(fd, number);
                }
            };
            // SAFETY: getpid and write are async-signal-safe and the handler saves errno; `fd` stays open
            // until `drop` has unregistered the handler.
            self.handlers.push(unsafe { register(signal as libc::c_int, handler)? });
        }
        Ok(())
    }

    /// The signals that came since the last call, oldest first.
    pub fn take(&self) -> io::Result<Vec<Signal>> {
        let mut signals = Vec::new();
        pipe::drain(&self.reader, |number| signals.extend(Signal::try_from(i32::from(number)).ok()))?;
        Ok(signals)
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        self.handlers.drain(..).for_each(|handler| {
            unregister(handler);
        });
    }
}

/// Keeps signals from the calling thread, and from threads that it starts meanwhile, until it is dropped.
pub struct Held(Option<SigSet>);

/// See [`Held`].
pub fn hold() -> Held {
    Held(SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mask) = self.0 {
            // It was valid before.
            let _ = mask.thread_set_mask();
        }
    }
}

/// Gives signals their default effect again.
pub fn reset(signals: &[Signal]) {
    for &number in signals {
        // SAFETY: no handler is installed, only the default disposition.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
}

fn write_one(fd: i32, byte: u8) {
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: one byte from a valid place. A full pipe loses the signal, as the kernel itself does when one
    // is pending.
    unsafe { libc::write(fd, (&raw const byte).cast(), 1) };
    nix::errno::Errno::set_raw(errno);
}

/// Makes a thread of this process leave a system call, by the signal `INTERRUPT`.
pub fn interrupt(thread: u64) -> io::Result<()> {
    // SAFETY: the number is that of the main thread, which lives as long as the process.
    let result = unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGURG) };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// Leaves all signals to other threads than this one.
pub fn block_all() {
    // Fails only for a bad argument.
    let _ = SigSet::all().thread_block();
}
