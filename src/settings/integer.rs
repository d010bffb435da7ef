//! Text to whole numbers by Python's rules, because users write numbers as `int()` reads them.

/// `int(text)`: base 10, a sign, underscores between digits, whitespace around.
pub fn decimal(text: &str) -> Option<i128> {
    let (negative, digits) = sign(text.trim());
    number(digits, 10).map(|number| if negative { -number } else { number })
}

/// `int(text, 0)`: the prefixes `0x`, `0o` and `0b` choose the base; otherwise base 10, where a leading zero is
/// refused unless the number is zero.
pub fn prefixed(text: &str) -> Option<i128> {
    let (negative, digits) = sign(text.trim());
    let magnitude = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => based(&digits[2..], 16),
        Some("0o") => based(&digits[2..], 8),
        Some("0b") => based(&digits[2..], 2),
        _ => number(digits, 10).filter(|number| *number == 0 || !digits.starts_with('0')),
    };
    magnitude.map(|number| if negative { -number } else { number })
}

/// As [`prefixed`], but a leading zero before a digit means octal, as `umask` takes it: `0022` is 18.
pub fn octal_aware(text: &str) -> Option<i128> {
    let trimmed = text.trim();
    match trimmed.as_bytes() {
        [b'0', b'0'..=b'9', ..] => number(trimmed, 8),
        _ => prefixed(trimmed),
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Digits after a base prefix, where Python also takes one underscore directly after the prefix.
fn based(digits: &str, base: u32) -> Option<i128> {
    number(digits.strip_prefix('_').unwrap_or(digits), base)
}

/// Digits of `base` with single underscores between them; `None` for anything else and for overflow.
fn number(digits: &str, base: u32) -> Option<i128> {
    let mut after_digit = false;
    let mut total: i128 = 0;
    for character in digits.chars() {
        if character == '_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = character.to_digit(base)?;
        total = total.checked_mul(base.into())?.checked_add(digit.into())?;
        after_digit = true;
    }
    after_digit.then_some(total)
}
