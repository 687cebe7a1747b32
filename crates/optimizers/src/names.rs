//! Names that nobody knows, and those that come near.

use regraft_tensor::Detail;

/// What to say when `name` is none of `names`.
pub(crate) fn near(name: &str, kind: &str, names: &[&str]) -> Detail {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let mut scored: Vec<(f64, &str)> = names
        .iter()
        .map(|&known| (strsim::jaro_winkler(&plain(known), &plain(name)), known))
        .filter(|(score, _)| *score > 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = || names.iter().map(|n| n.to_lowercase()).collect::<Vec<_>>();
    let help = if scored.is_empty() {
        format!("known are {}", all().join(", "))
    } else {
        let near: Vec<String> = scored
            .iter()
            .take(3)
            .map(|(_, n)| n.to_lowercase())
            .collect();
        format!("did you mean {}?", near.join(" or "))
    };
    Detail::new(kind, format!("the name of an {kind}"), format!("{name:?}")).help(help)
}
