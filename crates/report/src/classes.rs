//! The table of classes: precision, recall and F1 of each.

use maud::{Markup, html};

use crate::gallery::Gallery;
use crate::report::Report;
use crate::section::Section;
use crate::text::thousands;

/// The most rows.
const ROWS: usize = 1000;

/// What was right and wrong about one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pictures of the class.
    pub labelled: usize,
    /// Answers that say the class.
    pub answered: usize,
    /// Both.
    pub right: usize,
}

impl Counts {
    /// The share of the answers that is right; none if there are no answers.
    fn precision(self) -> Option<f64> {
        share(self.right, self.answered)
    }

    /// The share of the pictures that was found.
    fn recall(self) -> Option<f64> {
        share(self.right, self.labelled)
    }

    /// The harmonic mean of the two.
    fn f1(self) -> Option<f64> {
        share(2 * self.right, self.labelled + self.answered)
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// The counts of every class.
pub(crate) fn counts(report: &Report) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); report.classes.len()];
    for sample in report.answered() {
        if let Some((label, answer)) = report.seen(sample) {
            counts[label].labelled += 1;
            counts[answer.class].answered += 1;
            counts[label].right += usize::from(label == answer.class);
        }
    }
    counts
}

pub(crate) fn classes(gallery: &Gallery<'_>) -> Option<Section> {
    gallery.report.answered().next()?;
    let counts = counts(gallery.report);
    let mut rows: Vec<usize> = (0..counts.len()).collect();
    if rows.len() > ROWS {
        let f1 = |class: usize| counts[class].f1().unwrap_or(2.0);
        rows.sort_by(|&a, &b| f1(a).total_cmp(&f1(b)));
        rows.truncate(ROWS);
    }
    Some(Section::new(
        "classes",
        "Class by class",
        html! {
            @if rows.len() < counts.len() {
                p class="cut" { "The " (rows.len()) " of " (counts.len()) " classes with the lowest F1." }
            }
            div class="wide" tabindex="0" role="region" aria-label="Table of classes" {
                table class="classes" {
                    thead {
                        tr {
                            th scope="col" { "class" }
                            th scope="col" { "pictures" }
                            th scope="col" { abbr title="of the answers that say this class, the share that is right" { "precision" } }
                            th scope="col" { abbr title="of the pictures of this class, the share that was found" { "recall" } }
                            th scope="col" { abbr title="the harmonic mean of precision and recall" { "F1" } }
                        }
                    }
                    tbody {
                        @for &class in &rows {
                            @let of = counts[class];
                            tr {
                                th scope="row" { (gallery.class(class)) }
                                td { (thousands(of.labelled)) }
                                (bar(of.precision())) (bar(of.recall())) (bar(of.f1()))
                            }
                        }
                    }
                }
            }
        },
    ))
}

/// A share as a number over a bar.
fn bar(share: Option<f64>) -> Markup {
    html! {
        @match share {
            Some(share) => td class="bar" style={ "--s:" (format!("{:.1}%", share * 100.0)) } { (format!("{:.1}", share * 100.0)) },
            None => td { "–" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Answer, Sample};

    /// Numbers of scikit-learn's `precision_recall_fscore_support([0,0,0,1,1,2], [0,0,1,1,2,2])`.
    #[test]
    fn counts_are_those_of_the_answers() {
        let (labels, answers) = ([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]);
        let samples = labels.iter().zip(answers).map(|(&label, class)| Sample {
            label: Some(label),
            answer: Some(Answer {
                class,
                confidence: 1.0,
            }),
            ..Sample::default()
        });
        let report = Report {
            classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
            samples: samples.collect(),
            ..Report::default()
        };
        let counts = counts(&report);
        let all = |of: fn(Counts) -> Option<f64>| {
            counts.iter().map(|&counts| of(counts)).collect::<Vec<_>>()
        };
        assert_eq!(
            all(Counts::precision),
            [Some(1.0), Some(0.5), Some(0.5), None]
        );
        assert_eq!(
            all(Counts::recall),
            [Some(2.0 / 3.0), Some(0.5), Some(1.0), None]
        );
        assert_eq!(
            all(Counts::f1),
            [Some(0.8), Some(0.5), Some(2.0 / 3.0), None]
        );
    }
}
