//! The access log: one line for each request. What a client sends is escaped, so that it can forge neither a line nor
//! the end of a quoted field.

use super::escape::Style;
use super::format::{Atom, Part, compile};
use super::record::{Conclusion, Record, Times, append_conclusion};
use crate::sys::clock;

/// A compiled `access_log_format`.
#[derive(Clone, Debug)]
pub struct AccessFormat {
    style: Style,
    parts: Vec<Part>,
    /// The second for which `times` are.
    second: u64,
    times: Times,
}

/// A line that lacks what only the end of the sending will tell.
#[derive(Debug)]
pub struct Draft {
    line: Vec<u8>,
    gaps: Vec<Gap>,
}

/// Where something is missing in a line, and what.
#[derive(Debug)]
struct Gap {
    at: usize,
    atom: Atom,
    width: i32,
}

impl AccessFormat {
    /// Compiles `access_log_format`. `None`: it has conversions that only Python knows.
    pub fn new(format: &str) -> Option<Self> {
        let (style, parts) = compile(format)?;
        Some(Self { style, parts, second: u64::MAX, times: Times::default() })
    }

    /// Whether lines need the environ.
    pub fn uses_environ(&self) -> bool {
        self.uses(|atom| matches!(atom, Atom::Variable(_) | Atom::Address))
    }

    /// Whether lines name the request.
    pub fn uses_id(&self) -> bool {
        self.uses(|atom| *atom == Atom::RequestId)
    }

    /// Whether a line can only be written when the response has been sent.
    pub fn uses_conclusion(&self) -> bool {
        self.uses(is_late)
    }

    fn uses(&self, wanted: impl Fn(&Atom) -> bool) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(atom, _) if wanted(atom)))
    }

    /// Appends the line of one request, with its line end.
    pub fn write(&mut self, out: &mut Vec<u8>, record: &Record<'_>) {
        self.look_at_the_clock();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(atom, 0) => record.append(out, atom, self.style, &self.times),
                Part::Value(atom, width) => {
                    let start = out.len();
                    record.append(out, atom, self.style, &self.times);
                    fill(out, start, *width);
                }
            }
        }
        out.push(b'\n');
    }

    /// The line of a request whose response is still being sent.
    pub fn draft(&mut self, record: &Record<'_>) -> Draft {
        self.look_at_the_clock();
        let mut draft = Draft { line: Vec::new(), gaps: Vec::new() };
        let line = &mut draft.line;
        for part in &self.parts {
            match part {
                Part::Literal(text) => line.extend_from_slice(text.as_bytes()),
                Part::Value(atom, width) if is_late(atom) => {
                    draft.gaps.push(Gap { at: line.len(), atom: atom.clone(), width: *width });
                }
                Part::Value(atom, width) => {
                    let start = line.len();
                    record.append(line, atom, self.style, &self.times);
                    fill(line, start, *width);
                }
            }
        }
        line.push(b'\n');
        draft
    }

    /// Appends a line that can be completed now.
    pub fn complete(&self, out: &mut Vec<u8>, draft: &Draft, conclusion: Conclusion) {
        let mut at = 0;
        for gap in &draft.gaps {
            out.extend_from_slice(&draft.line[at..gap.at]);
            at = gap.at;
            let start = out.len();
            append_conclusion(out, &gap.atom, Some(conclusion), self.style);
            fill(out, start, gap.width);
        }
        out.extend_from_slice(&draft.line[at..]);
    }

    fn look_at_the_clock(&mut self) {
        let second = clock::calendar_seconds();
        if self.second != second {
            self.second = second;
            let (common, iso) = clock::local_times(second);
            self.times = Times { common, iso };
        }
    }
}

/// Only the end of the sending tells it.
fn is_late(atom: &Atom) -> bool {
    matches!(atom, Atom::Reason | Atom::Sending)
}

/// Fills what stands from `start` on with blanks: on the left if `width` is positive.
fn fill(out: &mut Vec<u8>, start: usize, width: i32) {
    let is_first_byte = |byte: &&u8| **byte & 0xc0 != 0x80;
    let characters = out[start..].iter().filter(is_first_byte).count();
    let missing = (width.unsigned_abs() as usize).saturating_sub(characters);
    let at = if width > 0 { start } else { out.len() };
    out.splice(at..at, std::iter::repeat_n(b' ', missing));
}
