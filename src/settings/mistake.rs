//! What clap found wrong with a command line, in argparse's words: they name the option and what it takes.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::cli::{End, Program, Settings};
use super::setting::{Setting, Takes};

/// How the program ends after this error: help and version are answers, the rest are mistakes.
pub(super) fn end(program: Program<'_>, arguments: &[OsString], error: &clap::Error) -> End {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => End::Answer(error.to_string()),
        _ => End::Mistake(message(program, &explanation(arguments, program.settings, error))),
    }
}

/// The two lines that argparse would print.
pub(super) fn message(program: Program<'_>, text: &str) -> String {
    format!("usage: {}\n{}: error: {text}\n", program.usage, program.name)
}

fn explanation(arguments: &[OsString], settings: Settings<'_>, error: &clap::Error) -> String {
    let argument = context(error, ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(arguments, &argument, error),
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".into(),
        _ => match setting(&argument, settings) {
            Some(setting) => format!("argument {}: {}", setting.spelling(), expectation(setting)),
            None => error.to_string().lines().next().unwrap_or_default().replace("error: ", ""),
        },
    }
}

fn expectation(setting: &Setting) -> String {
    match setting.takes {
        Takes::Nowhere | Takes::Nothing { .. } => "it takes no value".into(),
        _ => format!("expected one argument (allowed: {})", setting.kind.allowed()),
    }
}

/// An option that does not exist.
fn unknown(arguments: &[OsString], argument: &str, error: &clap::Error) -> String {
    // clap reports `-xyz` by its first unknown letter; the user should find what was typed.
    let typed = arguments.iter().filter_map(|typed| typed.to_str()).find(|typed| typed.starts_with(argument));
    let typed = typed.unwrap_or(argument);
    match context(error, ContextKind::SuggestedArg) {
        Some(similar) => format!("unrecognized arguments: {typed} (did you mean {similar}?)"),
        None => format!("unrecognized arguments: {typed}"),
    }
}

/// clap writes `--workers <INT>`: the setting with that flag.
fn setting(argument: &str, settings: Settings<'_>) -> Option<&'static Setting> {
    let flag = argument.split([' ', '=', '[']).next()?;
    settings.iter().find(|setting| setting.flags.contains(&flag)).copied()
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}
