//! How much of a body stays in memory, and where the rest goes.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::sys;

/// Limits in bytes, each from the setting of its name.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// A longer request body goes to a file.
    pub request_body_memory: usize,
    /// Unsent response bytes beyond it go to a file.
    pub response_memory: usize,
    /// A file of unsent response bytes beyond it makes the application wait.
    pub response_file_limit: u64,
    /// `tmp_upload_dir`; `None` = the system's directory for temporary files.
    pub directory: Option<PathBuf>,
}

impl SpoolSettings {
    /// An empty temporary file without a name.
    pub fn open(&self) -> io::Result<File> {
        sys::file::unnamed(self.directory.as_deref())
    }
}
