//! What the command can say about itself: completions for shells, and its manual page.
//!
//! These options are not Gunicorn's. They count only as the first argument and in full, so that they take no
//! abbreviation away from an option of Gunicorn.

use std::ffi::OsString;

use clap_complete::Shell;

use super::cli::{Program, command};
use super::value::quote;

/// The text that the arguments ask for, if they ask for one of these; `Err` is what is wrong with them.
pub(super) fn answer(program: Program<'_>, arguments: &[OsString]) -> Option<Result<String, String>> {
    let mut words = arguments.iter().map(|argument| argument.to_string_lossy());
    let first = words.next()?;
    let (option, attached) = match first.split_once('=') {
        Some((option, value)) => (option, Some(value.to_owned())),
        None => (first.as_ref(), None),
    };
    match option {
        "--man" => Some(Ok(manual(program))),
        "--completions" => {
            let shell = attached.or_else(|| words.next().map(Into::into));
            Some(completions(&shell.unwrap_or_default(), program))
        }
        _ => None,
    }
}

fn completions(shell: &str, program: Program<'_>) -> Result<String, String> {
    let shell = match shell {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        other => return Err(format!("argument --completions: {} is not bash, zsh or fish", quote(other))),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(program), program.name, &mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn manual(program: Program<'_>) -> String {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command(program).version(env!("CARGO_PKG_VERSION")));
    // Writing to memory does not fail.
    _ = page.render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
