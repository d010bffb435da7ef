//! Amounts of memory: bytes, bytes with a suffix, or a part of the memory there is.

use super::integer;
use super::kind::Fault;
use super::value::{Raw, Value};

/// Powers of 1024, as `free`, systemd and control groups write them.
const SUFFIXES: [(char, u64); 4] = [('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)];
/// No process is smaller: `300` was meant to be `300M`.
const LEAST: i64 = 1 << 20;

/// A text that names a part stays one (`20%`): how much that is depends on the machine. Everything else becomes bytes; 0 is
/// no limit.
pub(super) fn amount(raw: &Raw) -> Result<Value, Fault> {
    let bytes = match raw {
        Raw::None => return Ok(Value::None),
        Raw::Int(number) => i64::try_from(*number).map_err(|_| unknown(raw))?,
        Raw::Text(text) if text.trim().ends_with('%') => {
            return part(text).map(|_| Value::Text(text.trim().into())).ok_or_else(|| no_part(text));
        }
        Raw::Text(text) => bytes(text.trim()).ok_or_else(|| unknown(raw))?,
        _ => return Err(Fault::of_type(unknown(raw).message)),
    };
    match bytes {
        0 | LEAST.. => Ok(Value::Int(bytes)),
        ..0 => Err(Fault::of_value(format!("Value must be positive: {bytes}"))),
        _ => Err(Fault::of_value(format!(
            "{bytes} bytes are less than any worker needs: is '{bytes}M' meant?"
        ))),
    }
}

/// The bytes of a part (`20%`) of so much memory.
pub fn part_of(text: &str, total: u64) -> Option<u64> {
    part(text).map(|part| (total as f64 * part) as u64)
}

fn part(text: &str) -> Option<f64> {
    let number = plain(text.trim().strip_suffix('%')?.trim_end())?;
    (number > 0.0 && number <= 100.0).then_some(number / 100.0)
}

/// `300000000`, `300M`, `1.5 GiB`.
fn bytes(text: &str) -> Option<i64> {
    if let Some(number) = integer::prefixed(text) {
        return number.try_into().ok();
    }
    let text = text.to_ascii_lowercase();
    // What Kubernetes writes `300Mi` and others `300MiB`.
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (_, unit) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(*suffix))?;
    let bytes = plain(text[..text.len() - 1].trim_end())? * *unit as f64;
    (bytes < i64::MAX as f64).then_some(bytes as i64)
}

/// A decimal number without sign or exponent.
fn plain(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| digits)
}

fn unknown(raw: &Raw) -> Fault {
    let examples = "'300M', '1.5G' or '20%'";
    Fault::of_value(format!("Not an amount of memory: {} (bytes, or such as {examples})", raw.quoted()))
}

fn no_part(text: &str) -> Fault {
    Fault::of_value(format!("Not a part of the memory there is: '{}' (above 0%, at most 100%)", text.trim()))
}
