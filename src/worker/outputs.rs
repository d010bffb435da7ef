//! The files of the access log. Lines are written whole. A file that fails loses lines; one that nobody reads is waited
//! for a little, then it loses lines too: no log stops the service.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::file::{self, Nature, PIPE_WHOLE};

/// Bytes of lines that may wait for a reader.
const MOST_WAITING: usize = 256 * 1024;
/// Milliseconds that a reader may take before lines are lost.
const PATIENCE: u16 = 1000;

/// Where one copy of each line goes.
pub struct Output {
    fd: OwnedFd,
    nature: Nature,
    /// Lines that its reader has not had room for.
    waiting: Vec<u8>,
    /// The last write ended within a line.
    torn: bool,
    /// Lines lost since it last took one.
    lost: u64,
    /// The loss has been told.
    told: bool,
    /// Why lines are lost; `None` if it is because nobody reads them.
    failure: Option<io::Error>,
}

impl Output {
    /// Writes to the file behind `fd`, which stays as it is.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let (fd, nature) = file::for_log(fd)?;
        Ok(Self { fd, nature, waiting: Vec::new(), torn: false, lost: 0, told: false, failure: None })
    }

    /// Whether lines wait for room.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes `lines`, which end with a line end. Gives what its owner should know: that lines are lost, or no longer.
    pub fn write(&mut self, lines: &[u8]) -> Option<String> {
        let lost = self.lost;
        self.pass_on(lines);
        if self.lost > lost && !self.told {
            self.told = true;
            let why = self.failure.take().map_or("nobody reads it".to_owned(), |error| error.to_string());
            return Some(format!("Cannot write the access log, lines are lost: {why}"));
        }
        if self.lost > 0 && self.lost == lost && self.waiting.is_empty() {
            (self.lost, self.told, self.failure) = (0, false, None);
            return Some(format!("The access log is written again; {lost} lines were lost"));
        }
        None
    }

    /// Writes what waits, as far as it can be done within a moment. The worker leaves.
    pub fn finish(&mut self) {
        if self.is_behind() && file::wait_for_room(self.fd.as_fd(), PATIENCE).unwrap_or(false) {
            self.pass_on(b"");
        }
    }

    fn pass_on(&mut self, lines: &[u8]) {
        if self.waiting.is_empty() {
            let written = self.write_now(lines);
            self.waiting.extend_from_slice(&lines[written..]);
            return;
        }
        let room = MOST_WAITING.saturating_sub(self.waiting.len());
        // A reader that was late before has had its chance.
        if lines.len() > room && self.lost == 0 {
            let _ = file::wait_for_room(self.fd.as_fd(), PATIENCE);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let written = self.write_now(&waiting);
        waiting.drain(..written);
        if waiting.len() + lines.len() <= MOST_WAITING {
            waiting.extend_from_slice(lines);
        } else {
            self.lost += count(lines);
        }
        self.waiting = waiting;
    }

    /// Writes as much of `lines` as there is room for, and gives how many bytes need no longer be kept.
    fn write_now(&mut self, lines: &[u8]) -> usize {
        let mut at = 0;
        while at < lines.len() {
            let chunk = match self.nature {
                Nature::Pipe | Nature::Socket => &lines[at..at + whole_lines(&lines[at..])],
                Nature::Plain => &lines[at..],
            };
            if self.torn {
                self.torn = file::write_some(self.fd.as_fd(), self.nature, b"\n").is_err();
            }
            match file::write_some(self.fd.as_fd(), self.nature, chunk) {
                Ok(written) => at += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.failure = Some(error);
                    if at > 0 {
                        self.torn = lines[at - 1] != b'\n';
                    }
                    self.lost += count(&lines[at..]);
                    return lines.len();
                }
            }
        }
        at
    }
}

/// The length of as many lines as a pipe takes whole; of the first, if it is longer.
fn whole_lines(lines: &[u8]) -> usize {
    if lines.len() <= PIPE_WHOLE {
        return lines.len();
    }
    let fitting = memchr::memrchr(b'\n', &lines[..PIPE_WHOLE]);
    fitting.or_else(|| memchr::memchr(b'\n', lines)).map_or(lines.len(), |end| end + 1)
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
