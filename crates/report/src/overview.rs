//! The top of a page: how good the model is, and what to look at first.

use maud::{Markup, html};

use crate::gallery::{CLASS, Gallery};
use crate::page::Section;
use crate::report::{Estimate, Level, Report};
use crate::text::{beginning, clip, count, percent, thousands};

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

fn tiles(report: &Report) -> Vec<Tile> {
    let tile = |number: String, text: &str| Tile {
        number,
        text: text.into(),
        class: "",
        link: None,
    };
    let plural = |number: usize, one: &str, many: &str| {
        tile(thousands(number), if number == 1 { one } else { many })
    };
    let mut tiles = Vec::new();
    if !report.samples.is_empty() {
        tiles.push(plural(report.samples.len(), "picture", "pictures"));
    }
    if !report.classes.is_empty() {
        tiles.push(plural(report.classes.len(), "class", "classes"));
    }
    let wrong = report
        .answered()
        .filter(|&sample| report.is_wrong(sample))
        .count();
    if report.answered().next().is_some() {
        let link = (wrong > 0).then_some("mistakes");
        tiles.push(Tile {
            link,
            ..plural(wrong, "wrong answer", "wrong answers")
        });
    }
    if let Some(calibration) = &report.calibration {
        let number = percent(calibration.error);
        tiles.push(Tile {
            link: Some("reliability"),
            ..tile(number, "calibration error")
        });
    }
    if !report.suspects.is_empty() {
        let tile = plural(
            report.suspects.len(),
            "suspicious label",
            "suspicious labels",
        );
        tiles.push(Tile {
            link: Some("suspects"),
            class: "warning",
            ..tile
        });
    }
    let bad = report
        .findings
        .iter()
        .filter(|finding| finding.level > Level::Note)
        .count();
    if !report.findings.is_empty() {
        let class = if bad > 0 { "warning" } else { "" };
        let tile = plural(
            report.findings.len(),
            "finding in the data",
            "findings in the data",
        );
        tiles.push(Tile {
            link: Some("findings"),
            class,
            ..tile
        });
    }
    if !report.unreadable.is_empty() {
        let text = count(report.unreadable.len(), "file");
        let text = format!(
            "{} unreadable",
            text.split_once(' ').map_or("files", |(_, word)| word)
        );
        let number = thousands(report.unreadable.len());
        tiles.push(Tile {
            link: Some("unreadable"),
            class: "warning",
            ..tile(number, &text)
        });
    }
    if let Some(unknown) = &report.unknown {
        let (number, class) = if unknown.can_tell {
            ("yes", "right")
        } else {
            ("no", "warning")
        };
        let tile = tile(number.into(), "can tell what it does not know");
        tiles.push(Tile {
            link: Some("unknown"),
            class,
            ..tile
        });
    }
    if let Some(frozen) = &report.frozen {
        let same = frozen.before == frozen.after;
        let (number, class) = if same {
            ("unchanged", "right")
        } else {
            ("CHANGED", "wrong")
        };
        tiles.push(Tile {
            link: Some("run"),
            class,
            ..tile(number.into(), "frozen weights")
        });
    }
    tiles
}
