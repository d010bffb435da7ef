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

    /// Takes note of the line that ends with the LF at `lf`; true when it ends the head. Limits come first, so that a
    /// line is refused for the same reason whether it came at once or bit by bit.
    fn end_line(&mut self, bytes: &[u8], lf: usize, rules: &Rules) -> Result<bool, Refusal> {
        let start = self.line as usize;
        let length = lf.saturating_sub(start + 1);
        if self.section == 0 {
            if length > rules.limits.line as usize {
                return Err(Refusal::RequestLineTooLong { size: length as u32, limit: rules.limits.line });
            }
        } else {
            self.check_section(lf + 1, rules)?;
        }
        if lf == start || bytes[lf - 1] != b'\r' {
            return Err(self.bare_lf());
        }
        self.line = lf as u32 + 1;
        match self.section {
            0 if length > 0 => self.section = self.line,
            0 if start > 0 => return Err(Refusal::RequestLine([].into())),
            0 => {}
            _ if length == 0 => return Ok(true),
            _ => self.end_field_line(&bytes[..=lf], rules)?,
        }
        Ok(false)
    }

    fn end_field_line(&mut self, bytes: &[u8], rules: &Rules) -> Result<(), Refusal> {
        self.lines += 1;
        if self.lines > rules.limits.fields.max(self.recount) {
            self.count(&bytes[self.section as usize..], rules)?;
        }
        Ok(())
    }

    /// Lines are not fields: continuations and names with an underscore (which may be dropped) do not count. Only when
    /// there are suspiciously many lines are they looked at, and again when their number has doubled.
    fn count(&mut self, section: &[u8], rules: &Rules) -> Result<(), Refusal> {
        self.recount = self.lines * 2;
        let lines = section.split_inclusive(|&byte| byte == b'\n');
        let certain = lines.filter(|line| !matches!(line[0], b' ' | b'\t') && memchr(b'_', line).is_none());
        if certain.count() > rules.limits.fields as usize { Err(Refusal::TOO_MANY_FIELDS) } else { Ok(()) }
    }

    /// The limits that are already exceeded, although the line is not complete.
    fn check_unfinished(&self, length: usize, rules: &Rules) -> Result<(), Refusal> {
        if self.section != 0 {
            return self.check_section(length, rules);
        }
        let line = length.saturating_sub(self.line as usize);
        if line > rules.limits.line as usize + 2 {
            return Err(Refusal::RequestLineTooLong { size: line as u32, limit: rules.limits.line });
        }
        Ok(())
    }

    /// The limits of the header section, of which `end` is the last byte received or the end of a line.
    fn check_section(&self, end: usize, rules: &Rules) -> Result<(), Refusal> {
        if end.saturating_sub(self.line as usize) > rules.limits.field_size as usize {
            return Err(Refusal::FIELD_TOO_LARGE);
        }
        if end.saturating_sub(self.section as usize) > rules.limits.section as usize {
            return Err(Refusal::SECTION_TOO_LARGE);
        }
        Ok(())
    }

    fn bare_lf(&self) -> Refusal {
        match self.section {
            0 => Refusal::RequestLine(Refusal::BARE_LF.into()),
            _ => Refusal::Header(Refusal::BARE_LF.into()),
        }
    }
}
