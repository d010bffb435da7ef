//! What is unsent of a response while its application works on: lent to the understudy, which may send it meanwhile.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::Stream;
use crate::reactor::outbound::{Flushed, Outbound};
use crate::sys::clock;

/// How long a block may wait for the next one, in nanoseconds.
pub const MOMENT: u64 = 1_000_000;
/// Bytes sent at one look.
const TURN: usize = 1 << 20;

/// The place where an exchange leaves what is unsent. One for each exchange that ever did.
pub struct Loan {
    stream: Arc<Stream>,
    lent: Mutex<Lent>,
}

#[derive(Default)]
struct Lent {
    outbound: Outbound,
    /// When something was sent last, in nanoseconds.
    since: u64,
    failed: Option<io::Error>,
}

/// What a look at a loan has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// There is nothing to send.
    Nothing,
    /// The client takes nothing for now.
    Blocked,
    /// Something was sent, or will be in a moment.
    Sent,
}

impl Loan {
    /// A place for what is unsent on this connection.
    pub fn new(stream: &Arc<Stream>) -> Self {
        Self { stream: stream.clone(), lent: Mutex::default() }
    }

    /// Lends until [`Loan::take_back`]. `since`: when something was sent last, in nanoseconds; a moment later the
    /// understudy sends.
    pub fn put(&self, outbound: Outbound, since: u64) {
        *self.lock() = Lent { outbound, since, failed: None };
    }

    /// What is still unsent. Errors: the socket failed meanwhile.
    pub fn take_back(&self) -> io::Result<Outbound> {
        let Lent { outbound, failed, .. } = std::mem::take(&mut *self.lock());
        failed.map_or(Ok(outbound), Err)
    }

    /// Whether there is something to send.
    pub fn has_work(&self) -> bool {
        self.lock().has_work()
    }

    /// Sends what may not wait any longer.
    pub fn look(&self) -> Look {
        let mut lent = self.lock();
        if !lent.has_work() {
            return Look::Nothing;
        }
        if clock::monotonic().saturating_sub(lent.since) < MOMENT {
            return Look::Sent;
        }
        match lent.outbound.flush_and_keep(&self.stream, TURN) {
            Ok(Flushed::Blocked { .. }) => Look::Blocked,
            Ok(_) => Look::Sent,
            Err(error) => {
                lent.failed = Some(error);
                Look::Nothing
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    fn has_work(&self) -> bool {
        self.failed.is_none() && !self.outbound.is_empty()
    }
}
