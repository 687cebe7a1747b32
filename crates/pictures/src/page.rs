//! The pictures of a report, small, with what the model looked at.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use regraft::{Model, Tensor};
use regraft_features::FeatureStore;
use regraft_images::{Picture, Resize};
use regraft_report as report;
use regraft_report::{Report, Wanted};

use crate::checked::{Folder, Key};
use crate::extractor::Extractor;
use crate::maps::LookedAt;
use crate::set::Set;

/// The longer side of a picture on the page.
const SIDE: usize = 160;

/// How its JPEG is written.
const QUALITY: u8 = 80;

/// Changes when the same picture is written to other bytes.
const VERSION: u32 = 1;

/// Bytes of the small pictures that are kept: of some 30,000.
const BUDGET: u64 = 256 << 20;

/// The most pictures over which is drawn what the model looked at.
const MOST_HEAT: usize = 48;

/// What the pictures of a report are made of.
pub(crate) struct Page<'a> {
    pub report: &'a Report,
    pub set: &'a Set,
    pub extractor: &'a Extractor,
    pub model: &'a Model,
    /// The kernel of the head, if the model is the network and this head.
    pub kernel: Option<&'a Tensor>,
    /// Whether a map covers the whole picture: what was cropped or padded is not where the map says.
    pub stretched: bool,
    pub store: &'a FeatureStore,
    pub cache: &'a Path,
}

/// What is made of a picture.
struct Made {
    picture: usize,
    /// `None` of a file that has gone meanwhile.
    small: Option<report::Picture>,
    /// As the network sees it, if it has to.
    pixels: Option<Vec<u8>>,
}

impl Page<'_> {
    /// The pictures that the report shows. They are kept from run to run, and so is what maps are made of.
    pub fn pictures(&self) -> BTreeMap<usize, report::Picture> {
        let wanted = self.report.wanted();
        let shown = match self.stretched {
            true => self.with_heat(&wanted),
            false => Vec::new(),
        };
        let looked_at = LookedAt::new(
            self.set,
            &shown,
            self.extractor,
            self.kernel,
            self.model,
            self.store,
            self.cache,
        );
        let make = |wanted: &Wanted| self.make(wanted.sample, looked_at.needs(wanted.sample));
        // One reads and decodes while another makes the network ready.
        let (made, ()) = rayon::join(
            || wanted.par_iter().map(make).collect::<Vec<Made>>(),
            || looked_at.prepare(),
        );
        let (mut pictures, mut pixels) = (BTreeMap::new(), BTreeMap::new());
        for made in made {
            pictures.extend(made.small.map(|small| (made.picture, small)));
            pixels.extend(made.pixels.map(|pixels| (made.picture, pixels)));
        }
        let maps = looked_at.maps(&pixels);
        for (picture, map) in &maps.of {
            if let Some(found) = pictures.remove(picture) {
                let with_heat = found.clone().heat(maps.columns, map);
                pictures.insert(*picture, with_heat.unwrap_or(found));
            }
        }
        pictures
    }

    /// The pictures over which is drawn what the model looked at, and their answers.
    fn with_heat(&self, wanted: &[Wanted]) -> Vec<(usize, usize)> {
        let answered = |wanted: &Wanted| {
            let answer = self.report.samples[wanted.sample].answer?;
            Some((wanted.sample, answer.class))
        };
        let shown = wanted.iter().filter(|wanted| wanted.heat);
        shown.take(MOST_HEAT).filter_map(answered).collect()
    }

    /// A small picture, as it was kept or made anew, and what the network sees, both of a file that is decoded once.
    fn make(&self, picture: usize, needs_pixels: bool) -> Made {
        let (kept, key) = self.kept(picture);
        let (width, height) = self.small_size(picture);
        let show = |bytes: &[u8]| report::Picture::new(width as u32, height as u32, bytes).ok();
        let mut made = Made {
            picture,
            small: kept.read(&key, "jpg").and_then(|bytes| show(&bytes)),
            pixels: None,
        };
        if made.small.is_some() && !needs_pixels {
            return made;
        }
        let Ok(whole) = self.set.images.load(picture) else {
            return made;
        };
        if needs_pixels {
            let seen = whole.resize(self.set.images.size());
            made.pixels = seen.ok().map(Picture::into_pixels);
        }
        if made.small.is_none() {
            let small = whole.resize(&Resize::new([height, width]));
            let bytes = small.and_then(|small| small.to_jpeg(QUALITY));
            if let Ok(bytes) = bytes {
                // That it cannot be kept costs the next run time, and nothing else.
                let _ = kept.keep(&key, "jpg", |to| to.write_all(&bytes));
                made.small = show(&bytes);
            }
        }
        made
    }

    /// Where a small picture is kept, by what is in the file: in one of many folders, since room is made in one.
    fn kept(&self, picture: usize) -> (Folder, Key) {
        const FOLDERS: u64 = 256;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("small picture {SIDE} {QUALITY} {VERSION}").as_bytes());
        hasher.update(&self.set.inspections[picture].content);
        let key: Key = hasher.finalize().into();
        let name = format!("{:02x}", key[0]);
        let path = self.cache.join("small-pictures").join(name);
        (Folder::new(path).budget(BUDGET / FOLDERS), key)
    }

    /// Width and height of a small picture.
    fn small_size(&self, picture: usize) -> (usize, usize) {
        let inspection = &self.set.inspections[picture];
        let longer = inspection.width.max(inspection.height).max(1);
        let scaled = |side: usize| (side * SIDE.min(longer)).div_ceil(longer).max(1);
        (scaled(inspection.width), scaled(inspection.height))
    }
}
