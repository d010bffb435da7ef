//! One setting as data: its name, how the command line spells it, what it takes and where its default comes from.

use std::path::Path;

use super::integer;
use super::kind::{Fault, Kind};
use super::value::{Literal, Raw, Value};

/// One setting. The table holds nothing else, and nothing else knows settings by name unless it uses their value.
#[derive(Debug)]
pub struct Setting {
    /// The name in config files and on Python's `Config`: Gunicorn's.
    pub name: &'static str,
    /// The group in `--help` and in docs/settings.md.
    pub section: Section,
    /// Its options on the command line, short ones first; none if only a file can set it.
    pub flags: &'static [&'static str],
    /// What such an option is followed by.
    pub takes: Takes,
    /// The check.
    pub kind: Kind,
    /// The value when nobody gives one.
    pub default: Literal,
    /// What stands in for the default when it is there.
    pub source: Option<Source>,
    /// What it does: the first line is the text of `--help`, the rest is for the documentation.
    pub description: &'static str,
}

/// What an option on the command line is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// It has no option.
    Nowhere,
    /// Nothing: giving the option sets the value.
    Nothing {
        /// The value that it sets.
        stores: bool,
    },
    /// One text; the last one given counts.
    Text(&'static str),
    /// One whole number in base 10, read before the check: anything else is the command line's mistake.
    Whole(&'static str),
    /// As `Whole`, but `0022` is octal and `0x12`, `0o22` are taken too.
    Mode(&'static str),
    /// One text each time it is given: together they are the list.
    Several(&'static str),
}

/// Where a default comes from when it is not the literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An environment variable, and how its text is read.
    Variable(&'static str, Form),
    /// The directory in which the server was started.
    StartDirectory,
}

/// How the text of an environment variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// A whole number in base 10.
    Whole,
    /// A port, to listen on at every IPv4 address.
    Port,
}

/// What the defaults and the checks may ask of the world outside, so that tests can say it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The directory in which the server was started; absolute.
    pub start_directory: &'a Path,
}

/// The groups of settings, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the title of each says it")]
pub enum Section {
    ConfigFile,
    ServerSocket,
    WorkerProcesses,
    Security,
    SlowClients,
    Debugging,
    ServerMechanics,
    Logging,
    ProcessNaming,
    ServerHooks,
}

impl Section {
    /// Every section.
    pub const ALL: &'static [Section] = &[
        Section::ConfigFile,
        Section::ServerSocket,
        Section::WorkerProcesses,
        Section::Security,
        Section::SlowClients,
        Section::Debugging,
        Section::ServerMechanics,
        Section::Logging,
        Section::ProcessNaming,
        Section::ServerHooks,
    ];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Section::ConfigFile => "Config File",
            Section::ServerSocket => "Server Socket",
            Section::WorkerProcesses => "Worker Processes",
            Section::Security => "Security",
            Section::SlowClients => "Slow Clients",
            Section::Debugging => "Debugging",
            Section::ServerMechanics => "Server Mechanics",
            Section::Logging => "Logging",
            Section::ProcessNaming => "Process Naming",
            Section::ServerHooks => "Server Hooks",
        }
    }
}

impl Setting {
    /// The options joined as messages name them: `-w/--workers`.
    pub fn spelling(&self) -> String {
        self.flags.join("/")
    }

    /// The first line of the description.
    pub fn summary(&self) -> &'static str {
        self.description.lines().next().unwrap_or_default()
    }

    /// The default in these surroundings, checked. A fault can only come from outside: the source that gave the value
    /// is returned with it.
    pub fn default_value(&self, surroundings: &Surroundings<'_>) -> Result<Value, (Source, Fault)> {
        let literal = || self.kind.check(&Raw::from(self.default), surroundings);
        match self.source.and_then(|source| Some((source, source.raw(surroundings)?))) {
            Some((source, raw)) => self.kind.check(&raw, surroundings).map_err(|fault| (source, fault)),
            // Hooks have no default here: Python puts a function that does nothing. For all others a test checks
            // that the literal passes.
            None => Ok(literal().unwrap_or(Value::None)),
        }
    }
}

impl Source {
    /// What the source gives, if it is there.
    pub fn raw(self, surroundings: &Surroundings<'_>) -> Option<Raw> {
        match self {
            Source::Variable(name, form) => (surroundings.variable)(name).map(|text| form.read(&text)),
            Source::StartDirectory => Some(Raw::Text(surroundings.start_directory.to_str()?.to_owned())),
        }
    }

    /// How messages name it.
    pub fn named(self) -> String {
        match self {
            Source::Variable(name, _) => format!("the environment variable {name}"),
            Source::StartDirectory => "the current directory".into(),
        }
    }
}

impl Form {
    fn read(self, text: &str) -> Raw {
        match self {
            Form::Text => Raw::from(text),
            // Text that is no base 10 number stays text, and the check refuses it.
            Form::Whole => integer::decimal(text).map_or_else(|| Raw::from(text), Raw::Int),
            Form::Port => Raw::List(vec![Raw::Text(format!("0.0.0.0:{text}"))]),
        }
    }
}
