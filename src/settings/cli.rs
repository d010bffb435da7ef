//! A command line becomes the settings it gives. clap does the reading; the habits are argparse's, because Gunicorn's
//! users have them: unique beginnings of long options, `-w4`, the application before or after the options.
//!
//! Values are not checked here, except that what must be a number is one: that is the command line's own mistake
//! (exit status 2), while a value that the setting refuses is a configuration error (exit status 1).

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, ValueHint};

use super::setting::{Setting, Takes};
use super::value::{Raw, quote};
use super::{abbreviation, extras, help, integer, mistake};

/// The clap name of what is not an option; no setting is called so.
const POSITIONALS: &str = "args";

/// The settings whose options there are: those of the table and those that programs add.
pub type Settings<'a> = &'a [&'static Setting];

/// The program whose command line it is.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Its name in messages.
    pub name: &'a str,
    /// Its name and what it takes: `rgunicorn [OPTIONS] [APP_MODULE]`.
    pub usage: &'a str,
    /// The settings that have options.
    pub settings: Settings<'a>,
}

/// What a command line gives.
#[derive(Debug, Default)]
pub struct CommandLine {
    /// The settings and their values, unchecked.
    pub given: Vec<(&'static Setting, Raw)>,
    /// What is not an option. The first is the application, the others mean nothing.
    pub positionals: Vec<String>,
}

/// A command line after which the program ends.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It asked for this text (help, version), for standard output; exit status 0.
    Answer(String),
    /// It has a mistake: this text for standard error; exit status 2.
    Mistake(String),
}

/// Reads the arguments, without the program's name.
pub fn parse(program: Program<'_>, arguments: &[OsString]) -> Result<CommandLine, End> {
    let settings = program.settings;
    let refuse = |text: String| End::Mistake(mistake::message(program, &text));
    if let Some(answer) = extras::answer(program, arguments) {
        return Err(answer.map_or_else(refuse, End::Answer));
    }
    let words = abbreviation::spelt_out(arguments, settings).map_err(refuse)?;
    let line = std::iter::once(OsString::from(program.name))
        .chain(words.into_iter().map(|word| shielded(word, settings)));
    let matches = command(program)
        .try_get_matches_from(line)
        .map_err(|error| mistake::end(program, arguments, &error))?;
    let positionals = positionals(&matches).map_err(refuse)?;
    let mut given = Vec::new();
    for setting in settings.iter().filter(|setting| is_given(&matches, setting)) {
        given.push((*setting, value(&matches, setting).map_err(refuse)?));
    }
    Ok(CommandLine { given, positionals })
}

/// Stands before an argument that looks like an option to clap but not to argparse. No argument can hold it.
const SHIELD: char = '\0';

/// As argparse, takes an argument with a space in it as text even if it begins with a hyphen, unless an option begins
/// like it: `--access-logformat "- %(h)s"`.
fn shielded(argument: OsString, settings: Settings<'_>) -> OsString {
    match argument.to_str() {
        Some(text)
            if text.starts_with('-') && text.contains(' ') && !begins_like_an_option(text, settings) =>
        {
            OsString::from(format!("{SHIELD}{text}"))
        }
        _ => argument,
    }
}

fn begins_like_an_option(text: &str, settings: Settings<'_>) -> bool {
    let long = text.split('=').next().unwrap_or(text);
    let mut flags = settings.iter().flat_map(|setting| setting.flags);
    flags.any(|flag| match flag.starts_with("--") {
        true => long.starts_with("--") && flag.starts_with(long),
        false => text.starts_with(flag),
    })
}

/// The texts given for one clap argument.
fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    let given = matches.get_many::<String>(name).into_iter().flatten();
    given.map(|text| text.strip_prefix(SHIELD).unwrap_or(text).to_owned()).collect()
}

/// The command as clap knows it: one argument for each setting that has flags.
pub fn command(program: Program<'_>) -> Command {
    let options =
        program.settings.iter().filter(|setting| !setting.flags.is_empty()).map(|setting| option(setting));
    Command::new(program.name.to_owned())
        .version(concat!("(version ", env!("CARGO_PKG_VERSION"), ")"))
        .about("Serves a WSGI application with worker processes forked in advance.")
        .override_usage(program.usage.to_owned())
        .override_help(help::text(program))
        // For the manual page.
        .after_help(help::END.trim())
        .color(ColorChoice::Never)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(
            Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Show this text and exit."),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Show the version and exit."),
        )
        .args(options)
        .arg(
            Arg::new(POSITIONALS)
                .num_args(0..)
                .action(ArgAction::Append)
                .value_name("APP_MODULE")
                .help("The application: MODULE, MODULE:NAME or MODULE:FACTORY(ARGUMENTS)."),
        )
}

fn option(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.name).help(help::summary(setting)).help_heading(setting.section.title());
    let arg = setting.flags.iter().fold(arg, |arg, flag| spelled(arg, flag));
    match setting.takes {
        Takes::Nowhere | Takes::Nothing { stores: true } => arg.action(ArgAction::SetTrue),
        Takes::Nothing { stores: false } => arg.action(ArgAction::SetFalse),
        Takes::Optional { meta, without } => {
            arg.action(ArgAction::Append).value_name(meta).num_args(0..=1).default_missing_value(without)
        }
        Takes::Text(meta)
        | Takes::Whole(meta)
        | Takes::WholeOr(meta, _)
        | Takes::Mode(meta)
        | Takes::Several(meta) => {
            let arg = arg.action(ArgAction::Append).value_name(meta).allow_negative_numbers(true);
            arg.value_hint(hint(meta))
        }
    }
}

/// What shells complete there.
fn hint(meta: &str) -> ValueHint {
    match meta {
        "CONFIG" | "FILE" | "PATH" => ValueHint::FilePath,
        "DIRECTORY" | "DIRECTORIES" => ValueHint::DirPath,
        "USER" => ValueHint::Username,
        _ => ValueHint::Other,
    }
}

/// Adds one spelling: the first long one is the option's name, further ones are its aliases.
fn spelled(arg: Arg, flag: &'static str) -> Arg {
    match flag.strip_prefix("--") {
        Some(long) if arg.get_long().is_none() => arg.long(long),
        Some(long) => arg.visible_alias(long),
        None => arg.short(flag.chars().nth(1)),
    }
}

fn is_given(matches: &ArgMatches, setting: &Setting) -> bool {
    !setting.flags.is_empty() && matches.value_source(setting.name) == Some(ValueSource::CommandLine)
}

/// The value of a setting that was given; `Err` is what is wrong with it.
fn value(matches: &ArgMatches, setting: &Setting) -> Result<Raw, String> {
    if let Takes::Nothing { stores } = setting.takes {
        return Ok(Raw::Bool(stores));
    }
    let mut texts = texts(matches, setting.name);
    if let Takes::Several(_) = setting.takes {
        return Ok(Raw::List(texts.into_iter().map(Raw::Text).collect()));
    }
    let last = texts.pop().unwrap_or_default();
    let number = match setting.takes {
        Takes::WholeOr(_, word) if word == last => return Ok(Raw::Text(last)),
        Takes::Whole(_) | Takes::WholeOr(..) => integer::decimal(&last),
        Takes::Mode(_) => integer::octal_aware(&last),
        _ => return Ok(Raw::Text(last)),
    };
    number.map(Raw::Int).ok_or_else(|| {
        let (spelling, allowed) = (setting.spelling(), setting.kind.allowed());
        format!("argument {spelling}: invalid int value: {} (allowed: {allowed})", quote(&last))
    })
}

/// The first run of arguments that are not options. A second run, behind further options, is refused as argparse
/// does: it is usually a value whose option was forgotten.
fn positionals(matches: &ArgMatches) -> Result<Vec<String>, String> {
    let texts = texts(matches, POSITIONALS);
    let places: Vec<usize> = matches.indices_of(POSITIONALS).into_iter().flatten().collect();
    match places.windows(2).position(|pair| pair[1] != pair[0] + 1) {
        Some(last) => Err(format!("unrecognized arguments: {}", texts[last + 1..].join(" "))),
        None => Ok(texts),
    }
}
