//! The kinds of settings and the check of each: a [`Raw`] becomes a [`Value`] or a [`Fault`]. A check never acts.
//!
//! The rules and the wording of the faults are Gunicorn's validators'. The one who reports a fault adds which setting
//! it was, where the value came from and [`Kind::allowed`].

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path, PathBuf};

use ipnet::IpNet;

use super::integer;
use super::setting::Surroundings;
use super::value::{Nature, Raw, Value, quote};

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text or nothing.
    Text,
    /// On or off; nothing is off.
    Bool,
    /// On, off, or nothing: then something else decides.
    OptionalBool,
    /// A whole number, 0 or more, also as text.
    Count,
    /// Any number of texts; one text is a list of one, nothing an empty list.
    List,
    /// One text of parts separated by commas.
    Csv,
    /// As `Csv`, each part an IP address, an IP network without host bits, or `*`.
    Networks,
    /// A directory that exists, made absolute.
    Directory,
    /// One of a few words, in any case.
    Choice {
        /// The words; the first one also stands for nothing.
        words: &'static [&'static str],
        /// How the fault begins: "`refusal`: value".
        refusal: &'static str,
    },
    /// A dictionary, kept as it is.
    Dict,
    /// A class, or the text that names one.
    Class,
    /// A callable with one of these numbers of positional parameters.
    Hook(&'static [usize]),
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong: the type of the value or the value itself.
    pub culprit: Culprit,
    /// Gunicorn's text for it.
    pub message: String,
}

/// Which Python exception says it: Gunicorn's validators raise these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    /// `TypeError`
    Type,
    /// `ValueError`
    Value,
}

impl Fault {
    fn of_type(message: impl Into<String>) -> Self {
        Self { culprit: Culprit::Type, message: message.into() }
    }

    fn of_value(message: impl Into<String>) -> Self {
        Self { culprit: Culprit::Value, message: message.into() }
    }
}

impl Kind {
    /// Checks one value and brings it into its final form.
    pub fn check(self, raw: &Raw, surroundings: &Surroundings<'_>) -> Result<Value, Fault> {
        match self {
            Kind::Text => text(raw),
            Kind::Bool if *raw == Raw::None => Ok(Value::Bool(false)),
            Kind::Bool | Kind::OptionalBool => boolean(raw),
            Kind::Count => count(raw),
            Kind::List => list(raw),
            Kind::Csv => csv(raw).map(Value::List),
            Kind::Networks => networks(raw),
            Kind::Directory => directory(raw, surroundings.start_directory),
            Kind::Choice { words, refusal } => choice(raw, words, refusal),
            Kind::Dict => dict(raw),
            Kind::Class => class(raw),
            Kind::Hook(arities) => hook(raw, arities),
        }
    }

    /// What the kind takes, in words, for error messages and the documentation.
    pub fn allowed(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Bool => "True or False".into(),
            Kind::OptionalBool => "True, False or None".into(),
            Kind::Count => "a whole number, 0 or more".into(),
            Kind::List => "a text or a list of texts".into(),
            Kind::Csv => "one text, its parts separated by commas".into(),
            Kind::Networks => {
                "one text of IP addresses and networks separated by commas, or '*' for every address".into()
            }
            Kind::Directory => "a directory that exists".into(),
            Kind::Choice { words, .. } => one_of(words),
            Kind::Dict => "a dictionary".into(),
            Kind::Class => "a class or the name of one".into(),
            Kind::Hook([1]) => "a callable that takes 1 argument".into(),
            Kind::Hook(arities) => format!("a callable that takes {} arguments", one_of(arities)),
        }
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

fn string(raw: &Raw) -> Result<&str, Fault> {
    match raw {
        Raw::Text(text) => Ok(text.trim()),
        other => Err(Fault::of_type(format!("Not a string: {other}"))),
    }
}

fn text(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::None => Ok(Value::None),
        given => string(given).map(|text| Value::Text(text.to_owned())),
    }
}

fn boolean(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::None => Ok(Value::None),
        Raw::Bool(on) => Ok(Value::Bool(*on)),
        Raw::Text(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Raw::Text(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Raw::Text(text) => Err(Fault::of_value(format!("Invalid boolean: {text}"))),
        other => Err(Fault::of_type(format!("Invalid type for casting: {other}"))),
    }
}

fn count(raw: &Raw) -> Result<Value, Fault> {
    let number = match raw {
        Raw::Int(number) => *number,
        Raw::Bool(on) => i128::from(*on),
        Raw::Text(text) => integer::prefixed(text).ok_or_else(|| {
            Fault::of_value(format!("invalid literal for int() with base 0: {}", quote(text)))
        })?,
        _ => return Err(Fault::of_type("int() can't convert non-string with explicit base")),
    };
    if number < 0 {
        return Err(Fault::of_value(format!("Value must be positive: {number}")));
    }
    let fitting =
        i64::try_from(number).map_err(|_| Fault::of_value(format!("Value is too large: {number}")))?;
    Ok(Value::Int(fitting))
}

fn list(raw: &Raw) -> Result<Value, Fault> {
    let items = match raw {
        Raw::None => &[],
        Raw::Text(text) if text.is_empty() => &[],
        Raw::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let texts: Result<Vec<String>, Fault> =
        items.iter().map(|item| string(item).map(str::to_owned)).collect();
    texts.map(Value::List)
}

fn csv(raw: &Raw) -> Result<Vec<String>, Fault> {
    if *raw == Raw::None {
        return Ok(Vec::new());
    }
    let parts = string(raw)?.split(',').map(str::trim).filter(|part| !part.is_empty());
    Ok(parts.map(str::to_owned).collect())
}

fn networks(raw: &Raw) -> Result<Value, Fault> {
    let entries = csv(raw)?;
    for entry in entries.iter().filter(|entry| *entry != "*") {
        network(entry)?;
    }
    Ok(Value::List(entries))
}

/// One entry of an allow list: an address (a network of one) or a network, its size as a prefix length or as an IPv4
/// netmask or host mask. Host bits are refused, as Python's `ipaddress.ip_network` does.
fn network(entry: &str) -> Result<IpNet, Fault> {
    let unknown =
        || Fault::of_value(format!("{} does not appear to be an IPv4 or IPv6 network", quote(entry)));
    let (address, size) = match entry.split_once('/') {
        Some((address, size)) => (address, Some(size)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().map_err(|_| unknown())?;
    let net = match size {
        None => IpNet::from(address),
        Some(size) => match prefix_length(address, size) {
            Some(length) => IpNet::new(address, length).map_err(|_| unknown())?,
            None => return Err(unknown()),
        },
    };
    if net.trunc() != net {
        return Err(Fault::of_value(format!("{entry} has host bits set")));
    }
    Ok(net)
}

fn prefix_length(address: IpAddr, size: &str) -> Option<u8> {
    if size.bytes().all(|byte| byte.is_ascii_digit()) {
        return size.parse().ok();
    }
    let mask: Ipv4Addr = size.parse().ok().filter(|_| address.is_ipv4())?;
    ipnet::ipv4_mask_to_prefix(mask).or_else(|_| ipnet::ipv4_mask_to_prefix(!mask)).ok()
}

fn directory(raw: &Raw, start: &Path) -> Result<Value, Fault> {
    let given = string(raw)?;
    let absolute = normal(&start.join(given));
    if !absolute.is_dir() {
        return Err(Fault::of_value(format!("can't chdir to {}", quote(given))));
    }
    // Both parts were text, so the whole is.
    Ok(Value::Text(absolute.to_string_lossy().into_owned()))
}

/// The path without `.` and `..`, by its text alone (Python's `os.path.normpath`): links stay as the user wrote them.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            named => whole.push(named),
        }
        whole
    })
}

fn choice(raw: &Raw, words: &[&str], refusal: &str) -> Result<Value, Fault> {
    let given = match raw {
        Raw::None => words[0],
        Raw::Text(text) => text.trim(),
        other => return Err(Fault::of_type(format!("Invalid type for casting: {other}"))),
    };
    let known = words.iter().find(|word| word.eq_ignore_ascii_case(given));
    let word = known.ok_or_else(|| Fault::of_value(format!("{refusal}: {raw}")))?;
    Ok(Value::Text((*word).to_owned()))
}

fn dict(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::Object { nature: Nature::Dict, .. } => Ok(Value::Given),
        other => Err(Fault::of_type(format!("Value is not a dictionary: {other} "))),
    }
}

fn class(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::Object { nature: Nature::Class, .. } => Ok(Value::Given),
        given => text(given),
    }
}

fn hook(raw: &Raw, arities: &[usize]) -> Result<Value, Fault> {
    let positional = match raw {
        Raw::Object { nature: Nature::Callable { positional }, .. } => positional,
        other => return Err(Fault::of_type(format!("Value is not callable: {other}"))),
    };
    if arities.contains(positional) {
        return Ok(Value::Given);
    }
    Err(Fault::of_type(format!("Value must have an arity of: {}", arities[0])))
}
