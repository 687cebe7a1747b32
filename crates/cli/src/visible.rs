//! Text as it may be shown: names in files that others made can have characters that a terminal obeys.

/// Control characters escaped (`\\u{1b}`), but for line ends and tabs.
pub fn visible(text: &str) -> String {
    escaped(text, |character| !matches!(character, '\n' | '\t'))
}

/// A name on one line: all control characters escaped.
pub fn one_line(text: &str) -> String {
    escaped(text, |_| true)
}

/// A JSON document with those escaped that JSON allows raw (U+007F to U+009F); its strings stay the same.
pub fn in_json(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    for character in document.chars() {
        match character {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text
}

fn escaped(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() && also(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_obeyed() {
        assert_eq!(
            visible("a\u{1b}[2Jb\rc\u{9b}1m\td\ne ä"),
            "a\\u{1b}[2Jb\\rc\\u{9b}1m\td\ne ä"
        );
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\tc");
        let value = serde_json::json!({"name\u{9b}": "a\u{1b}\u{7f}\u{85}ä"});
        let text = in_json(&format!("{value:#}"));
        assert!(
            text.chars().all(|it| it == '\n' || !it.is_control()),
            "{text:?}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
