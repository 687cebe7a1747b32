//! Patterns with `*`, `**` and `?`, compared with names and paths.

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

/// Matches `*` (any characters but `/`), `**` (any), `?` (one but `/`), and the rest as it is. Takes
/// time proportional to the product of the lengths, whatever the pattern.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // reachable[i]: whether the pattern so far can have consumed text[..i].
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut rest = pattern;
    while let Some(&symbol) = rest.first() {
        let (any, crosses) = (symbol == b'*', rest.starts_with(b"**"));
        rest = &rest[if crosses { 2 } else { 1 }..];
        if any {
            for index in 0..text.len() {
                reachable[index + 1] |= reachable[index] && (crosses || text[index] != b'/');
            }
        } else {
            for index in (0..text.len()).rev() {
                let same = text[index] == symbol || symbol == b'?' && text[index] != b'/';
                reachable[index + 1] = reachable[index] && same;
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
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
    fn a_pattern_without_slash_is_compared_with_names_at_every_depth() {
        assert!(picks_by_name("bn*", "base/bn1"));
        assert!(picks_by_name("base", "base/bn1"));
        assert!(!picks_by_name("bas", "base/bn1"));
        assert!(picks_by_name("base/bn1", "base/bn1"));
        assert!(!picks_by_name("base/bn", "base/bn1"));
    }
}
