//! One pass over the pictures: what is in them, what was measured of them, and their features, each only where it is
//! not known yet.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use regraft::Tensor;
use regraft::data::Dataset;
use regraft_features::{FeatureStore, Namespace};
use regraft_images::{Images, Inspection, Picture};
use regraft_tensor::Detail;

use crate::extractor::Extractor;
use crate::features::{self, Features, fit_into_memory};
use crate::inspections::Known;
use crate::kept::Kept;
use crate::observer::{Observer, Stage};
use crate::speed::{Speed, solving_memory};
use crate::spent::{Spent, peak_memory, used_memory};
use crate::stamps::{Stamp, stamp};
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
    pub features: Features,
    /// Names and reasons of the others.
    pub unreadable: Vec<(String, String)>,
    /// How many were decoded, because something of them was not known yet.
    pub decoded: usize,
    /// What that has taken, and what was predicted of the whole run.
    pub spent: Spent,
}

/// Looks at all pictures.
pub(crate) fn survey(
    images: &Images,
    extractor: Option<&Extractor>,
    kept: &mut Kept,
    observer: &mut dyn Observer,
) -> Result<Survey> {
    let width = extractor.map_or(0, Extractor::width);
    if !fit_into_memory(images.paths().len(), width) {
        match look(images, extractor, kept, false, observer) {
            // Where they cannot be kept there is memory: what was kept is not computed again.
            Err(Error::Features(error)) => kept.features.note(error.to_string()),
            result => return result,
        }
    }
    look(images, extractor, kept, true, observer)
}

/// Looks at all pictures. Features are in memory too, or only where they are kept.
fn look(
    images: &Images,
    extractor: Option<&Extractor>,
    kept: &mut Kept,
    in_memory: bool,
    observer: &mut dyn Observer,
) -> Result<Survey> {
    let mut unreadable: Vec<Option<String>> = vec![None; images.paths().len()];
    let mut spent = Spent::begin();
    let (before, speed) = (used_memory(), Speed::measure());
    let began = Instant::now();
    let contents = hashed(images, kept, &mut unreadable, speed, &mut spent, observer)?;
    spent.add(Stage::Scan, began);
    let began = Instant::now();
    let Kept {
        inspections,
        features,
        ..
    } = kept;
    let features = &*features;
    let mut rows = Rows::new(images, extractor, features, &contents, in_memory)?;
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
    // The rest of a run, if a picture takes so long.
    let (count, width, classes) = (contents.len(), rows.width, images.classes().len());
    let predict = |spent: &mut Spent, each: f64| {
        spent.predict(Stage::Features, each * new.len() as f64);
        spent.predict(Stage::Check, speed.check(count));
        spent.predict(Stage::Solve, speed.solve(count, width, classes));
        spent.predict(Stage::Write, speed.write(count, each));
        let features = 4 * (count * width) as u64;
        let solving = before.map(|before| before + solving_memory(count, width, classes));
        let in_memory = if in_memory { features } else { 0 };
        let now = peak_memory().map(|peak| peak + in_memory);
        spent.predicted_memory = solving.max(now);
    };
    if new.is_empty() {
        predict(&mut spent, 0.0);
    }
    // Enough to tell, and few of all.
    let first = new.len().div_ceil(8).min(BATCH);
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
            if done == first {
                failed = failed.take().or_else(|| rows.compute().err());
                predict(&mut spent, began.elapsed().as_secs_f64() / done as f64);
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
        // Not kept, they are measured again the next time.
        if let Err(error) = inspections.add(found) {
            features.note(error.to_string());
        }
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
    spent.add(Stage::Features, began);
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
        spent,
    })
}

/// The hash of what is in each file, and why not. What has not changed since it was hashed is not read.
fn hashed(
    images: &Images,
    kept: &mut Kept,
    unreadable: &mut [Option<String>],
    speed: Speed,
    spent: &mut Spent,
    observer: &mut dyn Observer,
) -> Result<Vec<Option<[u8; 32]>>> {
    let count = images.paths().len();
    observer.begin(Stage::Scan, count);
    // Before they are read: what is written meanwhile is told by a later time.
    let states: Vec<(u64, Option<Stamp>)> = images
        .paths()
        .par_iter()
        .map(|path| match path.metadata() {
            Ok(metadata) => (metadata.len(), stamp(&metadata)),
            Err(_) => (0, None),
        })
        .collect();
    let known = |stamp: Option<Stamp>| stamp.and_then(|stamp| kept.stamps.content(&stamp));
    let known: Vec<Option<[u8; 32]>> = states.iter().map(|(_, stamp)| known(*stamp)).collect();
    let unknown = states
        .iter()
        .zip(&known)
        .filter(|(_, known)| known.is_none());
    let expected = unknown.map(|((length, _), _)| length).sum();
    spent.predict(Stage::Scan, speed.scan(count, expected));
    let mut contents = Vec::with_capacity(count);
    let (mut bytes, mut read) = (0, 0);
    for from in (0..count).step_by(HASHED) {
        if observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let hash = |picture: usize| {
            if let Some(content) = known[picture] {
                images.is_known(picture, content);
                return Ok((content, None, 0));
            }
            let (file, content) = images.read_hashed(picture)?;
            Ok((content, states[picture].1, file.len()))
        };
        let range = from..(from + HASHED).min(count);
        let found: Vec<regraft_images::Result<_>> = range.into_par_iter().map(hash).collect();
        let mut new = Vec::new();
        for result in found {
            match result {
                Ok((content, stamp, length)) => {
                    bytes += length;
                    read += usize::from(length > 0);
                    new.extend(stamp.map(|stamp| (stamp, content)));
                    contents.push(Some(content));
                }
                Err(error) => {
                    unreadable[contents.len()] = Some(reason(&error));
                    contents.push(None);
                }
            }
        }
        // Not kept, they are read again the next time.
        if let Err(error) = kept.stamps.add(new) {
            kept.features.note(error.to_string());
        }
        observer.progress(Stage::Scan, contents.len());
    }
    let megabytes = bytes as f64 / 1e6;
    observer.end(
        Stage::Scan,
        &format!("{count} files, {read} of them read, {megabytes:.1} MB"),
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
    extractor: Option<&'a Extractor>,
    /// Made for the first picture that goes through it.
    predictor: Option<regraft::Predictor>,
    kept: Option<Namespace<'a>>,
    keys: Vec<[u8; 32]>,
    /// A row for each picture, if they are in memory.
    rows: Vec<f32>,
    width: usize,
    /// Whether the row of a picture was found or computed.
    known: Vec<bool>,
    /// What waits to be computed.
    waiting: Vec<usize>,
    pixels: Vec<f32>,
    store: &'a Arc<FeatureStore>,
    /// The hash of the network.
    digest: [u8; 32],
}

impl<'a> Rows<'a> {
    fn new(
        images: &Images,
        extractor: Option<&'a Extractor>,
        store: &'a Arc<FeatureStore>,
        contents: &[Option<[u8; 32]>],
        in_memory: bool,
    ) -> Result<Self> {
        let mut all = Rows {
            extractor: None,
            predictor: None,
            kept: None,
            keys: vec![[0; 32]; contents.len()],
            rows: Vec::new(),
            width: 0,
            known: vec![false; contents.len()],
            waiting: Vec::new(),
            pixels: Vec::new(),
            store,
            digest: [0; 32],
        };
        let Some(extractor) = extractor else {
            return Ok(all);
        };
        // The hash of the file, of how it is decoded and resized; of what cannot be read there is none.
        let key = |(picture, content): (usize, &Option<[u8; 32]>)| match content {
            None => Ok([0; 32]),
            Some(_) => Ok(images.content(picture)?.expect("a picture has a content")),
        };
        let keys = contents.par_iter().enumerate().map(key);
        all.keys = keys.collect::<Result<_, Detail>>().map_err(Error::File)?;
        all.width = extractor.width();
        all.digest = extractor.digest();
        let kept = store.namespace(&all.digest, &[vec![all.width]])?;
        let keys = all.keys.par_iter();
        all.known = match in_memory {
            true => {
                all.rows = vec![0.0; contents.len() * all.width];
                let rows = all.rows.par_chunks_exact_mut(all.width.max(1));
                keys.zip(rows)
                    .map(|(key, row)| kept.get(key, row))
                    .collect()
            }
            // Read once, to see whether they are what was written.
            false => keys
                .map_init(|| vec![0.0; all.width], |row, key| kept.get(key, row))
                .collect(),
        };
        all.kept = Some(kept);
        all.extractor = Some(extractor);
        Ok(all)
    }

    /// Whether nothing of a picture has to be computed.
    fn has(&self, picture: usize) -> bool {
        self.extractor.is_none() || self.known[picture]
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
        let (Some(extractor), false) = (self.extractor, self.waiting.is_empty()) else {
            return Ok(());
        };
        let predictor = match self.predictor.take() {
            Some(predictor) => predictor,
            None => extractor.model.predictor()?,
        };
        let [rows, columns] = extractor.size;
        let pixels = std::mem::take(&mut self.pixels);
        let batch = Tensor::new([self.waiting.len(), rows, columns, 3], pixels)
            .map_err(|error| Error::Backbone(error.into()))?;
        let features = predictor.predict(&batch)?;
        self.predictor = Some(predictor);
        let in_memory = !self.rows.is_empty();
        for (row, picture) in features
            .as_slice()
            .chunks_exact(self.width)
            .zip(self.waiting.drain(..))
        {
            if in_memory {
                self.rows[picture * self.width..][..self.width].copy_from_slice(row);
            }
            self.known[picture] = true;
            if let Some(kept) = &mut self.kept {
                // Without a place to keep them everything goes on, and the next run computes them again.
                if let Err(error) = kept.put(&self.keys[picture], row) {
                    if !in_memory {
                        return Err(error.into());
                    }
                    self.store.note(error.to_string());
                    self.kept = None;
                }
            }
        }
        Ok(())
    }

    fn told(&self, decoded: usize) -> String {
        match self.extractor {
            None => format!("{decoded} pictures measured"),
            Some(extractor) => {
                let known = self.known.len() - decoded.min(self.known.len());
                format!("{decoded} through {}, {known} known before", extractor.name)
            }
        }
    }

    fn finish(mut self, readable: &[usize]) -> Result<Features> {
        self.compute()?;
        let in_memory = self.extractor.is_none() || !self.rows.is_empty();
        if let Some(mut kept) = self.kept.take()
            && let Err(error) = kept.flush()
        {
            if !in_memory {
                return Err(error.into());
            }
            self.store.note(error.to_string());
        }
        let (width, mut rows) = (self.width, self.rows);
        let rows = match in_memory {
            false => features::Rows::Kept(self.store.clone()),
            true => {
                // Together, without those that cannot be read.
                for (place, picture) in readable.iter().enumerate() {
                    rows.copy_within(picture * width..(picture + 1) * width, place * width);
                }
                rows.truncate(readable.len() * width);
                let rows = Tensor::new([readable.len(), width], rows);
                features::Rows::Memory(rows.map_err(|error| Error::Backbone(error.into()))?)
            }
        };
        Ok(Features {
            network: self.digest,
            keys: readable.iter().map(|picture| self.keys[*picture]).collect(),
            width,
            rows,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use regraft::Sequential;
    use regraft::layers::{Conv2D, GlobalAveragePooling2D, Input, layers};

    use super::*;
    use crate::config::Config;
    use crate::opened::opened;

    /// A folder with a network and pictures of two classes, one of which is none.
    pub(crate) fn place(folder: &Path) -> Config {
        for (class, name) in ["dark", "light"].iter().enumerate() {
            let class_folder = folder.join("photos").join(name);
            fs::create_dir_all(&class_folder).unwrap();
            for number in 0..9 {
                let pixels = (0..300).map(|at| (at * (number + 3) % 97 + class * 90) as u8);
                let picture = Picture::new(10, 10, pixels.collect()).unwrap();
                let path = class_folder.join(format!("{number}.png"));
                fs::write(path, picture.to_png().unwrap()).unwrap();
            }
        }
        fs::write(folder.join("photos/dark/4.png"), "no picture").unwrap();
        let layers = layers![
            Input::new([8, 8, 3]),
            Conv2D::new(5, 3).activation("relu"),
            GlobalAveragePooling2D::new(),
        ];
        let network = folder.join("network.keras");
        Sequential::with_seed(layers, 1)
            .unwrap()
            .save(&network)
            .unwrap();
        Config {
            photos: folder.join("photos"),
            backbone: network.display().to_string(),
            preprocessing: Some("scaled".into()),
            ..Config::default()
        }
    }

    #[test]
    fn features_are_the_same_in_memory_and_where_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = place(folder.path());
        let extractor = Extractor::open(&config).unwrap();
        let resize = config.resize(extractor.size).unwrap();
        let images = opened(&config.photos).unwrap().resize(resize);
        let look = |cache: &str, in_memory: bool| {
            let mut kept = Kept::open(&folder.path().join(cache)).unwrap();
            super::look(&images, Some(&extractor), &mut kept, in_memory, &mut ()).unwrap()
        };
        let (memory, kept, again) = (look("a", true), look("b", false), look("b", false));
        assert!(matches!(memory.features.rows, features::Rows::Memory(_)));
        assert!(matches!(kept.features.rows, features::Rows::Kept(_)));
        assert_eq!([memory.decoded, kept.decoded, again.decoded], [18, 18, 0]);
        let some = [16, 3, 8];
        let of = |survey: &Survey| survey.features.of(&some).unwrap().tensor(0, 9).unwrap();
        for other in [&kept, &again] {
            assert_eq!(other.features.keys, memory.features.keys);
            assert_eq!(other.unreadable, memory.unreadable);
            assert_eq!(of(other), of(&memory));
        }
        let first = of(&memory).as_slice()[..5].to_vec();
        assert!(first.iter().any(|value| *value > 0.0));

        // Without room they are not taken for kept.
        let mut full = Kept::open(&folder.path().join("c")).unwrap();
        let store = FeatureStore::open(folder.path().join("c")).unwrap();
        full.features = Arc::new(store.budget(1));
        let failed = super::look(&images, Some(&extractor), &mut full, false, &mut ());
        assert!(matches!(failed, Err(Error::Features(_))));
        let found = super::look(&images, Some(&extractor), &mut full, true, &mut ()).unwrap();
        assert_eq!(of(&found), of(&memory));
        assert!(full.problem().is_some());
    }
}
