//! The checks of values that name something outside: networks, directories, files, accounts, addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path, PathBuf};

use ipnet::IpNet;

use super::check::{csv, list, string};
use super::integer;
use super::kind::Fault;
use super::setting::{Account, Surroundings};
use super::value::{Raw, Value, quote};

/// Where StatsD listens unless the address says otherwise.
const STATSD_PORT: i64 = 8125;

pub(super) fn networks(raw: &Raw) -> Result<Value, Fault> {
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

/// Whether a path is a pattern for several files.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Relative paths are looked up from the directory of the process, as they will be when the files are watched.
pub(super) fn files(raw: &Raw) -> Result<Value, Fault> {
    let paths = list(raw)?;
    match paths.iter().find(|path| !is_pattern(path) && !Path::new(path).exists()) {
        Some(path) => Err(Fault::of_value(format!("File {path} does not exists."))),
        None => Ok(Value::List(paths)),
    }
}

pub(super) fn directory(raw: &Raw, start: &Path) -> Result<Value, Fault> {
    let given = string(raw)?;
    let absolute = normal(&start.join(given));
    // That of the start may have been removed since: whoever goes there finds out, and perhaps nobody does.
    if !absolute.is_dir() && absolute != normal(start) {
        return Err(Fault::of_surroundings(format!("can't chdir to {}", quote(given))));
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

pub(super) fn id(raw: &Raw, account: Account, surroundings: &Surroundings<'_>) -> Result<Value, Fault> {
    let number = match raw {
        Raw::None => (surroundings.account)(account, None).map(i64::from),
        Raw::Int(number) => i64::try_from(*number).ok(),
        Raw::Bool(on) => Some(i64::from(*on)),
        Raw::Text(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.parse().ok()
        }
        Raw::Text(name) => (surroundings.account)(account, Some(name)).map(i64::from),
        other => return Err(Fault::of_type(format!("Not a string: {other}"))),
    };
    let kind = match account {
        Account::User => "user",
        Account::Group => "group",
    };
    number.map(Value::Int).ok_or_else(|| Fault::of_surroundings(format!("No such {kind}: '{raw}'")))
}

pub(super) fn statsd_address(raw: &Raw) -> Result<Value, Fault> {
    if *raw == Raw::None {
        return Ok(Value::None);
    }
    address(string(raw)?).ok_or_else(|| Fault::of_type("Value must be one of ('host:port', 'unix://PATH')"))
}

fn address(text: &str) -> Option<Value> {
    match text.strip_prefix("unix:") {
        // A host of that name: addresses of Unix sockets were written otherwise once.
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Some(Value::Address("unix".into(), port.parse().ok()?));
        }
        Some(path) => return Some(Value::Text(path.strip_prefix("//").unwrap_or(path).to_owned())),
        None => {}
    }
    if text.starts_with("fd://") {
        return None;
    }
    let (host, port) = host_and_port(text.strip_prefix("tcp://").unwrap_or(text));
    let port = port.map_or(Some(STATSD_PORT), |port| integer::decimal(port)?.try_into().ok())?;
    Some(Value::Address(host.to_lowercase(), port))
}

fn host_and_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None if text.is_empty() => ("0.0.0.0", None),
        None => (text, None),
    }
}
