//! The kinds of settings: what each takes, in words and as a check that makes a [`Value`] or a [`Fault`] of a [`Raw`].
//! A check never acts.
//!
//! The rules and the wording of the faults are Gunicorn's validators'. The one who reports a fault adds which setting
//! it was, where the value came from and [`Kind::allowed`].

use super::setting::{Account, Surroundings};
use super::value::{Raw, Value};
use super::{check, memory, place};

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text or nothing.
    Text,
    /// A path of a URL, or nothing.
    UrlPath,
    /// On, off, or nothing: off, or what something else decides.
    Bool,
    /// A whole number, 0 or more, also as text.
    Count,
    /// As `Count`, between two numbers.
    Bounded {
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
        /// The fault; `{value}` is the number.
        refusal: &'static str,
    },
    /// As `Count`, or the word `auto`: as many as the machine is good for.
    Workers,
    /// An amount of memory: bytes, with or without a suffix, or a part of what there is, or nothing.
    Memory,
    /// Any number of texts; one text is a list of one, nothing an empty list.
    List,
    /// The same, where each is an address to listen at.
    Addresses,
    /// One text of parts separated by commas.
    Csv,
    /// As `Csv`, each part an IP address, an IP network without host bits, or `*`.
    Networks,
    /// As `List`, each a file that exists or a pattern of files.
    Files,
    /// As `Csv`, each part one of these words, none twice; nothing is the first.
    Protocols(&'static [&'static str]),
    /// A directory that exists, made absolute.
    Directory,
    /// An id or the name of an account; nothing is the one that runs the process.
    Id(Account),
    /// Where datagrams of metrics go: `HOST:PORT` or `unix://PATH`.
    StatsdAddress,
    /// One of a few words.
    Choice(&'static Choice),
    /// A dictionary, kept as it is.
    Dict,
    /// A class, or the text that names one.
    Class,
    /// A callable with one of these numbers of positional parameters.
    Hook(&'static [usize]),
    /// Whatever is given: it has no effect, or its own check elsewhere.
    Anything,
}

/// A choice of words.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The words; the first one also stands for nothing, unless `exact`.
    pub words: &'static [&'static str],
    /// Other spellings, and the word that each stands for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// The words for False and True.
    pub switch: Option<[&'static str; 2]>,
    /// Letters must be as they are, and nothing is not taken.
    pub exact: bool,
    /// The fault of another word: `{value}` is what was given, `{lower}` the same in lower case, `{quoted}` in quotes.
    pub refusal: &'static str,
    /// The fault of what is no text; `{value}` as above.
    pub no_text: &'static str,
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong: the type of the value or the value itself.
    pub culprit: Culprit,
    /// Gunicorn's text for it.
    pub message: String,
}

/// Which Python exception says it: those that Gunicorn's validators raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    /// `TypeError`
    Type,
    /// `ValueError`
    Value,
    /// `ConfigError`: what the value names is not there.
    Surroundings,
}

impl Fault {
    pub(super) fn of_type(message: impl Into<String>) -> Self {
        Self { culprit: Culprit::Type, message: message.into() }
    }

    pub(super) fn of_value(message: impl Into<String>) -> Self {
        Self { culprit: Culprit::Value, message: message.into() }
    }

    pub(super) fn of_surroundings(message: impl Into<String>) -> Self {
        Self { culprit: Culprit::Surroundings, message: message.into() }
    }
}

impl Kind {
    /// Checks one value and brings it into its final form.
    pub fn check(self, raw: &Raw, surroundings: &Surroundings<'_>) -> Result<Value, Fault> {
        match self {
            Kind::Text => check::text(raw),
            Kind::UrlPath => check::url_path(raw),
            Kind::Bool => check::boolean(raw),
            Kind::Count => check::count(raw).map(Value::Int),
            Kind::Bounded { least, most, refusal } => check::bounded(raw, least..=most, refusal),
            Kind::Workers => check::workers(raw),
            Kind::Memory => memory::amount(raw),
            Kind::List | Kind::Addresses => check::list(raw).map(Value::List),
            Kind::Csv => check::csv(raw).map(Value::List),
            Kind::Networks => place::networks(raw),
            Kind::Files => place::files(raw),
            Kind::Protocols(words) => check::protocols(raw, words),
            Kind::Directory => place::directory(raw, surroundings.start_directory),
            Kind::Id(account) => place::id(raw, account, surroundings),
            Kind::StatsdAddress => place::statsd_address(raw),
            Kind::Choice(choice) => check::choice(raw, choice),
            Kind::Dict => check::dict(raw),
            Kind::Class => check::class(raw),
            Kind::Hook(arities) => check::hook(raw, arities),
            Kind::Anything => Ok(Value::Given),
        }
    }

    /// What the kind takes, in words, for error messages and the documentation.
    pub fn allowed(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::UrlPath => "a path that begins with '/'".into(),
            Kind::Bool => "True or False".into(),
            Kind::Count => "a whole number, 0 or more".into(),
            Kind::Bounded { least, most, .. } => bounds(least, most),
            Kind::Workers => "a whole number, 0 or more, or 'auto'".into(),
            Kind::Memory => {
                "bytes, such as 300000000, '300M' or '1.5G', or a part of the memory there is, such as '20%'"
                    .into()
            }
            Kind::List => "a text or a list of texts".into(),
            Kind::Addresses => {
                "HOST, HOST:PORT, [V6]:PORT, :PORT, unix:PATH, fd://NUMBER, or a list of these".into()
            }
            Kind::Csv => "one text, its parts separated by commas".into(),
            Kind::Networks => {
                "one text of IP addresses and networks separated by commas, or '*' for every address".into()
            }
            Kind::Files => "a file that exists, a pattern of files, or a list of these".into(),
            Kind::Protocols(words) => format!("one text of {}, separated by commas", one_of(words)),
            Kind::Directory => "a directory that exists".into(),
            Kind::Id(Account::User) => "the name or the id of a user".into(),
            Kind::Id(Account::Group) => "the name or the id of a group".into(),
            Kind::StatsdAddress => "'host:port' or 'unix://PATH'".into(),
            Kind::Choice(choice) => one_of(choice.words),
            Kind::Dict => "a dictionary".into(),
            Kind::Class => "a class or the name of one".into(),
            Kind::Hook([1]) => "a callable that takes 1 argument".into(),
            Kind::Hook(arities) => format!("a callable that takes {} arguments", one_of(arities)),
            Kind::Anything => "anything".into(),
        }
    }
}

fn bounds(least: i64, most: i64) -> String {
    match most {
        i64::MAX => format!("a whole number, {least} or more"),
        _ => format!("a whole number from {least} to {most}"),
    }
}

fn one_of<T: ToString>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(T::to_string).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
