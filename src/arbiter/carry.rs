//! What an arbiter leaves to the program that is executed in its place, or beside it, as text and back: the numbers of
//! descriptors, and what the plan knows of its children.
//!
//! ```text
//! key=number[,number...] key=... worker=pid,age,slot,generation,forked,leaving,aborted,killed,lot,worn worker=...
//! ```
//!
//! Times are nanoseconds of CLOCK_MONOTONIC, which goes on; `-` stands for what there is not. Nothing here opens or closes a
//! descriptor.

use std::fmt::Write;
use std::time::Duration;

use super::children::{Child, Time};
use super::plan::Roll;
use super::tally::Tally;
use crate::scoreboard::Board;

#[cfg(test)]
mod tests;

/// To be raised when what is carried, or what a word of the scoreboard means, changes within a version.
const REVISION: u32 = 2;

/// What has to be the same in a program that is executed in the place of another one: the version, and where things lie on
/// the scoreboard.
pub fn format() -> String {
    format!("{}.{REVISION} {}", env!("CARGO_PKG_VERSION"), Board::layout())
}

/// For the arbiter that takes the place of another one while that lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Legacy {
    /// Ends when the other arbiter does.
    pub lifeline: Option<i32>,
    /// The handoff socket: sender, receiver, page, and which of its words is the new arbiter's; empty if there is none.
    pub handoff: Vec<i32>,
}

/// For the same process, when it has executed the program anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// The pipe whose end tells workers that the arbiter is gone: read end, write end.
    pub lifeline: (i32, i32),
    /// The pipe by which workers wake the arbiter: read end, write end.
    pub pokes: (i32, i32),
    /// The scoreboard.
    pub memory: i32,
    /// As for [`Legacy`].
    pub handoff: Vec<i32>,
    /// Ends when the arbiter does that has started this one.
    pub predecessor: Option<i32>,
    /// What workers have done that have ended.
    pub tally: Tally,
    /// What the plan knows.
    pub plan: Carried,
}

/// What a plan knows of its children. What they do is on the scoreboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Which generation of workers is current.
    pub roll: Roll,
    /// The arbiter that this one has started.
    pub successor: Option<i32>,
    /// The workers, oldest first.
    pub workers: Vec<Child>,
}

/// The text is not what an arbiter of this version writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot take over from the program before: {}", self.0)
    }
}

impl Legacy {
    /// As text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        put(&mut text, "lifeline", self.lifeline.map(i64::from));
        put(&mut text, "handoff", numbers(&self.handoff));
        text
    }

    /// From text; unknown keys mean nothing, so that another version may add some.
    pub fn from_text(text: &str) -> Result<Self, Malformed> {
        let mut legacy = Self::default();
        for (key, values) in words(text) {
            let values = values?;
            match key {
                "lifeline" => legacy.lifeline = values.first().copied().flatten().and_then(narrow),
                "handoff" => legacy.handoff = values.iter().flatten().copied().filter_map(narrow).collect(),
                _ => {}
            }
        }
        Ok(legacy)
    }
}

impl Estate {
    /// As text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        put(&mut text, "lifeline", numbers(&[self.lifeline.0, self.lifeline.1]));
        put(&mut text, "pokes", numbers(&[self.pokes.0, self.pokes.1]));
        put(&mut text, "memory", numbers(&[self.memory]));
        put(&mut text, "handoff", numbers(&self.handoff));
        put(&mut text, "predecessor", self.predecessor.map(i64::from));
        let Tally { served, handed, cut } = self.tally;
        put(&mut text, "tally", [served, handed, cut].map(|number| i64::try_from(number).ok()));
        let plan = &self.plan;
        put(&mut text, "roll", generations(plan.roll));
        put(&mut text, "successor", plan.successor.map(i64::from));
        for worker in &plan.workers {
            put(&mut text, "worker", row(worker));
        }
        text
    }

    /// From text.
    pub fn from_text(text: &str) -> Result<Self, Malformed> {
        let mut estate = Self { lifeline: (-1, -1), pokes: (-1, -1), memory: -1, ..Self::default() };
        for (key, values) in words(text) {
            let values = values?;
            let descriptor = |index: usize| values.get(index).copied().flatten().and_then(narrow);
            let pair = || descriptor(0).zip(descriptor(1)).ok_or_else(|| Malformed(key.to_owned()));
            match key {
                "lifeline" => estate.lifeline = pair()?,
                "pokes" => estate.pokes = pair()?,
                "memory" => estate.memory = descriptor(0).ok_or_else(|| Malformed(key.to_owned()))?,
                "handoff" => estate.handoff = values.iter().flatten().copied().filter_map(narrow).collect(),
                "predecessor" => estate.predecessor = descriptor(0),
                "roll" => {
                    estate.plan.roll = roll(&values).ok_or_else(|| Malformed(key.to_owned()))?;
                }
                "tally" => estate.tally = tally(&values).ok_or_else(|| Malformed(key.to_owned()))?,
                "successor" => estate.plan.successor = descriptor(0),
                "worker" => {
                    let worker = worker(&values).ok_or_else(|| Malformed(key.to_owned()))?;
                    estate.plan.workers.push(worker);
                }
                _ => return Err(Malformed(key.to_owned())),
            }
        }
        match estate.memory {
            -1 => Err(Malformed("nothing of the scoreboard".to_owned())),
            _ => Ok(estate),
        }
    }
}

fn tally(values: &[Option<i64>]) -> Option<Tally> {
    let &[served, handed, cut] = values.first_chunk::<3>()?;
    let [served, handed, cut] = [served?, handed?, cut?].map(i64::unsigned_abs);
    Some(Tally { served, handed, cut })
}

fn generations(roll: Roll) -> [Option<i64>; 5] {
    let Roll { current, proven, reloads, rolling, kept } = roll;
    [current, proven, reloads, u64::from(rolling), kept as u64].map(|number| i64::try_from(number).ok())
}

fn roll(values: &[Option<i64>]) -> Option<Roll> {
    let &[current, proven, reloads, rolling, kept] = values.first_chunk::<5>()?;
    let [current, proven, reloads] = [current?, proven?, reloads?].map(i64::unsigned_abs);
    Some(Roll { current, proven, reloads, rolling: rolling == Some(1), kept: usize::try_from(kept?).ok()? })
}

fn row(worker: &Child) -> [Option<i64>; 10] {
    let time = |time: Time| i64::try_from(time.as_nanos()).ok();
    [
        Some(i64::from(worker.pid)),
        i64::try_from(worker.age).ok(),
        i64::try_from(worker.slot).ok(),
        i64::try_from(worker.generation).ok(),
        time(worker.forked),
        worker.leaving.and_then(time),
        worker.aborted.and_then(time),
        Some(i64::from(worker.killed)),
        Some(i64::from(worker.lot)),
        Some(i64::from(worker.worn)),
    ]
}

fn worker(values: &[Option<i64>]) -> Option<Child> {
    let &[pid, age, slot, generation, forked, leaving, aborted, killed, lot, worn] = values.first_chunk()?;
    let time = |nanoseconds: i64| Duration::from_nanos(nanoseconds.unsigned_abs());
    let slot = usize::try_from(slot?).ok()?;
    let generation = generation?.unsigned_abs();
    let made = Child::new(
        narrow(pid?)?,
        age?.unsigned_abs(),
        slot,
        generation,
        time(forked?),
        u32::try_from(lot?).ok()?,
    );
    let (leaving, aborted) = (leaving.map(time), aborted.map(time));
    Some(Child { leaving, aborted, killed: killed == Some(1), worn: worn == Some(1), ..made })
}

fn put(text: &mut String, key: &str, values: impl IntoIterator<Item = impl Into<Option<i64>>>) {
    let values: Vec<_> = values
        .into_iter()
        .map(|value| value.into().map_or_else(|| "-".to_owned(), |number: i64| number.to_string()))
        .collect();
    if !values.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{key}={}", values.join(","));
    }
}

fn numbers(descriptors: &[i32]) -> impl Iterator<Item = i64> {
    descriptors.iter().copied().map(i64::from)
}

fn narrow(number: i64) -> Option<i32> {
    i32::try_from(number).ok()
}

/// Each key with its values.
fn words(text: &str) -> impl Iterator<Item = (&str, Result<Vec<Option<i64>>, Malformed>)> {
    text.split_ascii_whitespace().map(|word| {
        let (key, values) = word.split_once('=').unwrap_or((word, ""));
        let number = |value: &str| match value {
            "-" => Ok(None),
            _ => value.parse().map(Some).map_err(|_| Malformed(word.to_owned())),
        };
        (key, values.split(',').map(number).collect())
    })
}
