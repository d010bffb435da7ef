//! One setting as data: its name, how the command line spells it, what it takes and where its default comes from.

use std::path::{Path, PathBuf};

use super::integer;
use super::kind::{Fault, Kind};
use super::value::{Literal, Raw, Value};

/// One setting. The table holds nothing else, and nothing else knows settings by name unless it uses their value.
#[derive(Debug)]
pub struct Setting {
    /// The name in config files and on Python's `Config`: Gunicorn's.
    pub name: &'static str,
    /// The name of its class in Python's `config`: Gunicorn's too, because programs import them.
    pub class: &'static str,
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
    /// Other names that people write for it: a configuration file that sets one of them is warned about.
    pub mistaken: &'static [&'static str],
    /// What it asks for, if that does not exist in this version.
    pub missing: Option<Missing>,
    /// Gunicorn does not have it.
    pub ours: bool,
}

/// What a literal of the table leaves out.
pub const PLAIN: Setting = Setting {
    name: "",
    class: "",
    section: Section::ConfigFile,
    flags: &[],
    takes: Takes::Nowhere,
    kind: Kind::Text,
    default: Literal::None,
    source: None,
    description: "",
    mistaken: &[],
    missing: None,
    ours: false,
};

/// A part of Gunicorn that does not exist here: to ask for it is an error at start, never ignored.
#[derive(Debug, Clone, Copy)]
pub struct Missing {
    /// How messages name it: "TLS".
    pub part: &'static str,
    /// Which values ask for it.
    pub when: When,
    /// A setting that takes the wish back when it is on.
    pub unless: Option<&'static str>,
}

/// Which values of a setting ask for what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Any other than the default.
    Changed,
    /// Any that somebody has given.
    Given,
    /// This word alone.
    Is(&'static str),
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
    /// As `Whole`, or this word.
    WholeOr(&'static str, &'static str),
    /// As `Whole`, but `0022` is octal and `0x12`, `0o22` are taken too.
    Mode(&'static str),
    /// One text, or nothing.
    Optional {
        /// How the help names the text.
        meta: &'static str,
        /// The value when there is none.
        without: &'static str,
    },
    /// One text each time it is given: together they are the list.
    Several(&'static str),
}

/// Where a default comes from when it is not the literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An environment variable, and how its text is read.
    Variable(&'static str, Form),
    /// A variable of a hosting platform's panel; empty is unset.
    Platform(&'static str, Form),
    /// The directory in which the server was started.
    StartDirectory,
    /// Who runs this process.
    Account(Account),
    /// A file of this name in the user's directory for such things.
    RuntimeFile(&'static str),
}

/// The two lists of accounts that a system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Account {
    User,
    Group,
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
    /// The id of the account of that name; without a name, the one that runs this process.
    pub account: &'a dyn Fn(Account, Option<&str>) -> Option<u32>,
    /// The user's home directory.
    pub home: &'a dyn Fn() -> Option<PathBuf>,
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
    Ssl,
    Http2,
    DirtyArbiters,
    DirtyArbiterHooks,
    Control,
    /// What programs add themselves.
    Own,
}

impl Takes {
    /// How the help names what follows the option; `None` if nothing does.
    pub fn meta(self) -> Option<&'static str> {
        match self {
            Takes::Nowhere | Takes::Nothing { .. } => None,
            Takes::Text(meta)
            | Takes::Whole(meta)
            | Takes::WholeOr(meta, _)
            | Takes::Mode(meta)
            | Takes::Several(meta)
            | Takes::Optional { meta, .. } => Some(meta),
        }
    }
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
        Section::Ssl,
        Section::Http2,
        Section::DirtyArbiters,
        Section::DirtyArbiterHooks,
        Section::Control,
        Section::Own,
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
            Section::Ssl => "SSL",
            Section::Http2 => "HTTP/2",
            Section::DirtyArbiters => "Dirty Arbiters",
            Section::DirtyArbiterHooks => "Dirty Arbiter Hooks",
            Section::Control => "Control",
            Section::Own => "Application",
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

    /// The default in these surroundings, not yet checked, and its source unless that is the table.
    pub fn initial(&self, surroundings: &Surroundings<'_>) -> (Raw, Option<Source>) {
        let given = self.source.and_then(|source| Some((source.raw(surroundings)?, Some(source))));
        given.unwrap_or_else(|| (self.default.into(), None))
    }

    /// The default in these surroundings, checked. Hooks have none here: Python puts a function that does nothing.
    pub fn default_value(&self, surroundings: &Surroundings<'_>) -> Result<Value, Fault> {
        self.kind.check(&self.initial(surroundings).0, surroundings)
    }
}

impl Source {
    /// What the source gives, if it is there.
    pub fn raw(self, surroundings: &Surroundings<'_>) -> Option<Raw> {
        match self {
            Source::Variable(name, form) => (surroundings.variable)(name).map(|text| form.read(&text)),
            Source::Platform(name, form) => {
                let text = (surroundings.variable)(name).filter(|text| !text.trim().is_empty());
                text.map(|text| form.read(&text))
            }
            Source::StartDirectory => Some(Raw::Text(surroundings.start_directory.to_str()?.to_owned())),
            Source::Account(account) => (surroundings.account)(account, None).map(|id| Raw::Int(id.into())),
            Source::RuntimeFile(name) => {
                Some(Raw::Text(runtime_file(name, surroundings).to_str()?.to_owned()))
            }
        }
    }

    /// How messages name it; nothing if it is as good as a default of the table.
    pub fn named(self) -> Option<String> {
        match self {
            Source::Variable(name, _) | Source::Platform(name, _) => {
                Some(format!("the environment variable {name}"))
            }
            Source::StartDirectory => Some("the current directory".into()),
            Source::Account(_) | Source::RuntimeFile(_) => None,
        }
    }
}

/// In `$XDG_RUNTIME_DIR` if that is a directory, else in `~/.gunicorn`.
fn runtime_file(name: &str, surroundings: &Surroundings<'_>) -> PathBuf {
    let directory = (surroundings.variable)("XDG_RUNTIME_DIR").map(PathBuf::from);
    match directory.filter(|directory| directory.is_dir()) {
        Some(directory) => directory.join(name),
        None => (surroundings.home)().unwrap_or_else(|| "~".into()).join(".gunicorn").join(name),
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
