//! Python objects become `Raw`, and checked `Value`s become objects again.

use pyo3::exceptions::{PyAttributeError, PyImportError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType};

use crate::settings::{Kind, Nature, Raw, Value};

/// What Gunicorn does to a value before it looks at it: a hook's dotted name is imported, and a function given as a
/// class is called for the class.
pub fn prepared<'py>(kind: Kind, given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
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

/// What the dotted name of a hook names.
pub fn imported<'py>(path: &str, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
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

/// What the checks are told about an object.
pub fn raw(kind: Kind, given: &Bound<'_, PyAny>) -> PyResult<Raw> {
    // Whatever is false in Python is an empty list: configs say `raw_env = {}`.
    if given.is_none()
        || (matches!(kind, Kind::List | Kind::Addresses | Kind::Files) && !given.is_truthy()?)
    {
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
        let items: PyResult<Vec<Raw>> = given.try_iter()?.map(|item| raw_item(&item?)).collect();
        return items.map(Raw::List);
    }
    opaque(nature(kind, given)?, given)
}

/// No setting takes a list within a list, which may even hold itself.
fn raw_item(item: &Bound<'_, PyAny>) -> PyResult<Raw> {
    if is_sequence(item) { opaque(Nature::Other, item) } else { raw(Kind::Text, item) }
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
pub(super) fn positional(given: &Bound<'_, PyAny>) -> PyResult<usize> {
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
pub fn object<'py>(
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
        Value::Address(host, port) => (host, port).into_pyobject(py)?.into_any(),
        Value::Given => given()?,
    })
}

/// The dictionary of a default; each time a new one, because its owner may change it.
pub fn dictionary<'py>(py: Python<'py>, pairs: &[(&str, &str)]) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for (key, value) in pairs {
        dict.set_item(key, value)?;
    }
    Ok(dict.into_any())
}

/// A value that is plain data, as those of the command line and of the table are.
pub fn plain(py: Python<'_>, raw: Raw) -> PyResult<Bound<'_, PyAny>> {
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
