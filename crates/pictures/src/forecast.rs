//! What training on a folder would take, told from a few of its pictures.

use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;
use regraft::Tensor;
use regraft_images::Images;

use crate::Result;
use crate::config::Config;
use crate::extractor::Extractor;
use crate::features::fit_into_memory;
use crate::opened::opened;
use crate::speed::{Speed, factorised_bytes, solving_memory};
use crate::spent::{peak_memory, used_memory};

/// So many pictures are tried.
const TRIED: usize = 32;

/// What training would do, and take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Forecast {
    /// Files that would be looked at.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The names of the classes, and how many files each has.
    pub classes: Vec<(String, usize)>,
    /// How the backbone is found, cut and fed.
    pub backbone: Vec<String>,
    /// The number of features of a picture.
    pub features: usize,
    /// Seconds to read, decode, measure and resize a picture, on all cores.
    pub decode_seconds: f64,
    /// Seconds of the network for a picture, on all cores.
    pub network_seconds: f64,
    /// Seconds of all, if nothing is known of the pictures yet.
    pub seconds: f64,
    /// Bytes of memory at most; 0 where the system does not tell how much there is in use.
    pub memory: u64,
    /// Bytes that are kept on disk.
    pub disk: u64,
}

/// Tells what [`Train`](crate::Train) would take with these settings. Nothing is kept or written.
///
/// # Errors
/// A folder that is none of pictures, and what is no backbone.
pub fn forecast(config: &Config) -> Result<Forecast> {
    let images = opened(&config.photos)?;
    let extractor = Extractor::open(config)?;
    let images = images.resize(config.resize(extractor.size)?);
    let count = images.paths().len();
    let bytes: u64 = images
        .paths()
        .par_iter()
        .map(|path| path.metadata().map_or(0, |metadata| metadata.len()))
        .sum();
    let (before, speed) = (used_memory(), Speed::measure());
    let (decode_seconds, network_seconds) = per_picture(&images, &extractor)?;
    let mut classes: Vec<(String, usize)> = images
        .classes()
        .iter()
        .map(|name| (name.clone(), 0))
        .collect();
    images
        .labels()
        .iter()
        .for_each(|label| classes[*label as usize].1 += 1);
    let (width, kinds) = (extractor.width(), classes.len());
    let each = decode_seconds + network_seconds;
    let features = 4 * (count * width) as u64;
    let solving = before.map(|before| before + solving_memory(count, width, kinds));
    let in_memory = match fit_into_memory(count, width) {
        true => features,
        false => 0,
    };
    Ok(Forecast {
        files: count,
        bytes,
        features: width,
        decode_seconds,
        network_seconds,
        seconds: speed.scan(count, bytes)
            + each * count as f64
            + speed.check(count)
            + speed.solve(count, width, kinds)
            + speed.write(count, each),
        memory: solving
            .max(peak_memory().map(|peak| peak + in_memory))
            .unwrap_or(0),
        disk: features + 500 * count as u64 + factorised_bytes(count, width),
        classes,
        backbone: extractor.told,
    })
}

/// Seconds to decode a picture, and of the network for it, on all cores: of a few of them.
pub(crate) fn per_picture(images: &Images, extractor: &Extractor) -> Result<(f64, f64)> {
    let count = images.paths().len();
    let step = count.div_ceil(TRIED).max(1);
    let some: Vec<usize> = (0..count).step_by(step).collect();
    let [rows, columns] = extractor.size;
    let began = Instant::now();
    let mut pixels = Vec::new();
    let mut readable = 0;
    images.keep(&some).scan_pictures(0, |_, picture| {
        if let Some(picture) = picture {
            readable += 1;
            pixels.extend(picture.pixels().iter().map(|level| f32::from(*level)));
        }
        ControlFlow::Continue(())
    })?;
    let decoding = began.elapsed().as_secs_f64() / some.len().max(1) as f64;
    if readable == 0 {
        return Ok((decoding, 0.0));
    }
    let batch = Tensor::new([readable, rows, columns, 3], pixels).expect("pictures of one size");
    let predictor = extractor.model.predictor()?;
    // The first time makes the buffers.
    predictor.predict(&batch)?;
    let began = Instant::now();
    predictor.predict(&batch)?;
    Ok((decoding, began.elapsed().as_secs_f64() / readable as f64))
}
