//! `SCRIPT_NAME`: where the application is mounted, and what is left of the path below it.

use super::http1::Refusal;

/// Splits the undecoded `path` of a request at `script_name` (the process environment's `SCRIPT_NAME`, or the trusted
/// header's value, which wins; empty = mounted at the root) and gives what becomes `PATH_INFO`, still undecoded.
///
/// # Errors
/// `Refusal::Configuration` when `path` does not start with `script_name`: the proxy and the setting disagree.
pub fn path_info<'a>(script_name: &[u8], path: &'a [u8]) -> Result<&'a [u8], Refusal> {
    path.strip_prefix(script_name).ok_or_else(|| Refusal::outside_script_name(path, script_name))
}

#[cfg(test)]
mod tests;
