//! What is wrong with the data, with the pictures that show it, and the files that could not be read.

use maud::{Markup, html};

use crate::gallery::{Gallery, NAME, of_all};
use crate::report::{Finding, Level};
use crate::section::Section;
use crate::text::{beginning, clip, count};

/// The most findings.
const FINDINGS: usize = 30;
/// The most groups of a finding, and the most pictures of all of them.
const GROUPS: usize = 6;
const PICTURES: usize = 12;
/// The most unreadable files that are named.
const FILES: usize = 200;

pub(crate) fn findings(gallery: &Gallery<'_>) -> Option<Section> {
    let findings = &gallery.report.findings;
    if findings.is_empty() {
        return None;
    }
    let mut order: Vec<&Finding> = findings.iter().collect();
    order.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    order.truncate(FINDINGS);
    Some(Section::new(
        "findings",
        "The data",
        html! {
            @for finding in &order { (one(gallery, finding)) }
            (of_all(order.len(), findings.len()))
        },
    ))
}

fn one(gallery: &Gallery<'_>, finding: &Finding) -> Markup {
    let (word, class) = match finding.level {
        Level::Note => ("Note", "note"),
        Level::Warning => ("Warning", "warning"),
        Level::Problem => ("Problem", "problem"),
    };
    let all: usize = finding.groups.iter().map(Vec::len).sum();
    let mut left = PICTURES;
    let mut groups = Vec::new();
    for group in finding.groups.iter().take(GROUPS) {
        let some = &group[..group.len().min(left)];
        left -= some.len();
        if !some.is_empty() {
            groups.push(some);
        }
    }
    html! {
        article class={ "finding " (class) } {
            h3 { span class="level" { (word) } " " (beginning(&finding.title, 200)) }
            p { (beginning(&finding.text, 1000)) }
            @if !groups.is_empty() {
                details open[finding.level == Level::Problem] {
                    summary { (count(all, "picture")) }
                    div class=(if finding.groups.len() > 1 { "groups" } else { "group" }) {
                        @for group in &groups {
                            div class="gallery" {
                                @for &sample in *group { (gallery.figure(sample, false, &gallery.labelled(sample))) }
                            }
                        }
                    }
                    (of_all(PICTURES - left, all))
                }
            }
        }
    }
}

pub(crate) fn unreadable(gallery: &Gallery<'_>) -> Option<Section> {
    let files = &gallery.report.unreadable;
    if files.is_empty() {
        return None;
    }
    let shown = &files[..files.len().min(FILES)];
    Some(Section::new(
        "unreadable",
        "Unreadable files",
        html! {
            p { (count(files.len(), "file")) " could not be read and took no part." }
            details {
                summary { "Which, and why" }
                div class="wide" tabindex="0" role="region" aria-label="Unreadable files" {
                    table {
                        thead { tr { th scope="col" { "file" } th scope="col" { "reason" } } }
                        tbody {
                            @for (name, reason) in shown {
                                tr { th scope="row" { bdi { (clip(name, NAME)) } } td class="words" { (beginning(reason, 200)) } }
                            }
                        }
                    }
                }
                (of_all(shown.len(), files.len()))
            }
        },
    ))
}
