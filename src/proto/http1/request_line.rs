//! `method SP target SP version` (RFC 9112 section 3) taken apart by hand: the versions and methods that Gunicorn's
//! tolerances let through are not those of a general parser.

use memchr::memchr;

use super::{Head, Refusal, Rules, Version};
use crate::proto::target::Target;
use crate::proto::{Span, class};

/// Fills the request-line part of `head` from `bytes[start..end]`, the line without its CRLF. What was understood before
/// a fault was found is left there.
pub(super) fn parse(
    head: &mut Head,
    bytes: &mut [u8],
    start: usize,
    end: usize,
    rules: &Rules,
) -> Result<(), Refusal> {
    let line = &bytes[start..end];
    let malformed = || Refusal::RequestLine(line.into());
    let method_end = start + memchr(b' ', line).ok_or_else(malformed)?;
    let target_start = method_end + 1;
    let target_end = target_start + memchr(b' ', &bytes[target_start..end]).ok_or_else(malformed)?;

    let method = &bytes[start..method_end];
    if !is_method(method, rules) {
        return Err(Refusal::Method(method.into()));
    }
    head.method = Span::new(start, method_end);
    if rules.casefold_http_method {
        bytes[start..method_end].make_ascii_uppercase();
    }
    let target = &bytes[target_start..target_end];
    let Some(parts) = Target::split(&bytes[start..method_end], target) else {
        return Err(Refusal::RequestLine(bytes[start..end].into()));
    };
    place(head, &parts, target_start, target_end);
    head.version = version(&bytes[target_end + 1..end], rules)?;
    Ok(())
}

fn place(head: &mut Head, parts: &Target, start: usize, end: usize) {
    head.target = Span::new(start, end);
    head.form = parts.form;
    head.path = parts.path.shifted(start);
    head.query = parts.query.shifted(start);
    head.fragment = parts.fragment.shifted(start);
    head.authority = parts.authority.shifted(start);
}

/// RFC 9110 section 9.1 wants a token. Unless `permit_unconventional_http_method`, Gunicorn wants what every registered
/// method looks like: 3 to 20 bytes, no lower case, no `#`.
fn is_method(method: &[u8], rules: &Rules) -> bool {
    let conventional = (3..=20).contains(&method.len())
        && !method.iter().any(|byte| byte.is_ascii_lowercase() || *byte == b'#');
    (conventional || rules.permit_unconventional_http_method) && class::is_token(method)
}

/// RFC 9112 section 2.3; case-sensitive. Versions outside 1.x pass with `permit_unconventional_http_version` only.
fn version(text: &[u8], rules: &Rules) -> Result<Version, Refusal> {
    let &[b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = text else {
        return Err(Refusal::Version(text.into()));
    };
    let version = Version { major: major - b'0', minor: minor - b'0' };
    if version.major != 1 && !rules.permit_unconventional_http_version {
        return Err(Refusal::UnsupportedVersion(version.major, version.minor));
    }
    Ok(version)
}
