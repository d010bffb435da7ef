//! How many workers a machine is good for: what `--workers auto` means.
//!
//! The CPUs are those that the process may use, less what a control group's quota takes away. A class that serves one
//! request at a time in each worker gets 2 x CPUs + 1 workers, as Gunicorn's documentation recommends: half of
//! them may wait for a database while the others compute. A class that serves several at a time gets one worker for each CPU.
//! Memory caps both: each worker is taken to need 128 MiB.

use std::fs;
use std::path::Path;

use super::cgroup;

/// The memory that a worker is taken to need: an interpreter with a framework and an application of ordinary size.
const WORKER_MEMORY: u64 = 128 << 20;

/// What there is for the workers to share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// CPUs that the process may run on.
    pub processors: usize,
    /// CPUs that a control group leaves to it.
    pub quota: Option<f64>,
    /// Bytes of memory: the machine's, or what a control group leaves.
    pub memory: Option<u64>,
}

/// How a worker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One request at a time.
    One,
    /// Several at a time.
    Several,
}

impl Machine {
    /// Reads what the files below `root` say; `processors` is the number that the scheduler allows.
    pub fn read(root: &Path, processors: usize) -> Self {
        let limits = cgroup::limits(root);
        let total = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total_memory(&text));
        let memory = [limits.memory, total].into_iter().flatten().min();
        Self { processors: processors.max(1), quota: limits.cpus, memory }
    }

    /// The number of workers; at least 1.
    pub fn workers(&self, pace: Pace) -> usize {
        self.by_processors(pace).min(self.by_memory())
    }

    /// The number and how it comes about: `5 (2 x 2 CPUs + 1)`.
    pub fn sum(&self, pace: Pace) -> String {
        let cpus = shown(self.cpus());
        let mut sum = match pace {
            Pace::One => format!("2 x {cpus} + 1"),
            Pace::Several => format!("one for each of {cpus}"),
        };
        if self.cpus() < self.processors as f64 {
            sum += &format!("; the quota leaves {cpus} of {}", self.processors);
        }
        if self.by_memory() < self.by_processors(pace) {
            let memory = self.memory.unwrap_or_default() >> 20;
            let each = WORKER_MEMORY >> 20;
            sum += &format!("; {memory} MiB of memory allow {} of {each} MiB each", self.by_memory());
        }
        format!("{} ({sum})", self.workers(pace))
    }

    fn cpus(&self) -> f64 {
        let all = self.processors as f64;
        self.quota.map_or(all, |quota| quota.min(all))
    }

    fn by_processors(&self, pace: Pace) -> usize {
        match pace {
            Pace::One => (2.0 * self.cpus()).floor() as usize + 1,
            Pace::Several => (self.cpus().ceil() as usize).max(1),
        }
    }

    fn by_memory(&self) -> usize {
        // One there must be.
        self.memory.map_or(usize::MAX, |bytes| (bytes / WORKER_MEMORY).max(1) as usize)
    }
}

fn shown(cpus: f64) -> String {
    // At most two places: quotas are round numbers.
    let number = format!("{cpus:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let noun = if number == "1" { "CPU" } else { "CPUs" };
    format!("{number} {noun}")
}

/// `MemTotal:  2097152 kB`
fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
