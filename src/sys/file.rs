//! Temporary files without a name: they vanish with their descriptor, whatever happens to the process.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens an unlinked temporary file in `directory`, or in the system's own place for such files when it is `None`.
pub fn unnamed(directory: Option<&Path>) -> io::Result<File> {
    match directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    }
}
