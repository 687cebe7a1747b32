//! The small part of regular expressions that names in optimizer settings are written in.
//!
//! Keras searches names with Python's `re.search`. Here a pattern may use letters as they are,
//! `.` (any character), `*` (any number of the character before), `^` and `$` (start and end) and
//! `|` (or). Anything else of that language is refused, so that no pattern silently means
//! something else.

use regraft_tensor::Detail;

/// A pattern that may occur anywhere in a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    alternatives: Vec<Vec<char>>,
}

impl Pattern {
    /// Reads `text`; `at` is named in the error.
    pub(crate) fn new(at: &str, text: &str) -> Result<Self, Detail> {
        let alternatives: Vec<Vec<char>> =
            text.split('|').map(|part| part.chars().collect()).collect();
        let refused = text.contains(['\\', '[', ']', '(', ')', '{', '}', '+', '?'])
            || alternatives.iter().any(|part| {
                let after_start = part.strip_prefix(&['^'][..]).unwrap_or(part);
                part.is_empty() || after_start.starts_with(&['*']) || {
                    let inner = after_start.strip_suffix(&['$'][..]).unwrap_or(after_start);
                    inner.contains(&'^') || inner.contains(&'$')
                }
            });
        if refused {
            let expected =
                "a part of a name, in which only `.`, `*`, `^`, `$` and `|` have a meaning";
            let help = "write a plain part of the name, or use a predicate for anything richer";
            return Err(Detail::new(at, expected, format!("{text:?}")).help(help));
        }
        Ok(Pattern { alternatives })
    }

    /// Whether the pattern occurs in `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.alternatives
            .iter()
            .any(|pattern| match pattern.split_first() {
                Some(('^', rest)) => matches_here(rest, &text),
                _ => (0..=text.len()).any(|start| matches_here(pattern, &text[start..])),
            })
    }
}

/// Whether `text` starts with `pattern`.
fn matches_here(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        [repeated, '*', rest @ ..] => {
            let run = text
                .iter()
                .take_while(|&&c| *repeated == '.' || *repeated == c)
                .count();
            (0..=run).any(|taken| matches_here(rest, &text[taken..]))
        }
        [first, rest @ ..] => {
            !text.is_empty()
                && (*first == '.' || *first == text[0])
                && matches_here(rest, &text[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_understood_part_matches_as_python_does() {
        for (pattern, text, expected) in [
            ("bias", "dense/bias", true),
            ("bias", "kernel", false),
            ("^bias", "dense/bias", false),
            ("^dense_.*bias$", "dense_12/bias", true),
            ("gamma|beta", "norm/beta", true),
            ("head$", "head/kernel", false),
            ("a*b", "b", true),
            ("d.nse", "dense", true),
        ] {
            let found = Pattern::new("test", pattern).unwrap().matches(text);
            assert_eq!(found, expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for pattern in [
            "a+", "[ab]", "(a)", r"\d", "", "a|", "*a", "a^b", "a$b", "^*",
        ] {
            assert!(Pattern::new("test", pattern).is_err(), "{pattern}");
        }
    }
}
