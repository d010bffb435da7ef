//! What Python sees of `settings`: the table row by row, command lines, and what the machine is good for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::values;
use crate::settings::cli::{self, End, Program};
use crate::settings::{
    self, Account, Culprit, Fault, Kind, Literal, Machine, PLAIN, Pace, SETTINGS, Section, Setting,
    Surroundings, Takes, When,
};
use crate::sys::account;

create_exception!(
    rgunicorn._native,
    CommandLineEnd,
    PyException,
    "A command line after which the program ends: `args` are the exit status and the text to show."
);

/// Adds this file's names to the native module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("CommandLineEnd", module.py().get_type::<CommandLineEnd>())?;
    module.add_class::<SettingSpec>()?;
    module.add_class::<CommandLine>()?;
    module.add_function(wrap_pyfunction!(setting_specs, module)?)?;
    module.add_function(wrap_pyfunction!(parse_command_line, module)?)?;
    module.add_function(wrap_pyfunction!(settings_markdown, module)?)?;
    module.add_function(wrap_pyfunction!(auto_workers, module)?)?;
    module.add_function(wrap_pyfunction!(part_of_memory, module)?)?;
    module.add_function(wrap_pyfunction!(setting_meant, module)?)?;
    module.add_function(wrap_pyfunction!(is_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(import_object, module)?)
}

/// One row of the table of settings.
#[pyclass(frozen, module = "rgunicorn._native")]
struct SettingSpec(&'static Setting);

#[pymethods]
impl SettingSpec {
    #[getter]
    fn name(&self) -> &'static str {
        self.0.name
    }

    /// The name of its class in `rgunicorn.config`.
    #[getter]
    fn class_name(&self) -> &'static str {
        self.0.class
    }

    #[getter]
    fn section(&self) -> &'static str {
        self.0.section.title()
    }

    /// The options on the command line, joined: `-w/--workers`; empty if there are none.
    #[getter]
    fn spelling(&self) -> String {
        self.0.spelling()
    }

    /// The options on the command line.
    #[getter]
    fn flags(&self) -> Vec<&'static str> {
        self.0.flags.to_vec()
    }

    /// What the option takes: `nothing`, `text`, `number`, `list` or `optional`; nothing if there is no option.
    #[getter]
    fn takes(&self) -> Option<&'static str> {
        match self.0.takes {
            Takes::Nowhere => None,
            Takes::Nothing { .. } => Some("nothing"),
            Takes::Text(_) => Some("text"),
            Takes::Whole(_) | Takes::WholeOr(..) | Takes::Mode(_) => Some("number"),
            Takes::Several(_) => Some("list"),
            Takes::Optional { .. } => Some("optional"),
        }
    }

    /// How the help names what the option takes.
    #[getter]
    fn meta(&self) -> Option<&'static str> {
        self.0.takes.meta()
    }

    /// The value that the option gives without a text: of `nothing` and `optional`.
    #[getter]
    fn without<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0.takes {
            Takes::Nothing { stores } => values::plain(py, settings::Raw::Bool(stores)),
            Takes::Optional { without, .. } => values::plain(py, settings::Raw::from(without)),
            _ => Ok(py.None().into_bound(py)),
        }
    }

    /// Whether Gunicorn does not have it.
    #[getter]
    fn is_ours(&self) -> bool {
        self.0.ours
    }

    /// What the setting takes, in words.
    #[getter]
    fn allowed(&self) -> String {
        self.0.kind.allowed()
    }

    #[getter]
    fn description(&self) -> &'static str {
        self.0.description
    }

    /// Whether the value is a callable of the user's.
    #[getter]
    fn is_hook(&self) -> bool {
        matches!(self.0.kind, Kind::Hook(_))
    }

    /// The part that a value asks for and that does not exist: `(its name, the setting that takes the wish back)`.
    /// `given` and `changed` say whether somebody has set the value, and to something else than the default.
    fn missing(
        &self,
        value: &Bound<'_, PyAny>,
        given: bool,
        changed: bool,
    ) -> PyResult<Option<(&'static str, Option<&'static str>)>> {
        let Some(missing) = self.0.missing else { return Ok(None) };
        let asks = match missing.when {
            When::Changed => changed,
            When::Given => given,
            When::Is(word) => value.eq(word)?,
        };
        Ok(asks.then_some((missing.part, missing.unless)))
    }

    /// The checked value. Raises `ValueError`, `TypeError` or `ConfigError` with Gunicorn's text. Paths are relative to
    /// `start_directory`.
    fn check<'py>(&self, given: &Bound<'py, PyAny>, start_directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let py = given.py();
        let given = values::prepared(self.0.kind, given)?;
        let raw = values::raw(self.0.kind, &given)?;
        let checked = self.0.kind.check(&raw, &surroundings(&start_directory));
        let value = checked.map_err(|fault| exception(py, fault))?;
        values::object(py, value, || Ok(given.clone()))
    }

    /// The default, which may depend on the environment, not yet checked; `None` for hooks. With it the name of
    /// what gave it, if that is worth telling.
    fn initial<'py>(
        &self,
        py: Python<'py>,
        start_directory: PathBuf,
    ) -> PyResult<(Bound<'py, PyAny>, Option<String>)> {
        if let Literal::Dict(pairs) = self.0.default {
            return Ok((values::dictionary(py, pairs)?, None));
        }
        let (raw, source) = self.0.initial(&surroundings(&start_directory));
        Ok((values::plain(py, raw)?, source.and_then(settings::Source::named)))
    }

    /// A setting that a program adds: its class checks the value itself. `takes` is one of the words of the attribute.
    #[staticmethod]
    fn added(
        name: &str,
        section: &str,
        flags: Vec<String>,
        takes: Option<&str>,
        meta: &str,
        description: &str,
    ) -> PyResult<Self> {
        let meta = kept(meta);
        let takes = match takes {
            None => Takes::Nowhere,
            Some("nothing") => Takes::Nothing { stores: true },
            Some("text") => Takes::Text(meta),
            Some("list") => Takes::Several(meta),
            // No argument can hold this: the class puts its own value there. The first of the two is taken for the
            // mark that shields a text.
            Some("optional") => Takes::Optional { meta, without: "\0\0" },
            Some(other) => return Err(PyTypeError::new_err(format!("an option cannot take {other}"))),
        };
        let flags: Vec<&'static str> = flags.iter().map(|flag| kept(flag)).collect();
        let section = Section::ALL.iter().find(|known| known.title() == section);
        Ok(Self(Box::leak(Box::new(Setting {
            name: kept(name),
            section: section.copied().unwrap_or(Section::Own),
            flags: Box::leak(flags.into_boxed_slice()),
            takes,
            kind: Kind::Anything,
            description: kept(description),
            ..PLAIN
        }))))
    }
}

/// The settings that programs add live as long as the process, as those of the table do.
fn kept(text: &str) -> &'static str {
    Box::leak(text.into())
}

/// What a command line gives: values that are not yet checked.
#[pyclass(frozen, get_all, module = "rgunicorn._native")]
struct CommandLine {
    /// `(name of the setting, value)`.
    given: Vec<(&'static str, Py<PyAny>)>,
    /// What is not an option; the first is the application.
    positionals: Vec<String>,
}

/// The table of settings, in its order.
#[pyfunction]
fn setting_specs() -> Vec<SettingSpec> {
    SETTINGS.iter().map(SettingSpec).collect()
}

/// Reads command-line arguments, without the program's name, for the options of `specs`. Raises `CommandLineEnd` for a
/// mistake in them, and where they ask for help or the version. `usage` begins with the name.
#[pyfunction]
fn parse_command_line(
    py: Python<'_>,
    program: &str,
    usage: &str,
    arguments: Vec<OsString>,
    specs: Vec<PyRef<'_, SettingSpec>>,
) -> PyResult<CommandLine> {
    let settings: Vec<&'static Setting> = specs.iter().map(|spec| spec.0).collect();
    let line = cli::parse(Program { name: program, usage, settings: &settings }, &arguments).map_err(
        |end| match end {
            End::Answer(text) => CommandLineEnd::new_err((0, text)),
            End::Mistake(text) => CommandLineEnd::new_err((2, text)),
        },
    )?;
    let mut given = Vec::with_capacity(line.given.len());
    for (setting, raw) in line.given {
        given.push((setting.name, values::plain(py, raw)?.unbind()));
    }
    Ok(CommandLine { given, positionals: line.positionals })
}

/// The text of docs/settings.md.
#[pyfunction]
fn settings_markdown() -> String {
    settings::markdown()
}

/// How many workers `auto` means, and how the number comes about. `root` is where the system's files are looked for,
/// `processors` the number that the process may use, `several` whether a worker serves several requests at a time.
#[pyfunction]
fn auto_workers(root: PathBuf, processors: usize, several: bool) -> (usize, String) {
    let machine = Machine::read(&root, processors);
    let pace = if several { Pace::Several } else { Pace::One };
    (machine.workers(pace), machine.sum(pace))
}

/// How many bytes a part of the memory there is are (`20%`), and how many there are: the machine's, or what a control group
/// leaves. `root` is where the system's files are looked for. None if they do not tell.
#[pyfunction]
fn part_of_memory(root: PathBuf, part: &str) -> Option<(u64, u64)> {
    let total = Machine::read(&root, 1).memory?;
    Some((settings::part_of(part, total)?, total))
}

/// The setting that a name nearly is, if it is one by mistake.
#[pyfunction]
fn setting_meant(name: &str) -> Option<&'static str> {
    settings::meant(name).map(|setting| setting.name)
}

/// Whether a path stands for several files.
#[pyfunction]
fn is_pattern(path: &str) -> bool {
    settings::is_pattern(path)
}

/// What a dotted name names. Raises `TypeError` if it cannot be had.
#[pyfunction]
fn import_object<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    values::imported(path, py)
}

fn surroundings(start_directory: &Path) -> Surroundings<'_> {
    Surroundings { variable: &variable, start_directory, account: &account_id, home: &account::home }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn account_id(account: Account, name: Option<&str>) -> Option<u32> {
    match account {
        Account::User => account::user_id(name),
        Account::Group => account::group_id(name),
    }
}

fn exception(py: Python<'_>, fault: Fault) -> PyErr {
    match fault.culprit {
        Culprit::Type => PyTypeError::new_err(fault.message),
        Culprit::Value => PyValueError::new_err(fault.message),
        Culprit::Surroundings => config_error(py, fault.message).unwrap_or_else(|error| error),
    }
}

fn config_error(py: Python<'_>, message: String) -> PyResult<PyErr> {
    let class = py.import("rgunicorn.errors")?.getattr("ConfigError")?;
    Ok(PyErr::from_value(class.call1((message,))?))
}
