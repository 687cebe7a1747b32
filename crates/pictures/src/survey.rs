//! One pass over the pictures: what is in them, what was measured of them, and their features, each only where it is
//! not known yet.

use std::ops::ControlFlow;

use rayon::prelude::*;
use regraft::Tensor;
use regraft::data::Dataset;
use regraft_features::{FeatureStore, Namespace};
use regraft_images::{Images, Inspection, Picture};
use regraft_tensor::Detail;

use crate::extractor::Extractor;
use crate::inspections::Known;
use crate::kept::Kept;
use crate::observer::{Observer, Stage};
use crate::{Error, Result};

/// So many pictures go through the network at a time.
const BATCH: usize = 64;

/// So many are decoded before what was measured of them is kept: the most that a killed run has to do again.
const PORTION: usize = 512;

/// So many files are hashed between two questions whether to stop.
const HASHED: usize = 1024;

/// Pictures with what was found out about each.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Those that can be read.
    pub images: Images,
    pub inspections: Vec<Inspection>,
    /// A row for each; no columns without a backbone.
    pub features: Tensor,
    /// Names and reasons of the others.
    pub unreadable: Vec<(String, String)>,
    /// How many were decoded, because something of them was not known yet.
    pub decoded: usize,
}

/// Looks at all pictures.
pub(crate) fn survey(
    images: &Images,
    extractor: Option<&Extractor>,
    kept: &mut Kept,
    observer: &mut dyn Observer,
) -> Result<Survey> {
    let mut unreadable: Vec<Option<String>> = vec![None; images.paths().len()];
    let contents = hashed(images, &mut unreadable, observer)?;
    let Kept {
        inspections,
        features,
    } = kept;
    let mut rows = Rows::new(images, extractor, features, &contents)?;
    for (picture, content) in contents.iter().enumerate() {
        if let Some(Known::Unreadable(reason)) = content
            .as_ref()
            .and_then(|content| inspections.get(content))
        {
            unreadable[picture] = Some(reason.clone());
        }
    }
    let is_new = |picture: &usize| {
        let content = contents[*picture].as_ref();
        unreadable[*picture].is_none()
            && content
                .is_some_and(|content| inspections.get(content).is_none() || !rows.has(*picture))
    };
    let new: Vec<usize> = (0..contents.len()).filter(is_new).collect();
    observer.begin(Stage::Features, new.len());
    let mut done = 0;
    for portion in new.chunks(PORTION) {
        let part = images.keep(portion);
        let mut failed = None;
        let scan = part.scan_pictures(0, |number, picture| {
            done += 1;
            observer.progress(Stage::Features, done);
            if observer.is_cancelled() {
                failed = Some(Error::Cancelled);
            } else if let Some(picture) = picture {
                failed = rows.push(portion[number], &picture).err();
            }
            match failed {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(scan) = scan else {
            return Err(Error::Cancelled);
        };
        rows.compute()?;
        let mut found = Vec::new();
        for inspection in scan.inspections {
            found.push((inspection.content, Known::Picture(Box::new(inspection))));
        }
        for file in scan.unreadable {
            let picture = portion[file.picture];
            let reason = reason(&file.reason);
            // Of what has changed meanwhile nothing is known.
            let changed = matches!(
                file.reason,
                regraft_images::Error::Changed(_) | regraft_images::Error::File(_)
            );
            if let (Some(content), false) = (contents[picture], changed) {
                found.push((content, Known::Unreadable(reason.clone())));
            }
            unreadable[picture] = Some(reason);
        }
        inspections.add(found)?;
    }
    let decoded = new.len();
    observer.end(Stage::Features, &rows.told(decoded));
    let readable: Vec<usize> = (0..contents.len())
        .filter(|picture| unreadable[*picture].is_none())
        .collect();
    let features = rows.finish(&readable)?;
    let inspection = |picture: &usize| match contents[*picture]
        .as_ref()
        .and_then(|it| inspections.get(it))
    {
        Some(Known::Picture(inspection)) => (**inspection).clone(),
        _ => unreachable!("what can be read was measured"),
    };
    let inspections = readable.iter().map(inspection).collect();
    let named = |(picture, reason): (usize, Option<String>)| {
        reason.map(|reason| (images.name(picture), reason))
    };
    let unreadable = unreadable
        .into_iter()
        .enumerate()
        .filter_map(named)
        .collect();
    Ok(Survey {
        images: images.keep(&readable),
        inspections,
        features,
        unreadable,
        decoded,
    })
}

/// The hash of what is in each file, and why not.
fn hashed(
    images: &Images,
    unreadable: &mut [Option<String>],
    observer: &mut dyn Observer,
) -> Result<Vec<Option<[u8; 32]>>> {
    let count = images.paths().len();
    observer.begin(Stage::Scan, count);
    let mut contents = Vec::with_capacity(count);
    let mut bytes = 0;
    for from in (0..count).step_by(HASHED) {
        if observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let hash = |picture: usize| {
            images
                .read(picture)
                .map(|file| (*blake3::hash(&file).as_bytes(), file.len()))
        };
        let range = from..(from + HASHED).min(count);
        let found: Vec<_> = range.into_par_iter().map(hash).collect();
        for result in found {
            match result {
                Ok((content, length)) => {
                    bytes += length;
                    contents.push(Some(content));
                }
                Err(error) => {
                    unreadable[contents.len()] = Some(reason(&error));
                    contents.push(None);
                }
            }
        }
        observer.progress(Stage::Scan, contents.len());
    }
    observer.end(
        Stage::Scan,
        &format!("{count} files, {:.1} MB", bytes as f64 / 1e6),
    );
    Ok(contents)
}

/// Why a file cannot be read, without its path.
pub(crate) fn reason(error: &regraft_images::Error) -> String {
    let detail = error.detail();
    let pathless = Detail {
        at: String::new(),
        help: String::new(),
        ..detail.clone()
    };
    let text = error.to_string();
    let kind = text.split(':').next().unwrap_or_default();
    format!("{kind}: {pathless}")
}

/// The features: those that are kept, and those that are computed.
struct Rows<'a> {
    network: Option<(&'a Extractor, regraft::Predictor)>,
    kept: Option<Namespace<'a>>,
    keys: Vec<[u8; 32]>,
    /// What was found or computed, by picture; empty if it is not known.
    rows: Vec<Vec<f32>>,
    /// What waits to be computed.
    waiting: Vec<usize>,
    pixels: Vec<f32>,
    store: &'a FeatureStore,
}

impl<'a> Rows<'a> {
    fn new(
        images: &Images,
        extractor: Option<&'a Extractor>,
        store: &'a FeatureStore,
        contents: &[Option<[u8; 32]>],
    ) -> Result<Self> {
        // The hash of the file, of how it is decoded and resized; of what cannot be read there is none.
        let key = |(picture, content): (usize, &Option<[u8; 32]>)| match content {
            None => Ok([0; 32]),
            Some(_) => Ok(images.content(picture)?.expect("a picture has a content")),
        };
        let keys: Vec<[u8; 32]> = contents
            .iter()
            .enumerate()
            .map(key)
            .collect::<Result<_, Detail>>()
            .map_err(Error::File)?;
        let mut rows = vec![Vec::new(); contents.len()];
        let (network, kept) = match extractor {
            None => (None, None),
            Some(extractor) => {
                let kept = store.namespace(&extractor.digest(), &[vec![extractor.width()]])?;
                for (key, row) in keys.iter().zip(&mut rows) {
                    let mut found = vec![0.0; extractor.width()];
                    if kept.get(key, &mut found) {
                        *row = found;
                    }
                }
                (Some((extractor, extractor.model.predictor()?)), Some(kept))
            }
        };
        Ok(Rows {
            network,
            kept,
            keys,
            rows,
            waiting: Vec::new(),
            pixels: Vec::new(),
            store,
        })
    }

    /// Whether nothing of a picture has to be computed.
    fn has(&self, picture: usize) -> bool {
        self.network.is_none() || !self.rows[picture].is_empty()
    }

    fn push(&mut self, number: usize, picture: &Picture) -> Result<()> {
        if self.has(number) {
            return Ok(());
        }
        self.waiting.push(number);
        self.pixels
            .extend(picture.pixels().iter().map(|level| f32::from(*level)));
        match self.waiting.len() < BATCH {
            true => Ok(()),
            false => self.compute(),
        }
    }

    /// Computes what waits.
    fn compute(&mut self) -> Result<()> {
        let (Some((extractor, predictor)), false) = (&self.network, self.waiting.is_empty()) else {
            return Ok(());
        };
        let [rows, columns] = extractor.size;
        let pixels = std::mem::take(&mut self.pixels);
        let batch = Tensor::new([self.waiting.len(), rows, columns, 3], pixels)
            .map_err(|error| Error::Backbone(error.into()))?;
        let features = predictor.predict(&batch)?;
        for (row, picture) in features
            .as_slice()
            .chunks_exact(extractor.width())
            .zip(self.waiting.drain(..))
        {
            self.rows[picture] = row.to_vec();
            if let Some(kept) = &mut self.kept {
                // Without a place to keep them everything goes on, and the next run computes them again.
                if let Err(error) = kept.put(&self.keys[picture], row) {
                    self.store.note(error.to_string());
                    self.kept = None;
                }
            }
        }
        Ok(())
    }

    fn told(&self, decoded: usize) -> String {
        match &self.network {
            None => format!("{decoded} pictures measured"),
            Some((extractor, _)) => {
                let known = self.rows.len() - decoded.min(self.rows.len());
                format!("{decoded} through {}, {known} known before", extractor.name)
            }
        }
    }

    fn finish(mut self, readable: &[usize]) -> Result<Tensor> {
        self.compute()?;
        if let Some(mut kept) = self.kept.take()
            && let Err(error) = kept.flush()
        {
            self.store.note(error.to_string());
        }
        let width = self
            .network
            .as_ref()
            .map_or(0, |(extractor, _)| extractor.width());
        let rows: Vec<f32> = readable
            .iter()
            .flat_map(|picture| std::mem::take(&mut self.rows[*picture]))
            .collect();
        Tensor::new([readable.len(), width], rows).map_err(|error| Error::Backbone(error.into()))
    }
}
