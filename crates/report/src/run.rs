//! How a model came about: whether it knows what it does not know, time and memory, the frozen weights, and
//! how to do it once more.

use maud::{Markup, html};

use crate::gallery::{CLASS, Gallery};
use crate::report::{Amount, Frozen};
use crate::section::Section;
use crate::text::{amount, beginning, clip, thousands};

/// The most rows of a table.
const ROWS: usize = 100;
/// The most letters of the settings.
const SETTINGS: usize = 50_000;

pub(crate) fn unknown(gallery: &Gallery<'_>) -> Option<Section> {
    let unknown = gallery.report.unknown.as_ref()?;
    let mut classes = unknown.classes.clone();
    classes.sort_by(|a, b| a.1.total_cmp(&b.1));
    classes.truncate(ROWS);
    Some(Section::new(
        "unknown",
        "What it does not know",
        html! {
            p {
                @if unknown.can_tell {
                    strong class="right" { "✓ It can tell" }
                } @else {
                    strong class="warning" { "✗ It cannot tell" }
                }
                " pictures of other things. Area under the curve: " (format!("{:.3}", unknown.area))
                ", where 0.5 is chance and 1 is faultless."
            }
            p { (beginning(&unknown.text, 1000)) }
            @if !classes.is_empty() {
                details {
                    summary { "Each class left out in turn" }
                    table {
                        thead { tr { th scope="col" { "left out" } th scope="col" { "area" } } }
                        tbody {
                            @for (class, area) in &classes {
                                tr { th scope="row" { (gallery.class(*class)) } td { (format!("{area:.3}")) } }
                            }
                        }
                    }
                }
            }
        },
    ))
}

pub(crate) fn run(gallery: &Gallery<'_>) -> Option<Section> {
    let report = gallery.report;
    if report.costs.is_empty() && report.frozen.is_none() {
        return None;
    }
    let costs = &report.costs[..report.costs.len().min(ROWS)];
    let predicts = costs.iter().any(|cost| cost.predicted.is_some());
    Some(Section::new(
        "run",
        "Time, memory and frozen weights",
        html! {
            @if !costs.is_empty() {
                table class="costs" {
                    thead {
                        tr {
                            th scope="col" { "" }
                            @if predicts { th scope="col" { "predicted" } }
                            th scope="col" { "spent" }
                        }
                    }
                    tbody {
                        @for cost in costs {
                            tr {
                                th scope="row" { (clip(&cost.name, CLASS)) }
                                @if predicts { td { (written(cost.predicted)) } }
                                td { (written(cost.spent)) }
                            }
                        }
                    }
                }
            }
            @if let Some(frozen) = &report.frozen { (weights(frozen)) }
        },
    ))
}

fn written(what: Option<Amount>) -> String {
    what.map_or_else(|| "–".into(), amount)
}

fn weights(frozen: &Frozen) -> Markup {
    html! {
        h3 { "Frozen weights" }
        p {
            @if frozen.before == frozen.after {
                strong class="right" { "✓ Unchanged" }
            } @else {
                strong class="wrong" { "✗ CHANGED" }
            }
            ": " (thousands(frozen.parameters as usize)) " numbers, hashed before and after training."
        }
        dl class="hashes" {
            div { dt { "before" } dd { code { (clip(&frozen.before, 128)) } } }
            div { dt { "after" } dd { code { (clip(&frozen.after, 128)) } } }
        }
    }
}

pub(crate) fn repeat(gallery: &Gallery<'_>) -> Option<Section> {
    let report = gallery.report;
    if report.command.is_empty() && report.settings.is_empty() {
        return None;
    }
    Some(Section::new(
        "repeat",
        "Once more",
        html! {
            @if !report.command.is_empty() {
                p { "The same data and this command give the same model, bit for bit." }
                pre tabindex="0" { code { (beginning(&report.command, 2000)) } }
            }
            @if !report.settings.is_empty() {
                details {
                    summary { "All settings: " code { "run.toml" } }
                    pre tabindex="0" { code { (beginning(&report.settings, SETTINGS)) } }
                }
            }
        },
    ))
}
