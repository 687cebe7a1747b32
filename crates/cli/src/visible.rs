//! Text as it may be shown: names in files that others made can have characters that a terminal obeys.

use regraft_tensor::one_line;

/// Control characters escaped (`\\u{1b}`), but for line ends and tabs.
pub fn visible(text: &str) -> String {
    let pieces = text.split_inclusive(['\n', '\t']);
    let shown = pieces.map(|piece| match piece.strip_suffix(['\n', '\t']) {
        Some(name) => one_line(name) + &piece[name.len()..],
        None => one_line(piece),
    });
    shown.collect()
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
