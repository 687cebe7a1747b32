//! The pictures of a report, small, with what the model looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use regraft::{Model, Tensor, explain};
use regraft_images::Resize;
use regraft_report as report;
use regraft_report::{Report, Wanted};

use crate::Result;
use crate::checked;
use crate::extractor::HEAD;
use crate::hex::hex;
use crate::set::Set;

/// The longer side of a picture on the page.
const SIDE: usize = 160;

/// How its JPEG is written.
const QUALITY: u8 = 80;

/// Changes when the same model gives other maps.
const VERSION: u32 = 1;

/// The most pictures over which is drawn what the model looked at.
const MOST_HEAT: usize = 48;

/// The pictures that a report shows. They are kept from run to run; so are the maps, if the model is the network and a
/// head.
pub(crate) fn pictures(
    report: &Report,
    set: &Set,
    model: &Model,
    stretched: bool,
    keep_maps: bool,
    cache: &Path,
) -> Result<BTreeMap<usize, report::Picture>> {
    let wanted = report.wanted();
    let folder = cache.join("small-pictures");
    let small = |wanted: &Wanted| {
        let found = thumbnail(set, wanted.sample, &folder)?;
        Some((wanted.sample, found))
    };
    let mut pictures: BTreeMap<usize, report::Picture> =
        wanted.par_iter().filter_map(small).collect();
    // What was cropped or padded is not where the map says.
    if stretched {
        let folder = keep_maps.then(|| cache.join("heat-maps"));
        heat(
            report,
            &wanted,
            set,
            model,
            folder.as_deref(),
            &mut pictures,
        )?;
    }
    Ok(pictures)
}

/// A small picture: as it was kept, or made anew. `None` of a file that has gone meanwhile.
fn thumbnail(set: &Set, picture: usize, folder: &Path) -> Option<report::Picture> {
    let inspection = &set.inspections[picture];
    let longer = inspection.width.max(inspection.height).max(1);
    let scaled = |side: usize| (side * SIDE.min(longer)).div_ceil(longer).max(1);
    let (width, height) = (scaled(inspection.width), scaled(inspection.height));
    let hash = hex(&inspection.content);
    let path = folder.join(&hash[..2]).join(format!("{hash}-{SIDE}.jpg"));
    let show = |bytes: &[u8]| report::Picture::new(width as u32, height as u32, bytes).ok();
    // A file that was cut has no end.
    let kept = fs::read(&path)
        .ok()
        .filter(|bytes| bytes.ends_with(&[0xff, 0xd9]));
    if let Some(found) = kept.and_then(|bytes| show(&bytes)) {
        return Some(found);
    }
    let resized = set
        .images
        .load(picture)
        .ok()?
        .resize(&Resize::new([height, width]))
        .ok()?;
    let bytes = resized.to_jpeg(QUALITY).ok()?;
    // That it cannot be kept costs the next run time, and nothing else.
    if let Some(parent) = path
        .parent()
        .filter(|parent| fs::create_dir_all(parent).is_ok())
    {
        let temporary = parent.join(format!("{hash}-{}.tmp", std::process::id()));
        let _ = fs::write(&temporary, &bytes).and_then(|()| fs::rename(&temporary, &path));
    }
    show(&bytes)
}

/// Draws over pictures what the model looked at when it answered.
fn heat(
    report: &Report,
    wanted: &[Wanted],
    set: &Set,
    model: &Model,
    kept: Option<&Path>,
    pictures: &mut BTreeMap<usize, report::Picture>,
) -> Result<()> {
    let answered = |wanted: &Wanted| Some((wanted.sample, report.samples[wanted.sample].answer?));
    let shown: Vec<(usize, usize)> = wanted
        .iter()
        .filter(|wanted| wanted.heat)
        .take(MOST_HEAT)
        .filter_map(answered)
        .map(|(picture, answer)| (picture, answer.class))
        .collect();
    let path = kept.map(|folder| folder.join(maps_of(set, model, &shown)));
    let maps = path
        .as_deref()
        .and_then(checked::read)
        .and_then(|bytes| Maps::from_bytes(&bytes, &shown));
    let maps = match maps {
        Some(maps) => maps,
        None => {
            let Some(maps) = Maps::new(set, model, &shown) else {
                return Ok(());
            };
            if let Some(path) = path.filter(|_| maps.shown.len() == shown.len()) {
                // That they cannot be kept costs the next run time, and nothing else.
                let _ = checked::keep(&path, |to| to.write_all(&maps.to_bytes()));
            }
            maps
        }
    };
    for (picture, map) in maps.shown.iter().zip(maps.values.chunks_exact(maps.cells)) {
        if let Some(found) = pictures.remove(picture) {
            let with_heat = found.clone().heat(maps.width, map);
            pictures.insert(*picture, with_heat.unwrap_or(found));
        }
    }
    Ok(())
}

/// The name of a file with the maps of these pictures and classes.
fn maps_of(set: &Set, model: &Model, shown: &[(usize, usize)]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&set.features.network);
    let head = model.weights();
    for weight in head.iter().filter(|weight| weight.path().starts_with(HEAD)) {
        let values = weight.value();
        for value in values.as_slice() {
            hasher.update(&value.to_le_bytes());
        }
    }
    for (picture, class) in shown {
        hasher.update(&set.features.keys[*picture]);
        hasher.update(&(*class as u64).to_le_bytes());
    }
    format!("{}.{VERSION}", hasher.finalize())
}

/// What the model looked at, a map of each picture.
struct Maps {
    shown: Vec<usize>,
    values: Vec<f32>,
    /// Of a row.
    width: usize,
    /// Of a map.
    cells: usize,
}

impl Maps {
    /// `None` of a network without a map of features, and if no picture can be read any more.
    fn new(set: &Set, model: &Model, shown: &[(usize, usize)]) -> Option<Self> {
        let [rows, columns] = set.images.size().size();
        let load = |(picture, class): &(usize, usize)| -> Option<(usize, usize, Vec<f32>)> {
            let picture_of = set.images.load(*picture).ok()?;
            let pixels = picture_of.resize(set.images.size()).ok()?.into_pixels();
            Some((
                *picture,
                *class,
                pixels.into_iter().map(f32::from).collect(),
            ))
        };
        let loaded: Vec<(usize, usize, Vec<f32>)> = shown.par_iter().filter_map(load).collect();
        if loaded.is_empty() {
            return None;
        }
        let classes: Vec<usize> = loaded.iter().map(|(_, class, _)| *class).collect();
        let pixels = loaded.iter().flat_map(|(_, _, pixels)| pixels);
        let pixels = pixels.copied().collect();
        let batch = Tensor::new([loaded.len(), rows, columns, 3], pixels);
        let batch = batch.expect("pictures of one size");
        let maps = explain::grad_cam(model, &batch, &classes, None).ok()?;
        let &[_, height, width] = maps.shape() else {
            return None;
        };
        Some(Maps {
            shown: loaded.iter().map(|(picture, _, _)| *picture).collect(),
            values: maps.as_slice().to_vec(),
            width,
            cells: height * width,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let sizes = [self.width, self.cells].map(|size| size as u32);
        let sizes = sizes.into_iter().flat_map(u32::to_le_bytes);
        let values = self.values.iter().flat_map(|value| value.to_le_bytes());
        sizes.chain(values).collect()
    }

    fn from_bytes(bytes: &[u8], shown: &[(usize, usize)]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let ([width, cells], values) = words.split_first_chunk()?;
        let [width, cells] = [width, cells].map(|word| u32::from_le_bytes(*word) as usize);
        let is_whole = width > 0 && cells > 0 && cells.checked_mul(shown.len())? == values.len();
        is_whole.then(|| Maps {
            shown: shown.iter().map(|(picture, _)| *picture).collect(),
            values: values
                .iter()
                .map(|word| f32::from_le_bytes(*word))
                .collect(),
            width,
            cells,
        })
    }
}
