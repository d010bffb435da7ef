//! The text of `--help`: the options by section, each with the first line of its description and its default.

use std::fmt::Write;

use super::cli::Program;
use super::setting::{Section, Setting, Takes};
use super::value::Literal;

/// Columns that a line may have.
const WIDTH: usize = 100;
const INDENT: &str = "          ";

const ABOUT: &str = "
Serves a WSGI application with worker processes forked in advance.

  [APP_MODULE]
          The application: MODULE, MODULE:NAME or MODULE:FACTORY(ARGUMENTS).

Options:
  -h, --help
          Show this text and exit.
  -v, --version
          Show the version and exit.
";

/// What is no setting's, but the command's own.
pub(super) const END: &str = "
Alone on the command line:
  --completions <SHELL>
          Print completions for bash, zsh or fish and exit.
  --man
          Print the manual page and exit.
";

/// The whole text.
pub(super) fn text(program: Program<'_>) -> String {
    let mut text = format!("usage: {}\n{ABOUT}", program.usage);
    for section in Section::ALL {
        let options = program.settings.iter().filter(|setting| setting.section == *section);
        let entries: String = options.filter(|setting| !setting.flags.is_empty()).map(|s| entry(s)).collect();
        if !entries.is_empty() {
            _ = write!(text, "\n{}:\n{entries}", section.title());
        }
    }
    text + END
}

fn entry(setting: &Setting) -> String {
    let meta = match setting.takes.meta() {
        None => String::new(),
        Some(meta) if matches!(setting.takes, Takes::Optional { .. }) => format!(" [{meta}]"),
        Some(meta) => format!(" <{meta}>"),
    };
    format!("  {}{meta}\n{}", setting.flags.join(", "), wrapped(&summary(setting)))
}

/// What the setting does, and its default in brackets.
pub(super) fn summary(setting: &Setting) -> String {
    let summary = setting.summary();
    match (setting.takes, setting.default) {
        (Takes::Nothing { .. }, _) | (_, Literal::None | Literal::List([]) | Literal::Text("")) => {
            summary.to_owned()
        }
        (_, Literal::List(items)) => format!("{summary} [{}]", items.join(", ")),
        (_, default) => format!("{summary} [{default}]"),
    }
}

fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && INDENT.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
            _ = writeln!(lines, "{INDENT}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + INDENT + &line + "\n"
}
