//! From the names of tensors in a file to those of a model's weights: patterns, or a function.

use std::fmt;
use std::sync::Arc;

/// How names of a file become names of the model.
#[derive(Clone)]
pub(crate) enum NameMap {
    /// The first pattern that matches tells; other names stay.
    Patterns(Vec<(String, String)>),
    /// Whatever it returns.
    Function(Arc<dyn Fn(&str) -> String + Send + Sync>),
}

impl fmt::Debug for NameMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameMap::Patterns(patterns) => f.debug_list().entries(patterns).finish(),
            NameMap::Function(_) => f.write_str("a function"),
        }
    }
}

impl NameMap {
    /// The name in the model.
    pub fn apply(&self, name: &str) -> String {
        match self {
            NameMap::Function(function) => function(name),
            NameMap::Patterns(patterns) => patterns
                .iter()
                .find_map(|(pattern, replacement)| {
                    Some(replace(replacement, &captures(pattern, name)?))
                })
                .unwrap_or_else(|| name.to_string()),
        }
    }

    /// The patterns that match none of `names`.
    pub fn unmatched<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
        let NameMap::Patterns(patterns) = self else {
            return Vec::new();
        };
        let unmatched = |pattern: &&String| {
            let mut names = names.clone();
            !names.any(|name| captures(pattern, name).is_some())
        };
        let patterns = patterns.iter().map(|(pattern, _)| pattern);
        patterns.filter(unmatched).cloned().collect()
    }
}

/// What the stars of `pattern` stand for in `text`: `*` for one part, that is for anything but `.`
/// and `/`, `**` for anything. The first star takes as little as it can, then the next, and so on.
/// Takes time proportional to the product of the lengths, whatever the pattern.
fn captures(pattern: &str, text: &str) -> Option<Vec<String>> {
    let tokens = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (rows, columns) = (tokens.len() + 1, text.len() + 1);
    // fits[i][j]: whether tokens[i..] match text[j..].
    let mut fits = vec![false; rows * columns];
    fits[rows * columns - 1] = true;
    for row in (0..tokens.len()).rev() {
        for column in (0..columns).rev() {
            let next = text.get(column);
            fits[row * columns + column] = match tokens[row] {
                Token::Char(symbol) => {
                    next == Some(&symbol) && fits[(row + 1) * columns + column + 1]
                }
                Token::Star { crosses } => {
                    fits[(row + 1) * columns + column]
                        || next.is_some_and(|&c| crosses || !is_separator(c))
                            && fits[row * columns + column + 1]
                }
            };
        }
    }
    if !fits[0] {
        return None;
    }
    let mut captures = Vec::new();
    let mut column = 0;
    for (row, token) in tokens.iter().enumerate() {
        match token {
            Token::Char(_) => column += 1,
            Token::Star { .. } => {
                let start = column;
                while !fits[(row + 1) * columns + column] {
                    column += 1;
                }
                captures.push(text[start..column].iter().collect());
            }
        }
    }
    Some(captures)
}

enum Token {
    Char(char),
    Star { crosses: bool },
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut symbols = pattern.chars().peekable();
    while let Some(symbol) = symbols.next() {
        tokens.push(match symbol {
            '*' => Token::Star {
                crosses: symbols.next_if_eq(&'*').is_some(),
            },
            symbol => Token::Char(symbol),
        });
    }
    tokens
}

fn is_separator(symbol: char) -> bool {
    matches!(symbol, '.' | '/')
}

/// `replacement` with `$1`, `$2`, … filled in; `$` before anything else stays.
fn replace(replacement: &str, captures: &[String]) -> String {
    let mut replaced = String::new();
    let mut symbols = replacement.chars().peekable();
    while let Some(symbol) = symbols.next() {
        let digit = match symbol {
            '$' => symbols.peek().and_then(|next| next.to_digit(10)),
            _ => None,
        };
        let capture = digit.and_then(|digit| captures.get((digit as usize).checked_sub(1)?));
        match capture {
            Some(capture) => {
                symbols.next();
                replaced.push_str(capture);
            }
            None => replaced.push(symbol),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_capture_parts_of_names() {
        let map = NameMap::Patterns(
            [
                ("features.0.**", "stem/$1"),
                ("features.*.conv*.**", "block_$1/conv_$2/$3"),
                ("classifier.*", "head.$1"),
            ]
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .to_vec(),
        );
        assert_eq!(map.apply("features.0.weight"), "stem/weight");
        assert_eq!(
            map.apply("features.12.conv3.weight"),
            "block_12/conv_3/weight"
        );
        assert_eq!(map.apply("classifier.bias"), "head.bias");
        assert_eq!(map.apply("classifier.1.bias"), "classifier.1.bias");
        assert_eq!(
            map.unmatched(["features.0.weight", "classifier.bias"].into_iter()),
            ["features.*.conv*.**"]
        );
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let pattern = "*a".repeat(60);
        assert_eq!(captures(&pattern, &"a".repeat(59)), None);
        assert!(captures(&pattern, &"a".repeat(200)).is_some());
    }

    #[test]
    fn what_names_no_capture_stays() {
        assert_eq!(replace("a$1$3$", &["x".to_string()]), "ax$3$");
        assert_eq!(replace("$0", &["x".to_string()]), "$0");
    }
}
