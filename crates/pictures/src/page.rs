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
use crate::hex::hex;
use crate::set::Set;

/// The longer side of a picture on the page.
const SIDE: usize = 160;

/// How its JPEG is written.
const QUALITY: u8 = 80;

/// The most pictures over which is drawn what the model looked at.
const MOST_HEAT: usize = 48;

/// The pictures that a report shows. They are kept from run to run.
pub(crate) fn pictures(
    report: &Report,
    set: &Set,
    model: &Model,
    stretched: bool,
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
        heat(report, &wanted, set, model, &mut pictures)?;
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
    pictures: &mut BTreeMap<usize, report::Picture>,
) -> Result<()> {
    let shown: Vec<usize> = wanted
        .iter()
        .filter(|wanted| wanted.heat)
        .map(|wanted| wanted.sample)
        .take(MOST_HEAT)
        .collect();
    let [rows, columns] = set.images.size().size();
    let load = |picture: &usize| -> Option<(usize, usize, Vec<f32>)> {
        let class = report.samples[*picture].answer?.class;
        let pixels = set
            .images
            .load(*picture)
            .ok()?
            .resize(set.images.size())
            .ok()?
            .into_pixels();
        Some((*picture, class, pixels.into_iter().map(f32::from).collect()))
    };
    let loaded: Vec<(usize, usize, Vec<f32>)> = shown.par_iter().filter_map(load).collect();
    if loaded.is_empty() {
        return Ok(());
    }
    let classes: Vec<usize> = loaded.iter().map(|(_, class, _)| *class).collect();
    let pixels: Vec<f32> = loaded
        .iter()
        .flat_map(|(_, _, pixels)| pixels.iter().copied())
        .collect();
    let batch =
        Tensor::new([loaded.len(), rows, columns, 3], pixels).expect("pictures of one size");
    // A network without a map of features has none.
    let Ok(maps) = explain::grad_cam(model, &batch, &classes, None) else {
        return Ok(());
    };
    let &[_, height, width] = maps.shape() else {
        return Ok(());
    };
    for ((picture, _, _), map) in loaded
        .iter()
        .zip(maps.as_slice().chunks_exact(height * width))
    {
        if let Some(found) = pictures.remove(picture) {
            let with_heat = found.clone().heat(width, map);
            pictures.insert(*picture, with_heat.unwrap_or(found));
        }
    }
    Ok(())
}
