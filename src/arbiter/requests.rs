//! What the error log is told of the requests that a worker was serving: lines as values.

use super::children::Time;
use super::line::{Arg, Level, Line};
use crate::scoreboard::Running;

#[cfg(test)]
mod tests;

/// Gunicorn's line for a late worker, which goes on with the request that has taken longest; one line more for each
/// other. `running`: oldest first.
pub fn late(pid: i32, running: &[Running], now: Time) -> Vec<Line> {
    let Some((oldest, others)) = running.split_first() else {
        return vec![Line::new(Level::Critical, "WORKER TIMEOUT (pid:%s)", [pid.into()])];
    };
    let text = "WORKER TIMEOUT (pid:%s) %s, %ss";
    let mut lines = vec![Line::new(Level::Critical, text, about(pid, oldest, now))];
    lines.extend(lost(pid, others, now));
    lines
}

/// A line for each request that ends with its worker.
pub fn lost(pid: i32, running: &[Running], now: Time) -> Vec<Line> {
    let text = "Worker (pid:%s) was serving %s, %ss";
    running.iter().map(|request| Line::new(Level::Error, text, about(pid, request, now))).collect()
}

/// How long a request has taken.
pub fn taken(request: &Running, now: Time) -> Time {
    now.saturating_sub(Time::from_nanos(request.since))
}

fn about(pid: i32, request: &Running, now: Time) -> [Arg; 3] {
    let seconds = format!("{:.1}", taken(request, now).as_secs_f64());
    [pid.into(), request.request.to_string().into(), seconds.into()]
}
