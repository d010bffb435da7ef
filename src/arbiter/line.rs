//! Log lines as values: a level, Gunicorn's wording with `%s` in it, and what goes there. The wording is part
//! of the drop-in promise, and loggers that group by it get template and arguments apart.

/// Severity, named as Python's `logging` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks for a fault in the server.
    Debug,
    /// Normal life.
    Info,
    /// Survived, but look at it.
    Warning,
    /// Something was lost.
    Error,
    /// A worker had to be killed.
    Critical,
}

/// What stands in place of one `%s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A pid, a count, a status.
    Number(i64),
    /// Text, already safe to log.
    Text(String),
}

impl From<i32> for Arg {
    fn from(number: i32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One line for the error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Severity.
    pub level: Level,
    /// The wording, one `%s` for each argument.
    pub text: &'static str,
    /// The arguments.
    pub args: Vec<Arg>,
}

impl Line {
    /// A line; `args` stand for the `%s` in `text` in order.
    pub fn new(level: Level, text: &'static str, args: impl IntoIterator<Item = Arg>) -> Self {
        Self { level, text, args: args.into_iter().collect() }
    }
}
