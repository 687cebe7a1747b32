//! What was found in the pictures, as the report tells it.

use regraft_images::{Finding, FindingKind};
use regraft_report as report;

use crate::text::sentence;

/// A finding as the report has it.
pub(crate) fn finding(finding: &Finding) -> report::Finding {
    let (title, text) = match finding.sentence.split_once(": ") {
        Some((title, text)) => (title.to_string(), sentence(text)),
        None => (finding.sentence.clone(), advice(finding.kind).to_string()),
    };
    report::Finding {
        level: level(finding.kind),
        title: sentence(&title),
        text,
        groups: finding.together(),
    }
}

/// How bad a finding is.
pub(crate) fn level(kind: FindingKind) -> report::Level {
    use FindingKind as Kind;
    match kind {
        Kind::OneClass
        | Kind::SamePixelsAcrossClasses
        | Kind::NearDuplicatesAcrossClasses
        | Kind::GivesAway => report::Level::Problem,
        Kind::SamePixels
        | Kind::NearDuplicates
        | Kind::Damaged
        | Kind::Blank
        | Kind::FewPictures
        | Kind::Imbalance => report::Level::Warning,
        _ => report::Level::Note,
    }
}

fn advice(kind: FindingKind) -> &'static str {
    use FindingKind as Kind;
    match kind {
        Kind::SamePixelsAcrossClasses => "Some of these labels are wrong.",
        Kind::NearDuplicatesAcrossClasses => "Look whether their labels are right.",
        Kind::SamePixels | Kind::NearDuplicates => {
            "They stay on one side of every split, and count as one in intervals."
        }
        _ => "",
    }
}
