//! How Keras forms names from class names, and how others' names are shown: shared by all crates.

/// The snake-case form of a class name, as Keras forms the names of objects and of groups in a file:
/// `Conv2D` → `conv2d`, `BatchNormalization` → `batch_normalization`.
///
/// ```
/// assert_eq!(regraft_tensor::snake_case("DepthwiseConv2D"), "depthwise_conv2d");
/// assert_eq!(regraft_tensor::snake_case("LSTM"), "lstm");
/// ```
pub fn snake_case(class: &str) -> String {
    // The class has another name than the one under which Keras exports it.
    if class == "GroupQueryAttention" {
        return "grouped_query_attention".into();
    }
    let letters: Vec<char> = class
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let mut name = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let lower_before = before.is_lowercase();
                // Of several capitals, the last one starts a word if a lower-case letter follows.
                let lower_after = letters.get(i + 1).is_some_and(|c| c.is_lowercase());
                before != '_' && (lower_before || lower_after)
            });
        if starts_word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// A name as it may be shown: on one line, control characters escaped (`\u{1b}`). Names in files and of files are
/// others' text, which a terminal would obey.
///
/// ```
/// assert_eq!(regraft_tensor::one_line("a\nb \u{1b}[2J ä"), "a\\nb \\u{1b}[2J ä");
/// ```
pub fn one_line(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}
