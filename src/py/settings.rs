//! What Python sees of `settings`: its objects become `Raw`, a checked `Value` becomes an object again.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::create_exception;
use pyo3::exceptions::{PyAttributeError, PyException, PyImportError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType};

use crate::settings::cli::{self, End};
use crate::settings::{
    self, Culprit, Fault, Kind, Literal, Nature, Raw, SETTINGS, Setting, Surroundings, Value,
};

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
    module.add_function(wrap_pyfunction!(settings_markdown, module)?)
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

    #[getter]
    fn section(&self) -> &'static str {
        self.0.section.title()
    }

    /// The options on the command line, joined: `-w/--workers`; empty if there are none.
    #[getter]
    fn spelling(&self) -> String {
        self.0.spelling()
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

    /// Where the default comes from if not from the table, in words: `the environment variable PORT`.
    fn default_source(&self, start_directory: PathBuf) -> Option<String> {
        let surroundings = Surroundings { variable: &variable, start_directory: &start_directory };
        self.0.source.filter(|source| source.raw(&surroundings).is_some()).map(settings::Source::named)
    }

    /// The checked value. Raises `ValueError` or `TypeError` with Gunicorn's text. Paths are relative to
    /// `start_directory`.
    fn check<'py>(&self, given: &Bound<'py, PyAny>, start_directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let given = prepared(self.0.kind, given)?;
        let raw = raw(self.0.kind, &given)?;
        let surroundings = Surroundings { variable: &variable, start_directory: &start_directory };
        let value = self.0.kind.check(&raw, &surroundings).map_err(exception)?;
        object(given.py(), value, || Ok(given.clone()))
    }

    /// The default, which may depend on the environment; `None` for hooks.
    fn default_value<'py>(&self, py: Python<'py>, start_directory: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let surroundings = Surroundings { variable: &variable, start_directory: &start_directory };
        let value = self.0.default_value(&surroundings).map_err(|(_, fault)| exception(fault))?;
        object(py, value, || dictionary(py, self.0.default))
    }
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

/// Reads command-line arguments, without the program's name. Raises `CommandLineEnd` for a mistake in them, and where
/// they ask for help or the version.
#[pyfunction]
fn parse_command_line(py: Python<'_>, program: &str, arguments: Vec<OsString>) -> PyResult<CommandLine> {
    let line = cli::parse(program, &arguments).map_err(|end| match end {
        End::Answer(text) => CommandLineEnd::new_err((0, text)),
        End::Mistake(text) => CommandLineEnd::new_err((2, text)),
    })?;
    let mut given = Vec::with_capacity(line.given.len());
    for (setting, raw) in line.given {
        given.push((setting.name, plain(py, raw)?.unbind()));
    }
    Ok(CommandLine { given, positionals: line.positionals })
}

/// The text of docs/settings.md.
#[pyfunction]
fn settings_markdown() -> String {
    settings::markdown()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn exception(fault: Fault) -> PyErr {
    match fault.culprit {
        Culprit::Type => PyTypeError::new_err(fault.message),
        Culprit::Value => PyValueError::new_err(fault.message),
    }
}

/// What Gunicorn does to a value before it looks at it: a hook's dotted name is imported, and a function given as a
/// class is called for the class.
fn prepared<'py>(kind: Kind, given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match kind {
        Kind::Hook(_) => match given.cast::<PyString>() {
            Ok(name) => imported(name.to_str()?, given.py()),
            Err(_) => Ok(given.clone()),
        },
        Kind::Class if is_function(given)? => given.call0(),
        _ => Ok(given.clone()),
    }
}

fn is_function(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    let inspect = given.py().import("inspect")?;
    Ok(inspect.call_method1("isfunction", (given,))?.is_truthy()?
        || inspect.call_method1("ismethod", (given,))?.is_truthy()?)
}

fn imported<'py>(path: &str, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let (module, name) = path.rsplit_once('.').ok_or_else(|| {
        PyTypeError::new_err(format!(
            "Value '{path}' is not import string. Format: module[.submodules...].object"
        ))
    })?;
    py.import(module).and_then(|module| module.getattr(name)).map_err(|error| {
        if error.is_instance_of::<PyImportError>(py) {
            PyTypeError::new_err(error.value(py).to_string())
        } else if error.is_instance_of::<PyAttributeError>(py) {
            PyTypeError::new_err(format!("Can not load '{name}' from '{module}'"))
        } else {
            error
        }
    })
}

fn raw(kind: Kind, given: &Bound<'_, PyAny>) -> PyResult<Raw> {
    // Whatever is false in Python is an empty list: configs say `raw_env = {}`.
    if given.is_none() || (kind == Kind::List && !given.is_truthy()?) {
        return Ok(Raw::None);
    }
    // A bool is an int in Python, so it is asked first.
    if let Ok(on) = given.cast::<PyBool>() {
        return Ok(Raw::Bool(on.is_true()));
    }
    if given.is_instance_of::<PyInt>() {
        return match given.extract::<i128>() {
            Ok(number) => Ok(Raw::Int(number)),
            Err(_) => opaque(Nature::Other, given),
        };
    }
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(Raw::Text(text.to_str()?.to_owned()));
    }
    if is_sequence(given) {
        let items: PyResult<Vec<Raw>> = given.try_iter()?.map(|item| raw(Kind::Text, &item?)).collect();
        return items.map(Raw::List);
    }
    opaque(nature(kind, given)?, given)
}

fn is_sequence(given: &Bound<'_, PyAny>) -> bool {
    given.is_instance_of::<PyList>()
        || given.is_instance_of::<PyTuple>()
        || given.is_instance_of::<PySet>()
        || given.is_instance_of::<PyFrozenSet>()
}

fn opaque(nature: Nature, given: &Bound<'_, PyAny>) -> PyResult<Raw> {
    Ok(Raw::Object { nature, shown: given.str()?.to_str()?.to_owned() })
}

fn nature(kind: Kind, given: &Bound<'_, PyAny>) -> PyResult<Nature> {
    // A class is callable too: which of the two it is depends on who asks.
    match kind {
        Kind::Hook(_) if given.is_callable() => Ok(Nature::Callable { positional: positional(given)? }),
        _ if given.is_instance_of::<PyDict>() => Ok(Nature::Dict),
        _ if given.is_instance_of::<PyType>() => Ok(Nature::Class),
        _ => Ok(Nature::Other),
    }
}

/// The number of positional parameters by signature, as Gunicorn counts them.
fn positional(given: &Bound<'_, PyAny>) -> PyResult<usize> {
    let inspect = given.py().import("inspect")?;
    let parameters = inspect.call_method1("signature", (given,))?.getattr("parameters")?;
    let class = inspect.getattr("Parameter")?;
    let counted = [class.getattr("POSITIONAL_ONLY")?, class.getattr("POSITIONAL_OR_KEYWORD")?];
    let mut number = 0;
    for parameter in parameters.call_method0("values")?.try_iter()? {
        let kind = parameter?.getattr("kind")?;
        number += usize::from(counted.iter().any(|one| one.is(&kind)));
    }
    Ok(number)
}

/// The Python object of a checked value; `given` makes the one that was kept as it is.
fn object<'py>(
    py: Python<'py>,
    value: Value,
    given: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Bool(on) => PyBool::new(py, on).to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::List(texts) => texts.into_pyobject(py)?,
        Value::Given => given()?,
    })
}

fn dictionary(py: Python<'_>, literal: Literal) -> PyResult<Bound<'_, PyAny>> {
    let dict = PyDict::new(py);
    if let Literal::Dict(pairs) = literal {
        for (key, value) in pairs {
            dict.set_item(key, value)?;
        }
    }
    Ok(dict.into_any())
}

/// A value from the command line, which is always plain data.
fn plain(py: Python<'_>, raw: Raw) -> PyResult<Bound<'_, PyAny>> {
    Ok(match raw {
        Raw::None | Raw::Object { .. } => py.None().into_bound(py),
        Raw::Bool(on) => PyBool::new(py, on).to_owned().into_any(),
        Raw::Int(number) => number.into_pyobject(py)?.into_any(),
        Raw::Text(text) => text.into_pyobject(py)?.into_any(),
        Raw::List(items) => {
            let objects: PyResult<Vec<_>> = items.into_iter().map(|item| plain(py, item)).collect();
            PyList::new(py, objects?)?.into_any()
        }
    })
}
