//! The pictures of a page. Each is in the file once, at its end, and is drawn wherever a section shows it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::Picture;
use crate::report::{Report, Wanted};
use crate::text::{clip, percent};

/// The most different pictures of a page.
const MOST_PICTURES: usize = 400;
/// The most letters of a picture's name.
pub(crate) const NAME: usize = 100;
/// The most letters of a class's name.
pub(crate) const CLASS: usize = 60;

/// What sections draw their pictures with, and which these are.
pub(crate) struct Gallery<'a> {
    pub report: &'a Report,
    pictures: &'a BTreeMap<usize, Picture>,
    left_out: &'a BTreeSet<usize>,
    shown: RefCell<Shown>,
}

#[derive(Default)]
struct Shown {
    order: Vec<Wanted>,
    places: BTreeMap<usize, usize>,
}

impl<'a> Gallery<'a> {
    pub fn new(
        report: &'a Report,
        pictures: &'a BTreeMap<usize, Picture>,
        left_out: &'a BTreeSet<usize>,
    ) -> Self {
        Gallery {
            report,
            pictures,
            left_out,
            shown: RefCell::default(),
        }
    }

    /// The pictures that were shown, in the order in which sections asked for them.
    pub fn shown(&self) -> Vec<Wanted> {
        self.shown.borrow().order.clone()
    }

    /// Whether something was drawn over a picture.
    pub fn has_heat(&self) -> bool {
        let shown = self.shown.borrow();
        let mut with_heat = shown.order.iter().filter(|wanted| wanted.heat);
        with_heat.any(|wanted| {
            self.pictures
                .get(&wanted.sample)
                .is_some_and(|of| of.heat.is_some())
        })
    }

    /// The picture, if there is room for one more.
    fn take(&self, sample: usize, heat: bool) -> Option<&'a Picture> {
        let mut shown = self.shown.borrow_mut();
        match shown.places.get(&sample).copied() {
            Some(place) => shown.order[place].heat |= heat,
            None if shown.order.len() >= MOST_PICTURES => return None,
            None => {
                let place = shown.order.len();
                shown.places.insert(sample, place);
                shown.order.push(Wanted { sample, heat });
            }
        }
        let there = !self.left_out.contains(&sample);
        self.pictures.get(&sample).filter(|_| there)
    }

    /// A picture with what is to be said of it.
    pub fn figure(&self, sample: usize, heat: bool, caption: &Markup) -> Markup {
        let name = self.name(sample);
        html! {
            figure {
                @match self.take(sample, heat) {
                    Some(picture) => {
                        svg role="img" aria-label=(name) {
                            use href={ "#p" (sample) } {}
                            @if heat && picture.heat.is_some() { use class="heat" href={ "#h" (sample) } {} }
                        }
                    }
                    None => div class="missing" { "no picture" }
                }
                figcaption { (caption) (path(&name)) }
            }
        }
    }

    /// A picture with label and answer.
    pub fn answered(&self, sample: usize, heat: bool) -> Markup {
        self.figure(sample, heat, &html! {
            @match self.report.seen(sample) {
                Some((label, answer)) if label == answer.class => {
                    span class="right" { "✓ " (self.class(label)) ", " (percent(answer.confidence)) }
                }
                Some((label, answer)) => {
                    span class="wrong" { "✗ " (self.class(answer.class)) ", " (percent(answer.confidence)) }
                    span { "labelled " (self.class(label)) }
                }
                None => (self.labelled(sample)),
            }
        })
    }

    /// What a picture is said to be.
    pub fn labelled(&self, sample: usize) -> Markup {
        let sample = self.report.samples.get(sample);
        html! {
            @match sample.and_then(|sample| sample.label) {
                Some(label) => span { "labelled " (self.class(label)) },
                None => {}
            }
        }
    }

    /// The name of a class, which may run in the other direction than the text around it.
    pub fn class(&self, class: usize) -> Markup {
        html! { bdi class="class" { (self.class_name(class)) } }
    }

    pub fn class_name(&self, class: usize) -> String {
        let name = self.report.classes.get(class);
        name.map_or_else(|| format!("class {class}"), |name| clip(name, CLASS))
    }

    pub fn name(&self, sample: usize) -> String {
        let sample = self.report.samples.get(sample);
        sample.map_or_else(String::new, |sample| clip(&sample.name, NAME))
    }

    /// The pictures themselves, to be drawn where they are used.
    pub fn store(&self) -> Markup {
        html! {
            svg class="store" width="0" height="0" aria-hidden="true" {
                @for wanted in self.shown.borrow().order.iter() {
                    @if let Some(picture) = self.pictures.get(&wanted.sample)
                        && !self.left_out.contains(&wanted.sample)
                    {
                        @let size = format!("0 0 {} {}", picture.width, picture.height);
                        symbol id={ "p" (wanted.sample) } viewBox=(size) {
                            image width=(picture.width) height=(picture.height) href=(picture.url) {}
                        }
                        @if let Some(heat) = picture.heat.as_ref().filter(|_| wanted.heat) {
                            symbol id={ "h" (wanted.sample) } viewBox=(size) {
                                image width=(picture.width) height=(picture.height) href=(heat)
                                    preserveAspectRatio="none" {}
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A path from left to right, whatever the direction of its parts.
fn path(name: &str) -> Markup {
    html! {
        span class="name" dir="ltr" {
            @for (place, part) in name.split('/').enumerate() {
                @if place > 0 { "/" }
                bdi { (part) }
            }
        }
    }
}

/// How many of all are shown, where they are not all.
pub(crate) fn of_all(shown: usize, all: usize) -> Markup {
    html! {
        @if shown < all {
            p class="cut" { "The first " (shown) " of " (all) "." }
        }
    }
}
