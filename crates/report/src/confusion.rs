//! The confusion matrix. Each cell opens its pictures beneath the table: a link to them, no script.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::answers::by_confidence;
use crate::gallery::{Gallery, of_all};
use crate::section::Section;
use crate::text::{count, thousands};

/// The most classes in the table.
const MATRIX: usize = 24;
/// The most pictures of a cell.
const PICTURES: usize = 12;
/// The most pictures of all cells.
const ALL_PICTURES: usize = 320;
/// The most pairs in the list.
const PAIRS: usize = 12;

/// Label and answer.
type Cell = (usize, usize);

pub(crate) fn confusion(gallery: &Gallery<'_>) -> Option<Section> {
    let report = gallery.report;
    let mut cells: BTreeMap<Cell, Vec<usize>> = BTreeMap::new();
    for sample in report.answered() {
        if let Some((label, answer)) = report.seen(sample) {
            cells.entry((label, answer.class)).or_default().push(sample);
        }
    }
    if cells.is_empty() {
        return None;
    }
    let classes = shown_classes(&cells, report.classes.len());
    let mut pairs: Vec<Cell> = cells
        .keys()
        .copied()
        .filter(|(label, answer)| label != answer)
        .collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(cells[pair].len()));
    let listed = &pairs[..pairs.len().min(PAIRS)];
    let opened = opened(&cells, &classes, &pairs, listed);
    Some(Section::new(
        "confusion",
        "Confusion matrix",
        html! {
            p {
                "Rows are labels, columns are answers. Choose a number to see its pictures."
                @if classes.len() < report.classes.len() {
                    " Of " (count(report.classes.len(), "class")) ", these are the " (classes.len())
                    " that are confused most."
                }
            }
            (matrix(gallery, &cells, &classes))
            div class="cells" {
                @for (cell, pictures) in &opened {
                    (pictures_of(gallery, *cell, &cells[cell], *pictures))
                }
            }
            @if !listed.is_empty() {
                h3 { "Confused most" }
                ol class="pairs" {
                    @for pair in listed {
                        li { a href=(link(*pair)) { (taken_for(gallery, *pair)) } ", " (times(cells[pair].len())) }
                    }
                }
            }
        },
    ))
}

/// All classes, or those that are confused most, in their order.
fn shown_classes(cells: &BTreeMap<Cell, Vec<usize>>, classes: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..classes).collect();
    if classes > MATRIX {
        let mut confused = vec![0; classes];
        for (&(label, answer), samples) in cells {
            if label != answer {
                confused[label] += samples.len();
                confused[answer] += samples.len();
            }
        }
        order.sort_by_key(|&class| std::cmp::Reverse(confused[class]));
        order.truncate(MATRIX);
        order.sort_unstable();
    }
    order
}

/// The cells that can be opened, each with how many pictures it shows: those that are confused most have
/// theirs first.
fn opened(
    cells: &BTreeMap<Cell, Vec<usize>>,
    classes: &[usize],
    pairs: &[Cell],
    listed: &[Cell],
) -> Vec<(Cell, usize)> {
    let is_shown = |&(label, answer): &Cell| {
        classes.binary_search(&label).is_ok() && classes.binary_search(&answer).is_ok()
    };
    let right = cells.keys().filter(|(label, answer)| label == answer);
    let wanted = pairs
        .iter()
        .filter(|pair| is_shown(pair) || listed.contains(pair));
    let mut left = ALL_PICTURES;
    let mut opened = Vec::new();
    for cell in wanted.chain(right.filter(|cell| is_shown(cell))) {
        let pictures = cells[cell].len().min(PICTURES).min(left);
        left -= pictures;
        opened.push((*cell, pictures));
    }
    opened
}

fn matrix(gallery: &Gallery<'_>, cells: &BTreeMap<Cell, Vec<usize>>, classes: &[usize]) -> Markup {
    let size = |cell: &Cell| cells.get(cell).map_or(0, Vec::len);
    html! {
        div class="wide" tabindex="0" role="region" aria-label="Confusion matrix" {
            table class="matrix" {
                thead {
                    tr {
                        td class="corner" { "label ↓ answer →" }
                        @for &class in classes { th scope="col" { span { (gallery.class(class)) } } }
                    }
                }
                tbody {
                    @for &label in classes {
                        @let row: usize = cells.range((label, 0)..=(label, usize::MAX)).map(|(_, of)| of.len()).sum();
                        tr {
                            th scope="row" { (gallery.class(label)) }
                            @for &answer in classes {
                                @let number = size(&(label, answer));
                                @match number {
                                    0 => td { "·" },
                                    _ => {
                                        @let share = number as f64 / row as f64;
                                        td class=(if label == answer { "hit" } else { "miss" })
                                            style={ "--s:" (format!("{:.2}", 0.08 + 0.5 * share.sqrt())) } {
                                            a href=(link((label, answer))) { (thousands(number)) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where a cell's pictures are.
fn link((label, answer): Cell) -> String {
    format!("#cell-{label}-{answer}")
}

fn taken_for(gallery: &Gallery<'_>, (label, answer): Cell) -> Markup {
    html! {
        @if label == answer {
            (gallery.class(label)) " recognised"
        } @else {
            (gallery.class(label)) " taken for " (gallery.class(answer))
        }
    }
}

fn times(number: usize) -> String {
    match number {
        1 => "once".into(),
        2 => "twice".into(),
        _ => format!("{} times", thousands(number)),
    }
}

fn pictures_of(gallery: &Gallery<'_>, cell: Cell, samples: &[usize], pictures: usize) -> Markup {
    let samples = by_confidence(gallery, samples.iter().copied());
    html! {
        div class="cell" id=(link(cell)[1..]) {
            h3 { (taken_for(gallery, cell)) ", " (times(samples.len())) }
            @if pictures > 0 {
                div class="gallery" {
                    @for &sample in &samples[..pictures] { (gallery.answered(sample, true)) }
                }
                (of_all(pictures, samples.len()))
            } @else {
                p class="cut" { "No room for their pictures. The first is " bdi { (gallery.name(samples[0])) } "." }
            }
            p { a href="#confusion" { "Close" } }
        }
    }
}
