//! The table as docs/settings.md.

use std::fmt::Write;

use super::kind::Kind;
use super::setting::{Account, Section, Setting, Source, Takes};
use super::table::SETTINGS;
use super::value::Literal;

const INTRODUCTION: &str = "# Settings

<!-- Made from src/settings/table.rs by `python -m rgunicorn.config --markdown`. Do not edit. -->

A setting is taken from the first of these that gives it: the command line, the environment variable
`GUNICORN_CMD_ARGS` (written like a command line), the configuration file, the default. A list replaces a list, they
are never merged.

The configuration file is Python: each of its global names that is a setting's name sets it. It is the one given with
`-c`, else `gunicorn.conf.py` in the current directory. Other names in it mean nothing to the server; one that nearly is a
setting's, and that nothing in the file makes use of, is warned about at start.

Variables of the environment that begin with `CC_` are those of Clever Cloud's panel; empty they count as unset.

`rgunicorn --completions SHELL` prints completions for bash, zsh or fish, `rgunicorn --man` a manual page.
";

/// The whole text of docs/settings.md.
pub fn markdown() -> String {
    let sections = Section::ALL.iter().filter(|section| **section != Section::Own);
    sections.fold(INTRODUCTION.to_owned(), |mut text, section| {
        _ = write!(text, "\n## {}\n", section.title());
        text.extend(SETTINGS.iter().filter(|setting| setting.section == *section).map(entry));
        text
    })
}

fn entry(setting: &Setting) -> String {
    let mut text = format!("\n### `{}`\n\n", setting.name);
    if !setting.flags.is_empty() {
        _ = writeln!(text, "- command line: {}", options(setting));
    }
    _ = writeln!(text, "- takes {}", setting.kind.allowed());
    if !matches!(setting.kind, Kind::Hook(_)) {
        _ = writeln!(text, "- default: {}", default(setting));
    }
    if setting.ours {
        text.push_str("- not in Gunicorn\n");
    }
    _ = write!(text, "\n{}\n", setting.description);
    text
}

fn options(setting: &Setting) -> String {
    let meta = match setting.takes.meta() {
        None => String::new(),
        Some(meta) if matches!(setting.takes, Takes::Optional { .. }) => format!(" [{meta}]"),
        Some(meta) => format!(" {meta}"),
    };
    let spellings: Vec<String> = setting.flags.iter().map(|flag| format!("`{flag}{meta}`")).collect();
    spellings.join(", ")
}

fn default(setting: &Setting) -> String {
    let literal = match setting.default {
        Literal::Text(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    match setting.source {
        Some(Source::Variable(name, _) | Source::Platform(name, _)) => {
            format!("{literal}, or from the environment variable `{name}`")
        }
        Some(Source::StartDirectory) => "the directory in which the server is started".into(),
        Some(Source::Account(Account::User)) => "the user that starts the server".into(),
        Some(Source::Account(Account::Group)) => "the group that starts the server".into(),
        Some(Source::RuntimeFile(name)) => {
            format!("`{name}` in `$XDG_RUNTIME_DIR` if that is a directory, else in `~/.gunicorn`")
        }
        None => literal,
    }
}
