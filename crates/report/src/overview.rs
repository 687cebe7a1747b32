//! The top of a page: how good the model is, and what to look at first.

use maud::{Markup, html};

use crate::gallery::{CLASS, Gallery};
use crate::report::{Estimate, Level, Report};
use crate::section::Section;
use crate::text::{beginning, clip, percent, thousands};

/// The most estimates that stand beside each other.
const ESTIMATES: usize = 12;

/// The most facts.
const FACTS: usize = 40;

pub(crate) fn overview(gallery: &Gallery<'_>) -> Option<Section> {
    let report = gallery.report;
    let tiles = tiles(report);
    Some(Section::new(
        "overview",
        "At a glance",
        html! {
            @if !report.estimates.is_empty() {
                div class="estimates" {
                    @for (place, estimate) in report.estimates.iter().take(ESTIMATES).enumerate() {
                        (interval(estimate, place == 0))
                    }
                }
            }
            ul class="tiles" {
                @for tile in &tiles {
                    li {
                        strong class=(tile.class) { (tile.number) }
                        @match tile.link {
                            Some(link) => a href={ "#" (link) } { (tile.text) },
                            None => span { (tile.text) }
                        }
                    }
                }
            }
            @if !report.facts.is_empty() {
                dl class="facts" {
                    @for (name, value) in report.facts.iter().take(FACTS) {
                        div { dt { (clip(name, CLASS)) } dd { bdi { (beginning(value, 300)) } } }
                    }
                }
            }
        },
    ))
}

/// An estimate with its interval drawn from 0 to 1.
fn interval(estimate: &Estimate, main: bool) -> Markup {
    let place = |share: f64| {
        format!(
            "{:.2}%",
            if share.is_finite() {
                share.clamp(0.0, 1.0) * 100.0
            } else {
                0.0
            }
        )
    };
    let width = place((estimate.high - estimate.low).abs());
    let between = format!(
        "between {} and {}",
        percent(estimate.low),
        percent(estimate.high)
    );
    html! {
        div class=(if main { "estimate main" } else { "estimate" }) {
            h3 { (clip(&estimate.name, CLASS)) }
            p class="number" { (percent(estimate.value)) }
            p { (between) }
            div class="interval" aria-hidden="true" {
                i style={ "left:" (place(estimate.low)) ";width:" (width) } {}
                b style={ "left:" (place(estimate.value)) } {}
            }
            p class="how" { (beginning(&estimate.how, 500)) }
        }
    }
}

/// A number to be seen at once, and where there is more about it.
struct Tile {
    number: String,
    text: String,
    class: &'static str,
    link: Option<&'static str>,
}

impl Tile {
    fn new(number: impl Into<String>, text: impl Into<String>) -> Self {
        Tile {
            number: number.into(),
            text: text.into(),
            class: "",
            link: None,
        }
    }

    /// So many of what is called `one` if it is alone, and `many` if not.
    fn count(number: usize, one: &str, many: &str) -> Self {
        Tile::new(thousands(number), if number == 1 { one } else { many })
    }

    fn class(self, class: &'static str) -> Self {
        Tile { class, ..self }
    }

    fn link(self, section: &'static str) -> Self {
        Tile {
            link: Some(section),
            ..self
        }
    }
}

fn tiles(report: &Report) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if !report.samples.is_empty() {
        tiles.push(Tile::count(report.samples.len(), "picture", "pictures"));
    }
    if !report.classes.is_empty() {
        tiles.push(Tile::count(report.classes.len(), "class", "classes"));
    }
    let wrong = report
        .answered()
        .filter(|&sample| report.is_wrong(sample))
        .count();
    if report.answered().next().is_some() {
        let tile = Tile::count(wrong, "wrong answer", "wrong answers");
        tiles.push(match wrong {
            0 => tile,
            _ => tile.link("mistakes"),
        });
    }
    if let Some(calibration) = &report.calibration {
        let tile = Tile::new(percent(calibration.error), "calibration error");
        tiles.push(tile.link("reliability"));
    }
    let suspects = report.suspects.len();
    if suspects > 0 {
        let tile = Tile::count(suspects, "label to look at", "labels to look at");
        tiles.push(tile.link("suspects").class("warning"));
    }
    let findings = report.findings.len();
    if findings > 0 {
        let mut levels = report.findings.iter().map(|finding| finding.level);
        let bad = levels.any(|level| level > Level::Note);
        let tile = Tile::count(findings, "finding in the data", "findings in the data");
        tiles.push(
            tile.link("findings")
                .class(if bad { "warning" } else { "" }),
        );
    }
    let unreadable = report.unreadable.len();
    if unreadable > 0 {
        let tile = Tile::count(unreadable, "file unreadable", "files unreadable");
        tiles.push(tile.link("unreadable").class("warning"));
    }
    if let Some(unknown) = &report.unknown {
        let (number, class) = match unknown.can_tell {
            true => ("yes", "right"),
            false => ("no", "warning"),
        };
        let tile = Tile::new(number, "can tell what it does not know");
        tiles.push(tile.link("unknown").class(class));
    }
    if let Some(frozen) = &report.frozen {
        let (number, class) = match frozen.before == frozen.after {
            true => ("unchanged", "right"),
            false => ("CHANGED", "wrong"),
        };
        tiles.push(Tile::new(number, "frozen weights").link("run").class(class));
    }
    tiles
}
