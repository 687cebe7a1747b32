//! Numbers and names as a reader wants them.

use crate::report::Amount;

/// A share as a percentage, whose sign stays on the line.
pub(crate) fn percent(share: f64) -> String {
    match share.is_finite() {
        true => format!("{:.1}\u{a0}%", share * 100.0),
        false => "–".into(),
    }
}

/// A count with its word, in the plural unless it is 1.
pub(crate) fn count(number: usize, word: &str) -> String {
    match (number, word) {
        (1, _) => format!("1 {word}"),
        (_, "class") => format!("{} classes", thousands(number)),
        _ => format!("{} {word}s", thousands(number)),
    }
}

/// A number with commas, which ten thousand and more need.
pub(crate) fn thousands(number: usize) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut text = String::new();
    for (place, digit) in number.to_string().chars().rev().enumerate() {
        if place > 0 && place % 3 == 0 {
            text.insert(0, ',');
        }
        text.insert(0, digit);
    }
    text
}

/// Time or memory in the unit that suits it.
pub(crate) fn amount(amount: Amount) -> String {
    match amount {
        Amount::Seconds(seconds) if !seconds.is_finite() => "–".into(),
        Amount::Seconds(seconds) if seconds < 0.1 => format!("{:.0} ms", seconds * 1e3),
        Amount::Seconds(seconds) if seconds < 100.0 => format!("{seconds:.1} s"),
        Amount::Seconds(seconds) if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        Amount::Seconds(seconds) => format!("{:.1} h", seconds / 3600.0),
        Amount::Bytes(bytes) if bytes < 1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        Amount::Bytes(bytes) if bytes < 1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        Amount::Bytes(bytes) => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `text`, without its middle if it has more than `most` letters: names differ at their ends.
pub(crate) fn clip(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_string();
    }
    let (front, back) = ((most - 1) / 2, most / 2);
    let front: String = text.chars().take(front).collect();
    let back: String = text.chars().skip(letters - back).collect();
    format!("{front}…{back}")
}

/// The beginning of `text`.
pub(crate) fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(clip("abcdefgh", 8), "abcdefgh");
        assert_eq!(clip("abcdefghi", 8), "abc…fghi");
        assert_eq!(clip("äöüäöüäöü", 8).chars().count(), 8);
        assert_eq!(beginning("abc", 2), "ab…");
        assert_eq!(beginning("abc", 3), "abc");
    }

    #[test]
    fn numbers_have_their_units() {
        assert_eq!(percent(0.9426), "94.3\u{a0}%");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(count(1, "picture"), "1 picture");
        assert_eq!(count(7390, "picture"), "7390 pictures");
        assert_eq!(count(0, "class"), "0 classes");
        assert_eq!(thousands(12_345), "12,345");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(123_456), "123,456");
        assert_eq!(amount(Amount::Seconds(0.012)), "12 ms");
        assert_eq!(amount(Amount::Seconds(41.26)), "41.3 s");
        assert_eq!(amount(Amount::Seconds(600.0)), "10 min");
        assert_eq!(amount(Amount::Bytes(312_000_000)), "312 MB");
    }
}
