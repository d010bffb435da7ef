//! Names in a configuration file that are no settings but nearly: which setting was meant.
//!
//! The rule is careful, because most other names there are helpers on purpose. It knows three ways to miss: another
//! spelling of the same letters (`time_out`, `Workers`), the option's name instead of the setting's
//! (`preload`), and a slip of the hand in a long name (`max_request`). What else people are known to write is in the table.

use super::setting::Setting;
use super::table::SETTINGS;

/// An option's name shorter than this means too many things: `pid`, `env`, `name`.
const SHORTEST_FLAG: usize = 5;
/// In names of this length or more one letter may be wrong.
const ONE_SLIP: usize = 6;
/// In names of this length or more two may.
const TWO_SLIPS: usize = 12;

/// The setting that `name` nearly is. None for the name of a setting, for constants (`TIMEOUT`) and private names
/// (`_workers`), and for what is like nothing.
pub fn meant(name: &str) -> Option<&'static Setting> {
    let constant = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if constant || name.starts_with('_') || SETTINGS.iter().any(|setting| setting.name == name) {
        return None;
    }
    let first = |rule: &dyn Fn(&Setting) -> bool| SETTINGS.iter().find(|setting| rule(setting));
    let letters = letters(name);
    first(&|setting| setting.mistaken.contains(&name))
        .or_else(|| first(&|setting| self::letters(setting.name) == letters))
        .or_else(|| first(&|setting| setting.flags.iter().any(|flag| is_flag(flag, name))))
        .or_else(|| first(&|setting| is_slip(&letters, &self::letters(setting.name))))
}

fn letters(name: &str) -> Vec<u8> {
    name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
}

fn is_flag(flag: &str, name: &str) -> bool {
    let long = flag.strip_prefix("--").unwrap_or_default();
    long.len() >= SHORTEST_FLAG && long.replace('-', "_") == name
}

fn is_slip(written: &[u8], meant: &[u8]) -> bool {
    let allowed = match meant.len() {
        TWO_SLIPS.. => 2,
        ONE_SLIP.. => 1,
        _ => return false,
    };
    written.len().abs_diff(meant.len()) <= allowed && slips(written, meant) <= allowed
}

/// Letters to add, leave out, replace or exchange with the next, to make one word of the other.
fn slips(one: &[u8], other: &[u8]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, against) in other.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(letter != against);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *against {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
