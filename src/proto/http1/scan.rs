//! Finds where a request head ends while its bytes arrive, looking at each byte once. Refuses as early as it can be
//! known: bare LF, overlong lines, too many fields. Must never look into a line further than that: `Head` does.

use memchr::{memchr, memchr_iter};

use super::{Refusal, Rules};

/// How far the search for the end of one request head has come. A new one (`default()`) for each request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Everything before was looked at.
    at: u32,
    /// Where the line that is being received begins.
    line: u32,
    /// Where the header section begins; 0 while the request line is incomplete.
    section: u32,
    /// Lines of the header section so far.
    lines: u32,
    /// At that many lines the fields are counted properly; 0 = not yet chosen.
    recount: u32,
}

impl Scan {
    /// Looks for the end of the head at the start of `bytes`: all that was received from the request's first byte on,
    /// so each call sees what the last one saw and more. Gives the length of the head with its final empty line, and
    /// with one empty line in front of it if that was sent (RFC 9112 section 2.2); `None` while it is incomplete.
    ///
    /// # Errors
    /// Line ends and limits of the request line and the fields. Where a head has several faults, the first one found
    /// is told, which may depend on how the bytes arrived.
    pub fn find(&mut self, bytes: &[u8], rules: &Rules) -> Result<Option<usize>, Refusal> {
        let from = self.at as usize;
        for lf in memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
            if self.end_line(bytes, from + lf, rules)? {
                return Ok(Some(from + lf + 1));
            }
        }
        self.at = bytes.len() as u32;
        self.check_unfinished(bytes.len(), rules)?;
        Ok(None)
    }

    /// Whether nothing of a request has come yet: not a byte, or only the empty line that may precede it.
    pub fn is_idle(&self) -> bool {
        self.at == self.line && self.section == 0
    }

    /// Takes note of the line that ends with the LF at `lf`; true when it ends the head.
    fn end_line(&mut self, bytes: &[u8], lf: usize, rules: &Rules) -> Result<bool, Refusal> {
        let start = self.line as usize;
        if lf == start || bytes[lf - 1] != b'\r' {
            return Err(self.bare_lf());
        }
        let length = lf - 1 - start;
        if self.section == 0 {
            self.end_request_line(lf, length, rules)?;
            return Ok(false);
        }
        if lf + 1 - self.section as usize > rules.section as usize {
            return Err(Refusal::SECTION_TOO_LARGE);
        }
        if length == 0 {
            return Ok(true);
        }
        if length + 2 > rules.field_size as usize {
            return Err(Refusal::FIELD_TOO_LARGE);
        }
        self.line = lf as u32 + 1;
        self.lines += 1;
        if self.lines > rules.fields.max(self.recount) {
            self.count(&bytes[self.section as usize..=lf], rules)?;
        }
        Ok(false)
    }

    fn end_request_line(&mut self, lf: usize, length: usize, rules: &Rules) -> Result<(), Refusal> {
        if length == 0 && self.line != 0 {
            return Err(Refusal::RequestLine([].into()));
        }
        if length > rules.line as usize {
            return Err(Refusal::RequestLineTooLong { size: length as u32, limit: rules.line });
        }
        self.line = lf as u32 + 1;
        if length > 0 {
            self.section = self.line;
        }
        Ok(())
    }

    /// Lines are not fields: continuations and names with an underscore (which may be dropped) do not count. Only when
    /// there are suspiciously many lines are they looked at, and again when their number has doubled.
    fn count(&mut self, section: &[u8], rules: &Rules) -> Result<(), Refusal> {
        self.recount = self.lines * 2;
        let lines = section.split_inclusive(|&byte| byte == b'\n');
        let certain = lines.filter(|line| !matches!(line[0], b' ' | b'\t') && memchr(b'_', line).is_none());
        if certain.count() > rules.fields as usize { Err(Refusal::TOO_MANY_FIELDS) } else { Ok(()) }
    }

    /// The limits that are already exceeded, although the line is not complete.
    fn check_unfinished(&self, length: usize, rules: &Rules) -> Result<(), Refusal> {
        let line = length - self.line as usize;
        if self.section == 0 {
            if line > rules.line as usize + 2 {
                return Err(Refusal::RequestLineTooLong { size: line as u32, limit: rules.line });
            }
            return Ok(());
        }
        if length - self.section as usize > rules.section as usize {
            return Err(Refusal::SECTION_TOO_LARGE);
        }
        if line > rules.field_size as usize { Err(Refusal::FIELD_TOO_LARGE) } else { Ok(()) }
    }

    fn bare_lf(&self) -> Refusal {
        match self.section {
            0 => Refusal::RequestLine(Refusal::BARE_LF.into()),
            _ => Refusal::Header(Refusal::BARE_LF.into()),
        }
    }
}
