//! The checks of values that say all that is to be known about them: texts, numbers, lists, words, callables.

use std::ops::RangeInclusive;

use super::integer;
use super::kind::{Choice, Fault};
use super::value::{Nature, Raw, Value, quote};

/// The word that leaves the number of workers to the server.
const AUTO: &str = "auto";

pub(super) fn string(raw: &Raw) -> Result<&str, Fault> {
    match raw {
        Raw::Text(text) => Ok(text.trim()),
        other => Err(Fault::of_type(format!("Not a string: {other}"))),
    }
}

pub(super) fn text(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::None => Ok(Value::None),
        given => string(given).map(|text| Value::Text(text.to_owned())),
    }
}

pub(super) fn url_path(raw: &Raw) -> Result<Value, Fault> {
    match text(raw)? {
        Value::Text(path) if !path.starts_with('/') || path.contains(['?', '#']) => {
            Err(Fault::of_value(format!("Not a path that begins with '/', without a query: {path}")))
        }
        path => Ok(path),
    }
}

pub(super) fn boolean(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::None => Ok(Value::None),
        Raw::Bool(on) => Ok(Value::Bool(*on)),
        Raw::Text(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Raw::Text(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Raw::Text(text) => Err(Fault::of_value(format!("Invalid boolean: {text}"))),
        other => Err(Fault::of_type(format!("Invalid type for casting: {other}"))),
    }
}

fn number(raw: &Raw) -> Result<i64, Fault> {
    let number = match raw {
        Raw::Int(number) => *number,
        Raw::Bool(on) => i128::from(*on),
        Raw::Text(text) => integer::prefixed(text).ok_or_else(|| {
            Fault::of_value(format!("invalid literal for int() with base 0: {}", quote(text)))
        })?,
        other => return Err(Fault::of_type(format!("{other} is not a whole number"))),
    };
    i64::try_from(number).map_err(|_| Fault::of_value(format!("Value is too large: {number}")))
}

pub(super) fn count(raw: &Raw) -> Result<i64, Fault> {
    match number(raw)? {
        negative if negative < 0 => Err(Fault::of_value(format!("Value must be positive: {negative}"))),
        number => Ok(number),
    }
}

pub(super) fn bounded(raw: &Raw, range: RangeInclusive<i64>, refusal: &str) -> Result<Value, Fault> {
    let number = number(raw)?;
    match range.contains(&number) {
        true => Ok(Value::Int(number)),
        false => Err(Fault::of_value(refusal.replace("{value}", &number.to_string()))),
    }
}

pub(super) fn workers(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::Text(text) if text.trim() == AUTO => Ok(Value::Text(AUTO.into())),
        given => count(given).map(Value::Int),
    }
}

pub(super) fn list(raw: &Raw) -> Result<Vec<String>, Fault> {
    let items = match raw {
        Raw::None => &[],
        Raw::Text(text) if text.is_empty() => &[],
        Raw::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    items.iter().map(|item| string(item).map(str::to_owned)).collect()
}

pub(super) fn csv(raw: &Raw) -> Result<Vec<String>, Fault> {
    if *raw == Raw::None {
        return Ok(Vec::new());
    }
    let parts = string(raw)?.split(',').map(str::trim).filter(|part| !part.is_empty());
    Ok(parts.map(str::to_owned).collect())
}

pub(super) fn protocols(raw: &Raw, words: &[&str]) -> Result<Value, Fault> {
    let text = match raw {
        Raw::None => words[0],
        Raw::Text(text) => text.as_str(),
        _ => return Err(Fault::of_type("http_protocols must be a string")),
    };
    let mut chosen: Vec<String> = Vec::new();
    for part in csv(&Raw::from(text))? {
        let word = part.to_ascii_lowercase();
        if !words.contains(&word.as_str()) {
            let valid = words.join(", ");
            return Err(Fault::of_value(format!("Invalid protocol '{word}'. Valid protocols: {valid}")));
        }
        if chosen.contains(&word) {
            return Err(Fault::of_value("Duplicate protocols specified"));
        }
        chosen.push(word);
    }
    if chosen.is_empty() {
        chosen.push(words[0].to_owned());
    }
    Ok(Value::List(chosen))
}

pub(super) fn choice(raw: &Raw, choice: &Choice) -> Result<Value, Fault> {
    match chosen(raw, choice)? {
        Some(word) => Ok(Value::Text(word.to_owned())),
        None => Err(Fault::of_value(filled(choice.refusal, raw))),
    }
}

fn chosen(raw: &Raw, choice: &Choice) -> Result<Option<&'static str>, Fault> {
    let given = match (raw, choice.switch) {
        (Raw::Text(text), _) if choice.exact => text.clone(),
        (Raw::Text(text), _) => text.trim().to_lowercase(),
        (Raw::None, _) if !choice.exact => return Ok(Some(choice.words[0])),
        (Raw::Bool(on), Some(words)) => return Ok(Some(words[usize::from(*on)])),
        _ if choice.exact => return Ok(None),
        _ => return Err(Fault::of_type(filled(choice.no_text, raw))),
    };
    let alias = choice.aliases.iter().find(|(alias, _)| *alias == given).map(|(_, word)| *word);
    Ok(alias.or_else(|| choice.words.iter().find(|word| **word == given).copied()))
}

fn filled(template: &str, raw: &Raw) -> String {
    let shown = raw.to_string();
    template
        .replace("{lower}", shown.trim().to_lowercase().as_str())
        .replace("{quoted}", &raw.quoted())
        .replace("{value}", &shown)
}

pub(super) fn dict(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::Object { nature: Nature::Dict, .. } => Ok(Value::Given),
        other => Err(Fault::of_type(format!("Value is not a dictionary: {other} "))),
    }
}

pub(super) fn class(raw: &Raw) -> Result<Value, Fault> {
    match raw {
        Raw::Object { nature: Nature::Class, .. } => Ok(Value::Given),
        given => text(given),
    }
}

pub(super) fn hook(raw: &Raw, arities: &[usize]) -> Result<Value, Fault> {
    let positional = match raw {
        Raw::Object { nature: Nature::Callable { positional }, .. } => positional,
        other => return Err(Fault::of_type(format!("Value is not callable: {other}"))),
    };
    if arities.contains(positional) {
        return Ok(Value::Given);
    }
    Err(Fault::of_type(format!("Value must have an arity of: {}", arities[0])))
}
