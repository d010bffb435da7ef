//! CPython's C API where pyo3's safe calls cost more on the per-request path. The only place of `unsafe` outside `sys`.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

/// A `str` with one character for each byte (ISO-8859-1), as PEP 3333 wants its native strings.
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    // SAFETY: the pointer and the length describe `bytes`; the result is a new reference to a str, or null with an
    // exception set when there is no memory, on which from_owned_ptr panics as pyo3's own PyString::new does.
    unsafe {
        let object =
            ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), bytes.len() as isize, std::ptr::null());
        Bound::from_owned_ptr(py, object).cast_into_unchecked()
    }
}

/// The characters of a `str` as ISO-8859-1, without a copy; `None` if it has others.
pub fn latin1<'a>(string: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    let object = string.as_ptr();
    // SAFETY: `string` is a str and this thread is attached. Every str made by anything but the deprecated
    // PyUnicode_FromUnicode is ready; one that is not is refused. A ready str of kind 1 keeps its `length` bytes at
    // PyUnicode_DATA for as long as it lives, which the borrow of `string` guarantees, and never changes them.
    unsafe {
        if ffi::PyUnicode_IS_READY(object) == 0 || ffi::PyUnicode_KIND(object) != ffi::PyUnicode_1BYTE_KIND {
            return None;
        }
        let length = ffi::PyUnicode_GET_LENGTH(object) as usize;
        Some(std::slice::from_raw_parts(ffi::PyUnicode_DATA(object).cast::<u8>(), length))
    }
}

/// Sets `dict[key] = value` for a key that is known to be hashable.
///
/// # Panics
/// When there is no memory.
pub fn set(dict: &Bound<'_, PyDict>, key: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) {
    // SAFETY: three valid objects; PyDict_SetItem takes its own references.
    let result = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) };
    assert!(result == 0, "no memory for an environ");
}

/// How many references there are to an object.
pub fn references<T>(object: &Bound<'_, T>) -> isize {
    // SAFETY: a valid object of an attached thread.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// The calling thread, as CPython counts them (`threading.get_ident()`).
pub fn thread(_py: Python<'_>) -> u64 {
    // SAFETY: nothing is asked of the caller; CPython has begun.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Raises `exception`, a class, in a thread as soon as that runs Python code; `None` takes back one that has not been
/// raised yet. False: there is no such thread.
pub fn raise_in(_py: Python<'_>, thread: u64, exception: Option<&Bound<'_, PyType>>) -> bool {
    let exception = exception.map_or(std::ptr::null_mut(), |exception| exception.as_ptr());
    // SAFETY: a valid class, to which CPython takes its own reference, or null, which is its way to take one back; this
    // thread is attached. CPython compares the number with those of its threads, under its own lock. pyo3 declares as signed
    // what CPython has unsigned.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread.cast_signed(), exception) != 0 }
}
