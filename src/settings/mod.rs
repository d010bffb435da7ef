//! What can be set: every setting is one literal in [`SETTINGS`]. The command line, the checks, `--help`,
//! docs/settings.md and Python's `Config` all read that table, so a new setting is a new literal and nothing else.
//!
//! Nothing here knows Python: the border turns Python objects into [`Raw`] and a [`Value`] back into Python objects.

mod abbreviation;
mod cgroup;
mod check;
pub mod cli;
mod docs;
mod extras;
mod help;
mod integer;
mod kind;
mod machine;
mod memory;
mod mistake;
mod near;
mod place;
mod setting;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use cgroup::oom_counters;
pub use docs::markdown;
pub use kind::{Culprit, Fault, Kind};
pub use machine::{Machine, Pace};
pub use memory::part_of;
pub use near::meant;
pub use place::is_pattern;
pub use setting::{Account, Form, Missing, PLAIN, Section, Setting, Source, Surroundings, Takes, When};
pub use table::SETTINGS;
pub use value::{Literal, Nature, Raw, Value};

/// The setting of that exact name (Gunicorn's names are lower case and never abbreviated).
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
