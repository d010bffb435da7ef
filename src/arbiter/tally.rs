//! What the service has done in its life: summed up from the scoreboard as workers end, told when all have.

use super::line::{Arg, Level, Line};
use crate::scoreboard::{Running, Snapshot};

/// Sums over all workers that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were answered.
    pub served: u64,
    /// Connections that one worker has passed on to another.
    pub handed: u64,
    /// Requests that were begun and not answered, or not to the end.
    pub cut: u64,
}

impl Tally {
    /// A worker has ended. `running`: the requests that ended with it. `unsent`: the access-log lines of responses that were
    /// still on their way.
    pub fn add(&mut self, seen: &Snapshot, running: &[Running], unsent: &[u8]) {
        // One that is answered and still runs was given up by `request_timeout`.
        let unanswered = running.iter().filter(|request| !request.answered).count();
        let unsent = unsent.iter().filter(|&&byte| byte == b'\n').count();
        let cut = (unanswered + unsent) as u64;
        self.served += seen.requests.saturating_sub(cut);
        self.handed += seen.handed;
        self.cut += seen.cut + cut;
    }

    /// The line at the end of the service.
    pub fn line(&self) -> Line {
        let text = "Requests served: %s, connections handed over: %s, requests cut: %s.";
        let args = [self.served, self.handed, self.cut].map(|number| Arg::Number(number as i64));
        Line::new(Level::Info, text, args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_with_a_worker_was_not_served() {
        let running = |answered| Running { request: Default::default(), since: 1, logged: true, answered };
        let mut tally = Tally::default();
        tally.add(&Snapshot { requests: 10, handed: 2, cut: 1, ..Snapshot::BOOTING }, &[], b"");
        assert_eq!(tally, Tally { served: 10, handed: 2, cut: 1 });
        let two = [running(false), running(true)];
        tally.add(&Snapshot { requests: 5, ..Snapshot::BOOTING }, &two, b"GET /a 200\nGET /b 200\n");
        assert_eq!(tally, Tally { served: 12, handed: 2, cut: 4 });
        // Begun, but not yet counted.
        tally.add(&Snapshot::BOOTING, &[running(false)], b"");
        assert_eq!(tally, Tally { served: 12, handed: 2, cut: 5 });
    }
}
