//! The page: its sections in their order, and as many pictures as there is room for.

use std::collections::{BTreeMap, BTreeSet};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::gallery::Gallery;
use crate::report::{Report, Wanted};
use crate::section::Section;
use crate::text::beginning;
use crate::{Picture, answers, classes, confusion, findings, overview, reliability, run};

/// No page is longer than this, whatever it is made of.
pub const MOST_BYTES: usize = 5_000_000;

/// Nothing is loaded from elsewhere, and nothing is run: names cannot do harm.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

impl Report {
    /// The pictures that the page would show, the most important first: those that
    /// [`html`](Self::html) shall be given. Not more than 400, whatever there is.
    pub fn wanted(&self) -> Vec<Wanted> {
        let (none, all) = (BTreeMap::new(), BTreeSet::new());
        let gallery = Gallery::new(self, &none, &all);
        sections(&gallery);
        gallery.shown()
    }

    /// The page, with `pictures` by their places among the samples. Where one is not given, its name stands
    /// alone. Pictures that would make the page longer than [`MOST_BYTES`] are left out, the least important
    /// ones, and the page says so.
    pub fn html(&self, pictures: &BTreeMap<usize, Picture>) -> String {
        let mut left_out = BTreeSet::new();
        let gallery = Gallery::new(self, pictures, &left_out);
        let whole = page(&gallery, 0).into_string();
        let Some(excess) = whole
            .len()
            .checked_sub(MOST_BYTES)
            .filter(|excess| *excess > 0)
        else {
            return whole;
        };
        // A picture that is left out takes at least its own bytes with it.
        let mut freed = 0;
        for wanted in gallery.shown().iter().rev() {
            if freed > excess + NOTE {
                break;
            }
            freed += pictures
                .get(&wanted.sample)
                .map_or(0, |picture| picture.len(wanted.heat));
            left_out.insert(wanted.sample);
        }
        let gallery = Gallery::new(self, pictures, &left_out);
        page(&gallery, left_out.len()).into_string()
    }
}

/// How long the sentence about what was left out is at most.
const NOTE: usize = 500;

/// The sections of the page, in their order on it.
fn sections(gallery: &Gallery<'_>) -> Vec<Section> {
    // Those come first whose pictures are not to be left out.
    let suspects = answers::suspects(gallery);
    let mistakes = answers::mistakes(gallery);
    let confidence = answers::confidence(gallery);
    let findings = findings::findings(gallery);
    let confusion = confusion::confusion(gallery);
    let all = [
        overview::overview(gallery),
        findings,
        findings::unreadable(gallery),
        suspects,
        classes::classes(gallery),
        confusion,
        mistakes,
        confidence,
        reliability::reliability(gallery),
        run::unknown(gallery),
        run::run(gallery),
        run::repeat(gallery),
    ];
    all.into_iter().flatten().collect()
}

fn page(gallery: &Gallery<'_>, left_out: usize) -> Markup {
    let report = gallery.report;
    let sections = sections(gallery);
    let title = beginning(&report.title, 200);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                // Without it browsers look for one beside the file.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                a class="skip" href="#overview" { "To the content" }
                header {
                    h1 { bdi { (title) } }
                    @if !report.summary.is_empty() { p class="summary" { (beginning(&report.summary, 2000)) } }
                }
                nav aria-label="Sections" {
                    ul {
                        @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } }
                    }
                    @if gallery.has_heat() {
                        label { input type="checkbox" id="heat" checked; " Heat maps" }
                    }
                }
                main {
                    @if left_out > 0 {
                        p class="cut" { (left_out) " pictures were left out so that this file stays small." }
                    }
                    @for section in &sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer { p { "Made by Regraft. This file needs no network." } }
                (gallery.store())
            }
        }
    }
}
