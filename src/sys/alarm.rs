//! An alarm clock as a descriptor, for loops of others: they watch descriptors and know nothing of our deadlines.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Becomes readable at the time for which it is set. Needs no reading where it is watched for changes (edge-triggered).
pub struct Alarm {
    fd: clock::Clock,
    /// What it is set for, in nanoseconds of the monotonic clock; `u64::MAX` = nothing.
    due: u64,
}

impl Alarm {
    /// One that is not set. Errors: there is none on this system, or no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: clock::Clock::new()?, due: u64::MAX })
    }

    /// Sets it for `due` (nanoseconds of the monotonic clock; what is past goes off at once), unless it is set for an
    /// earlier time already: then that one goes off first, and whoever hears it sets it anew. That saves a system call
    /// for each of many deadlines that follow each other.
    pub fn set(&mut self, due: u64) -> io::Result<()> {
        if due < self.due {
            // 0 would be "never" for the kernel.
            self.fd.set(due.max(1))?;
            self.due = due;
        }
        Ok(())
    }

    /// It has gone off.
    pub fn rang(&mut self) {
        self.due = u64::MAX;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod clock {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::time::Duration;

    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    pub struct Clock(TimerFd);

    impl Clock {
        pub fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
        }

        pub fn set(&self, due: u64) -> io::Result<()> {
            let due = Expiration::OneShot(Duration::from_nanos(due).into());
            Ok(self.0.set(due, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
        }
    }

    impl AsFd for Clock {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    /// Such a clock cannot be made here.
    pub struct Clock(OwnedFd);

    impl Clock {
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn set(&self, _due: u64) -> io::Result<()> {
            Ok(())
        }
    }

    impl AsFd for Clock {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::clock::monotonic;
    use crate::sys::socket::{Readiness, wait};

    fn rings(alarm: &Alarm, within: u64) -> bool {
        wait(alarm.as_fd(), Readiness::Read, Some(Duration::from_millis(within))).unwrap()
    }

    #[test]
    fn it_rings_when_it_is_due_and_at_once_when_that_is_past() {
        let mut alarm = Alarm::new().unwrap();
        assert!(!rings(&alarm, 0));
        alarm.set(monotonic() + 20_000_000).unwrap();
        assert!(!rings(&alarm, 0));
        assert!(rings(&alarm, 5000));
        for past in [0, 1, monotonic()] {
            let mut alarm = Alarm::new().unwrap();
            alarm.set(past).unwrap();
            assert!(rings(&alarm, 5000));
        }
    }

    #[test]
    fn a_later_time_does_not_put_it_off_until_it_has_rung() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(monotonic()).unwrap();
        alarm.set(u64::MAX - 1).unwrap();
        assert!(rings(&alarm, 5000));
        alarm.rang();
        alarm.set(monotonic() + 3_600_000_000_000).unwrap();
        assert!(!rings(&alarm, 0));
    }
}
