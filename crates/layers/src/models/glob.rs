//! Patterns with `*`, `**`, `?` and `[0-9]`, compared with names and paths.

/// Whether the pattern matches the path itself, or one of the models that contain it.
pub(crate) fn picks_by_name(pattern: &str, path: &str) -> bool {
    let mut part = path;
    loop {
        let name = match pattern.contains('/') {
            true => part,
            false => part.rsplit('/').next().unwrap_or(part),
        };
        if glob(pattern.as_bytes(), name.as_bytes()) {
            return true;
        }
        match part.rfind('/') {
            Some(end) => part = &part[..end],
            None => return false,
        }
    }
}

/// Matches `*` (any characters but `/`), `**` (any), `?` (one but `/`), `[3-5x]` (one of these), `[!3-5]` (one that is none
/// of these, nor `/`), and the rest as it is. Takes time proportional to the product of the lengths, whatever the pattern.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // A name may have brackets of its own.
    if pattern == text {
        return true;
    }
    // reachable[i]: whether the pattern so far can have consumed text[..i].
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut rest = pattern;
    while let Some(&symbol) = rest.first() {
        let (any, crosses) = (symbol == b'*', rest.starts_with(b"**"));
        let class = class(rest);
        rest = &rest[class.map_or(if crosses { 2 } else { 1 }, |class| class.len() + 2)..];
        if any {
            for index in 0..text.len() {
                reachable[index + 1] |= reachable[index] && (crosses || text[index] != b'/');
            }
        } else {
            for index in (0..text.len()).rev() {
                let same = match class {
                    Some(class) => is_of(text[index], class),
                    None => text[index] == symbol || symbol == b'?' && text[index] != b'/',
                };
                reachable[index + 1] = reachable[index] && same;
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

/// What stands between the brackets with which the pattern begins; without a second one the first is itself.
fn class(pattern: &[u8]) -> Option<&[u8]> {
    let inner = pattern.strip_prefix(b"[")?;
    // A bracket that comes first is one of the characters.
    let first = 1 + usize::from(inner.starts_with(b"!"));
    let end = inner
        .iter()
        .skip(first)
        .position(|symbol| *symbol == b']')?;
    Some(&inner[..first + end])
}

/// Whether a character is of a class.
fn is_of(symbol: u8, class: &[u8]) -> bool {
    let (is_not, mut rest) = match class {
        [b'!', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let [first, behind @ ..] = rest {
        (found, rest) = match behind {
            [b'-', last, behind @ ..] => (found || (*first..=*last).contains(&symbol), behind),
            _ => (found || *first == symbol, behind),
        };
    }
    found != is_not && symbol != b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stop_at_slashes_unless_doubled() {
        let matches = |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes());
        assert!(matches("block*", "block_1"));
        assert!(!matches("block*", "block_1/conv"));
        assert!(matches("base/**", "base/block_1/conv"));
        assert!(matches("base/*/conv?", "base/block_1/conv2"));
        assert!(!matches("base/*/conv?", "base/block_1/conv"));
        assert!(matches("**", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn brackets_are_one_of_several_characters() {
        let matches = |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes());
        let picked: Vec<usize> = (8..19)
            .filter(|number| matches("block_1[0-6]*", &format!("block_{number}_expand")))
            .collect();
        assert_eq!(picked, [10, 11, 12, 13, 14, 15, 16]);
        assert!(matches("a[xyz]", "ay") && !matches("a[xyz]", "aw"));
        assert!(matches("a[!xy]", "aw") && !matches("a[!xy]", "ax"));
        assert!(
            matches("a[0-2x-]", "a-") && matches("a[0-2x-]", "ax") && !matches("a[0-2x-]", "a3")
        );
        assert!(matches("a[]]", "a]") && matches("a[!]]", "ab") && !matches("a[!]]", "a]"));
        // Never the end of a name.
        assert!(!matches("a[!b]c", "a/c") && !matches("a[.-0]c", "a/c"));
        // Without a second bracket, and as a name of its own.
        assert!(matches("a[b", "a[b") && !matches("a[b", "ab") && matches("[", "["));
        assert!(matches("[]", "[]") && matches("[!]", "[!]"));
        assert!(picks_by_name("conv[1]", "base/conv[1]") && picks_by_name("conv[1]", "conv1"));
        assert!(picks_by_name(
            "encoder/layer_[3-5]",
            "encoder/layer_4/query"
        ));
    }

    #[test]
    fn a_pattern_without_slash_is_compared_with_names_at_every_depth() {
        assert!(picks_by_name("bn*", "base/bn1"));
        assert!(picks_by_name("base", "base/bn1"));
        assert!(!picks_by_name("bas", "base/bn1"));
        assert!(picks_by_name("base/bn1", "base/bn1"));
        assert!(!picks_by_name("base/bn", "base/bn1"));
    }
}
