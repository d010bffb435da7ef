//! The settings that decide how a request head is read, in the form that parsing wants: clamped and computed once.

/// Gunicorn's ceiling for `limit_request_line`, and what `limit_request_field_size = 0` means.
const LONGEST_LINE: u64 = 8190;
/// Gunicorn's ceiling for `limit_request_fields`, and what 0 means there.
const MOST_FIELDS: u64 = 32768;
/// What `limit_request_line = 0` ("unlimited") comes to: 16 MiB, so that a client cannot fill the memory.
const UNLIMITED_LINE: u64 = 1 << 24;
/// A head is never larger than this, whatever the limits multiply to: 1 GiB. Spans are 32 bits wide.
const LARGEST_HEAD: u64 = 1 << 30;

/// What to do with header names that hold an underscore: `header_map`. In a WSGI environ `X_Y` and `X-Y` are one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderMap {
    /// Ignore the header.
    #[default]
    Drop,
    /// Answer 400.
    Refuse,
    /// Keep it, although a client can then pass for the proxy.
    Dangerous,
}

/// The header names with an underscore that a trusted peer may send: `forwarder_headers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwarderHeaders {
    all: bool,
    names: Vec<Box<[u8]>>,
}

impl ForwarderHeaders {
    /// Takes upper-case names, or `*` for every name. As in Gunicorn a name that is not upper-case matches nothing.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> ForwarderHeaders {
        let names: Vec<&str> = names.into_iter().collect();
        ForwarderHeaders {
            all: names.contains(&"*"),
            names: names.into_iter().filter_map(upper_case).collect(),
        }
    }

    /// Whether `name`, in whatever case, is one of them.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.all || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The headers by which a trusted peer tells the scheme, and the values that mean https: `secure_scheme_headers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureSchemeHeaders(Vec<SchemeHeader>);

/// A name and the value that means https.
type SchemeHeader = (Box<[u8]>, Box<[u8]>);

impl SecureSchemeHeaders {
    /// Takes upper-case names with the exact values that mean https. As in Gunicorn a name that is not upper-case
    /// matches nothing.
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> SecureSchemeHeaders {
        let known = |(name, value): (&str, &str)| Some((upper_case(name)?, value.as_bytes().into()));
        SecureSchemeHeaders(headers.into_iter().filter_map(known).collect())
    }

    /// What a header says about the scheme: https or not; none when it says nothing.
    pub(super) fn secure(&self, name: &[u8], value: &[u8]) -> Option<bool> {
        let header = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, secure)| **secure == *value)
    }
}

/// How large a request head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request line in bytes, without CRLF.
    pub(super) line: u32,
    /// Most header fields.
    pub(super) fields: u32,
    /// Longest field in bytes, from its name to its CRLF.
    pub(super) field_size: u32,
    /// Largest header section in bytes; follows from the two before.
    pub(super) section: u32,
}

impl Limits {
    /// Takes the settings as the user made them: `limit_request_line` in bytes, `limit_request_fields`,
    /// `limit_request_field_size` in bytes. They are clamped as Gunicorn does.
    pub fn new(limit_request_line: u64, limit_request_fields: u64, limit_request_field_size: u64) -> Limits {
        let line = match limit_request_line {
            0 => UNLIMITED_LINE,
            limit => limit.min(LONGEST_LINE),
        };
        let fields = match limit_request_fields {
            0 => MOST_FIELDS,
            limit => limit.min(MOST_FIELDS),
        };
        let field_size = match limit_request_field_size {
            0 => LONGEST_LINE,
            limit => limit.min(LARGEST_HEAD),
        };
        // At most 2^15 * (2^30 + 2) + 4.
        let section = (fields * (field_size + 2) + 4).min(LARGEST_HEAD);
        Limits {
            line: line as u32,
            fields: fields as u32,
            field_size: field_size as u32,
            section: section as u32,
        }
    }

    /// The largest head, in bytes, that is not refused: how far a caller's buffer must be able to grow.
    pub fn largest_head(self) -> usize {
        self.line as usize + self.section as usize + 4
    }
}

/// How requests are read. `Default` is Gunicorn's defaults.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `limit_request_line`, `limit_request_fields`, `limit_request_field_size`.
    pub limits: Limits,
    /// `permit_obsolete_folding`: join continuation lines (RFC 9112 section 5.2) instead of refusing them.
    pub permit_obsolete_folding: bool,
    /// `strip_header_spaces`: overlook blanks between a field name and its colon (RFC 9112 section 5.1 forbids).
    pub strip_header_spaces: bool,
    /// `permit_unconventional_http_method`: any token is a method.
    pub permit_unconventional_http_method: bool,
    /// `permit_unconventional_http_version`: any `HTTP/d.d` is a version.
    pub permit_unconventional_http_version: bool,
    /// `casefold_http_method`: make methods upper-case (after they were checked).
    pub casefold_http_method: bool,
    /// `header_map`.
    pub header_map: HeaderMap,
    /// `forwarder_headers`.
    pub forwarder_headers: ForwarderHeaders,
    /// `secure_scheme_headers`.
    pub secure_scheme_headers: SecureSchemeHeaders,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            limits: Limits::new(4094, 100, 8190),
            permit_obsolete_folding: false,
            strip_header_spaces: false,
            permit_unconventional_http_method: false,
            permit_unconventional_http_version: false,
            casefold_http_method: false,
            header_map: HeaderMap::Drop,
            forwarder_headers: ForwarderHeaders::new(["SCRIPT_NAME", "PATH_INFO"]),
            secure_scheme_headers: SecureSchemeHeaders::new([
                ("X-FORWARDED-PROTOCOL", "ssl"),
                ("X-FORWARDED-PROTO", "https"),
                ("X-FORWARDED-SSL", "on"),
            ]),
        }
    }
}

fn upper_case(name: &str) -> Option<Box<[u8]>> {
    (!name.bytes().any(|byte| byte.is_ascii_lowercase())).then(|| name.as_bytes().into())
}
