//! Answers as pictures: labels that are probably wrong, the worst mistakes, the most and the least sure.

use maud::{Markup, html};

use crate::gallery::{Gallery, of_all};
use crate::section::Section;
use crate::text::percent;

/// The most suspicious labels and mistakes that are shown.
const MANY: usize = 24;
/// The most of the surest and least sure answers.
const FEW: usize = 8;

/// Labels that are probably wrong.
pub(crate) fn suspects(gallery: &Gallery<'_>) -> Option<Section> {
    let suspects = &gallery.report.suspects;
    if suspects.is_empty() {
        return None;
    }
    let shown = &suspects[..suspects.len().min(MANY)];
    Some(Section::new(
        "suspects",
        "Suspicious labels",
        html! {
            p {
                "What the model, which has not learnt from these pictures, thinks of their labels. The likeliest "
                "faults come first; look at them before you believe any other number here."
            }
            div class="gallery" {
                @for suspect in shown {
                    @let improbable = html! {
                        span { "labelled " (label(gallery, suspect.sample)) ", " (percent(suspect.label_probability)) }
                        span class="wrong" { "rather " (gallery.class(suspect.class)) }
                    };
                    (gallery.figure(suspect.sample, true, &improbable))
                }
            }
            (of_all(shown.len(), suspects.len()))
        },
    ))
}

fn label(gallery: &Gallery<'_>, sample: usize) -> Markup {
    let sample = gallery.report.samples.get(sample);
    match sample.and_then(|sample| sample.label) {
        Some(label) => gallery.class(label),
        None => html! { "as nothing" },
    }
}

/// The wrong answers that were the surest.
pub(crate) fn mistakes(gallery: &Gallery<'_>) -> Option<Section> {
    let report = gallery.report;
    let wrong = report.answered().filter(|&sample| report.is_wrong(sample));
    let wrong = by_confidence(gallery, wrong);
    if wrong.is_empty() {
        return None;
    }
    let shown = wrong.len().min(MANY);
    Some(Section::new(
        "mistakes",
        "Worst mistakes",
        html! {
            p { "Wrong answers, the surest first." }
            div class="gallery" {
                @for &sample in &wrong[..shown] { (gallery.answered(sample, true)) }
            }
            (of_all(shown, wrong.len()))
        },
    ))
}

/// The answers that were the most and the least sure.
pub(crate) fn confidence(gallery: &Gallery<'_>) -> Option<Section> {
    let samples = by_confidence(gallery, gallery.report.answered());
    if samples.is_empty() {
        return None;
    }
    let few = samples.len().min(FEW);
    let least = samples[samples.len() - few..].iter().rev();
    Some(Section::new(
        "confidence",
        "Most and least confident",
        html! {
            h3 { "Least confident" }
            div class="gallery" { @for &sample in least { (gallery.answered(sample, true)) } }
            h3 { "Most confident" }
            div class="gallery" { @for &sample in &samples[..few] { (gallery.answered(sample, true)) } }
        },
    ))
}

/// The surest first; equally sure ones in their order.
pub(crate) fn by_confidence(
    gallery: &Gallery<'_>,
    samples: impl Iterator<Item = usize>,
) -> Vec<usize> {
    let mut samples: Vec<usize> = samples.collect();
    let confidence = |sample: usize| {
        gallery
            .report
            .seen(sample)
            .map_or(0.0, |seen| seen.1.confidence)
    };
    samples.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)));
    samples
}
