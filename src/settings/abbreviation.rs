//! The beginnings of long options that argparse takes for the whole: `--timeo 5`.
//!
//! Options that only this server has come last: a beginning that is unique among Gunicorn's stays so.

use std::ffi::OsString;

use super::cli::Settings;

/// What every command has besides its settings.
const OWN: [&str; 2] = ["--help", "--version"];

/// The arguments with every abbreviated option written in full; `Err` says which one could be several.
pub(super) fn spelt_out(arguments: &[OsString], settings: Settings<'_>) -> Result<Vec<OsString>, String> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (options, rest) = arguments.split_at(end);
    let options = options.iter().map(|argument| whole(argument, settings));
    options.chain(rest.iter().map(|argument| Ok(argument.clone()))).collect()
}

fn whole(argument: &OsString, settings: Settings<'_>) -> Result<OsString, String> {
    let Some(text) = argument.to_str().filter(|text| text.starts_with("--")) else {
        return Ok(argument.clone());
    };
    let (start, value) = match text.find('=') {
        Some(place) => text.split_at(place),
        None => (text, ""),
    };
    match candidates(start, settings).as_slice() {
        [only] => Ok(format!("{only}{value}").into()),
        [] => Ok(argument.clone()),
        several => Err(format!("ambiguous option: {start} could match {}", several.join(", "))),
    }
}

/// The options that `start` may mean: itself, else Gunicorn's that begin so, else ours.
fn candidates(start: &str, settings: Settings<'_>) -> Vec<&'static str> {
    let flags = |ours: bool| settings.iter().filter(move |setting| setting.ours == ours);
    let beginning = |ours: bool| {
        let own = OWN.iter().filter(|_| !ours);
        let long = flags(ours).flat_map(|setting| setting.flags).chain(own).copied();
        long.filter(|flag| flag.starts_with("--") && flag.starts_with(start)).collect::<Vec<_>>()
    };
    let (gunicorns, ours) = (beginning(false), beginning(true));
    if let Some(exact) = gunicorns.iter().chain(&ours).find(|flag| **flag == start) {
        return vec![exact];
    }
    if gunicorns.is_empty() { ours } else { gunicorns }
}
