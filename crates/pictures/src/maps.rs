//! What the model looked at when it answered: a map of each picture.
//!
//! Of a network that ends with a mean over the places of a picture, a map follows from what the mean is taken of: a class
//! is given by scores that add up over the places (Zhou et al. 2016; it is Grad-CAM there). What the mean is taken of does
//! not depend on the head, and is kept for each picture, so that another head needs the network for no picture that was
//! shown before. Of other networks the maps are computed by gradients, and kept together.

use std::collections::BTreeMap;
use std::path::Path;

use regraft::{Model, Tensor, explain};
use regraft_features::{FeatureStore, Namespace};

use crate::checked::{Folder, Key};
use crate::extractor::{Extractor, HEAD};
use crate::set::Set;

/// Changes when the same model gives other maps.
const VERSION: &str = "map-2";

/// The pooling that is a mean.
const MEAN: &str = "GlobalAveragePooling2D";

/// Maps by the numbers of their pictures.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub of: BTreeMap<usize, Vec<f32>>,
    /// Of a row of a map.
    pub columns: usize,
}

/// What maps are made of, and what of it is there already.
pub(crate) struct LookedAt<'a> {
    set: &'a Set,
    /// Pictures, with the class that each was answered with.
    shown: &'a [(usize, usize)],
    way: Way<'a>,
}

enum Way<'a> {
    Mean(Box<Mean<'a>>),
    Gradients {
        model: &'a Model,
        /// Where they are kept, if the model is the network and a head.
        kept: Option<(Folder, Key)>,
        found: Option<Maps>,
    },
}

/// What a mean over the places is taken of.
struct Mean<'a> {
    /// From pixels to that.
    network: Model,
    /// Rows, columns, channels.
    shape: [usize; 3],
    kept: Namespace<'a>,
    rows: BTreeMap<usize, Vec<f32>>,
    /// Weights of the head, of each channel for each class.
    kernel: &'a Tensor,
}

impl<'a> LookedAt<'a> {
    /// For these pictures and classes. `kernel` is that of the head, if the model is the network and this head.
    pub fn new(
        set: &'a Set,
        shown: &'a [(usize, usize)],
        extractor: &Extractor,
        kernel: Option<&'a Tensor>,
        model: &'a Model,
        store: &'a FeatureStore,
        cache: &Path,
    ) -> Self {
        let mean = kernel.and_then(|kernel| Mean::new(set, shown, extractor, kernel, store));
        let way = match mean {
            Some(mean) => Way::Mean(Box::new(mean)),
            None => {
                let kept = kernel.map(|_| {
                    let folder = Folder::new(cache.join("heat-maps"));
                    (folder, key(set, model, shown))
                });
                let bytes = kept
                    .as_ref()
                    .and_then(|(folder, key)| folder.read(key, VERSION));
                Way::Gradients {
                    model,
                    kept,
                    found: bytes.and_then(|bytes| Maps::from_bytes(&bytes, shown)),
                }
            }
        };
        LookedAt { set, shown, way }
    }

    /// Whether a picture has to go through the network.
    pub fn needs(&self, picture: usize) -> bool {
        let is_there = match &self.way {
            Way::Mean(mean) => mean.rows.contains_key(&picture),
            Way::Gradients { found, .. } => found.is_some(),
        };
        !is_there && self.shown.iter().any(|(shown, _)| *shown == picture)
    }

    /// Makes the network ready for the pictures that need it.
    pub fn prepare(&self) {
        if let Way::Mean(mean) = &self.way
            && self.shown.iter().any(|(picture, _)| self.needs(*picture))
        {
            // Whether it can be is told where it is used.
            let _ = mean.network.predictor();
        }
    }

    /// The maps, given the pictures that need the network as it sees them. None of a network without a map of features.
    pub fn maps(self, pixels: &BTreeMap<usize, Vec<u8>>) -> Maps {
        let LookedAt { set, shown, way } = self;
        let answered = |(picture, class): &(usize, usize)| {
            let seen = pixels.get(picture)?;
            Some((*picture, *class, seen))
        };
        let new: Vec<(usize, usize, &Vec<u8>)> = shown.iter().filter_map(answered).collect();
        let [rows, columns] = set.images.size().size();
        let batch = || {
            let pixels = new.iter().flat_map(|(_, _, pixels)| pixels.iter());
            let pixels = pixels.map(|level| f32::from(*level)).collect();
            let batch = Tensor::new([new.len(), rows, columns, 3], pixels);
            batch.expect("pictures of one size")
        };
        match way {
            Way::Mean(mut mean) => {
                if !new.is_empty() {
                    let pictures: Vec<usize> = new.iter().map(|(picture, ..)| *picture).collect();
                    mean.add(set, &pictures, &batch());
                }
                mean.maps(shown)
            }
            Way::Gradients {
                found: Some(found), ..
            } => found,
            Way::Gradients { .. } if new.is_empty() => Maps::default(),
            Way::Gradients { model, kept, .. } => {
                let classes: Vec<usize> = new.iter().map(|(_, class, _)| *class).collect();
                let Ok(found) = explain::grad_cam(model, &batch(), &classes, None) else {
                    return Maps::default();
                };
                let &[_, height, width] = found.shape() else {
                    return Maps::default();
                };
                let of = found.as_slice().chunks_exact(height * width);
                let maps = Maps {
                    of: new
                        .iter()
                        .map(|(picture, ..)| *picture)
                        .zip(of.map(<[f32]>::to_vec))
                        .collect(),
                    columns: width,
                };
                if let Some((folder, key)) = kept.filter(|_| maps.of.len() == shown.len()) {
                    // That they cannot be kept costs the next run time, and nothing else.
                    let bytes = maps.to_bytes(shown);
                    let _ = folder.keep(&key, VERSION, |to| to.write_all(&bytes));
                }
                maps
            }
        }
    }
}

impl<'a> Mean<'a> {
    /// `None` if the network ends otherwise.
    fn new(
        set: &Set,
        shown: &[(usize, usize)],
        extractor: &Extractor,
        kernel: &'a Tensor,
        store: &'a FeatureStore,
    ) -> Option<Self> {
        let network = extractor
            .model
            .cut_before(pooling(&extractor.model)?)
            .ok()?;
        let output = network.output_shape().ok()?.sample()?;
        let &[rows, columns, channels] = output.as_slice() else {
            return None;
        };
        if rows * columns < 2 || channels != kernel.shape()[0] {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"regraft-pictures what the mean is taken of 1");
        hasher.update(&set.features.network);
        let of = hasher.finalize().into();
        let kept = store
            .namespace(&of, &[vec![rows, columns, channels]])
            .ok()?;
        let mut found = BTreeMap::new();
        for (picture, _) in shown {
            let mut row = vec![0.0; kept.width()];
            if kept.get(&set.features.keys[*picture], &mut row) {
                found.insert(*picture, row);
            }
        }
        Some(Mean {
            network,
            shape: [rows, columns, channels],
            kept,
            rows: found,
            kernel,
        })
    }

    /// What the network gives for further pictures.
    fn add(&mut self, set: &Set, pictures: &[usize], batch: &Tensor) {
        let given = self.network.predictor();
        let Ok(given) = given.and_then(|predictor| predictor.predict(batch)) else {
            return;
        };
        let rows = given.as_slice().chunks_exact(self.kept.width());
        for (picture, row) in pictures.iter().zip(rows) {
            self.rows.insert(*picture, row.to_vec());
            // That it cannot be kept costs the next run time, and nothing else.
            let _ = self.kept.put(&set.features.keys[*picture], row);
        }
        let _ = self.kept.flush();
    }

    /// relu(Σₖ wₖ Aₖ) / its largest value, where Aₖ is channel k and wₖ its weight for the class.
    fn maps(&self, shown: &[(usize, usize)]) -> Maps {
        let [_, columns, channels] = self.shape;
        let classes = self.kernel.shape()[1];
        let map = |(picture, class): &(usize, usize)| {
            let weights = self.kernel.as_slice().iter().skip(*class).step_by(classes);
            let weights: Vec<f32> = weights.copied().collect();
            let places = self.rows.get(picture)?.chunks_exact(channels);
            let score = |place: &[f32]| -> f32 {
                let products = place.iter().zip(&weights).map(|(a, w)| a * w);
                products.sum::<f32>().max(0.0)
            };
            let mut map: Vec<f32> = places.map(score).collect();
            let most = map.iter().copied().fold(0.0, f32::max);
            if most > 0.0 {
                map.iter_mut().for_each(|value| *value /= most);
            }
            Some((*picture, map))
        };
        Maps {
            of: shown.iter().filter_map(map).collect(),
            columns,
        }
    }
}

/// The path of the mean over all of the picture with which a model ends.
fn pooling(model: &Model) -> Option<String> {
    let mut last = model.layers().pop()?;
    while let Some(within) = last.layers().pop() {
        last = within;
    }
    (last.class_name() == MEAN).then(|| last.path().to_string())
}

/// A hash of all that maps of these pictures and classes depend on.
fn key(set: &Set, model: &Model, shown: &[(usize, usize)]) -> Key {
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
    hasher.finalize().into()
}

impl Maps {
    /// Those of the pictures, in this order.
    fn to_bytes(&self, shown: &[(usize, usize)]) -> Vec<u8> {
        let maps = shown.iter().filter_map(|(picture, _)| self.of.get(picture));
        let values = maps.flatten().flat_map(|value| value.to_le_bytes());
        let columns = (self.columns as u32).to_le_bytes();
        columns.into_iter().chain(values).collect()
    }

    fn from_bytes(bytes: &[u8], shown: &[(usize, usize)]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let (columns, values) = words.split_first()?;
        let columns = u32::from_le_bytes(*columns) as usize;
        let cells = values.len().checked_div(shown.len())?;
        if columns == 0 || cells == 0 || cells * shown.len() != values.len() {
            return None;
        }
        let map = |words: &[[u8; 4]]| words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let pictures = shown.iter().map(|(picture, _)| *picture);
        Some(Maps {
            of: pictures.zip(values.chunks_exact(cells).map(map)).collect(),
            columns,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use regraft::Sequential;
    use regraft::layers::{Conv2D, GlobalMaxPooling2D, Input, layers};

    use super::*;
    use crate::config::Config;
    use crate::kept::Kept;
    use crate::opened::opened;
    use crate::survey::survey;
    use crate::survey::tests::place;

    struct Scene {
        folder: tempfile::TempDir,
        set: Set,
        extractor: Extractor,
        store: Arc<FeatureStore>,
    }

    impl Scene {
        fn of(folder: tempfile::TempDir, config: &Config) -> Self {
            let extractor = Extractor::open(config).unwrap();
            let resize = config.resize(extractor.size).unwrap();
            let images = opened(&config.photos).unwrap().resize(resize);
            let mut kept = Kept::open(&folder.path().join("cache")).unwrap();
            let survey = survey(&images, Some(&extractor), &mut kept, &mut ()).unwrap();
            Scene {
                set: Set::of(survey, config).unwrap(),
                store: kept.features,
                folder,
                extractor,
            }
        }

        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let config = place(folder.path());
            Self::of(folder, &config)
        }

        /// The weights of some head.
        fn kernel(&self, seed: usize) -> Tensor {
            let (width, classes) = (self.extractor.width(), self.set.classes.len());
            let values = (0..width * classes).map(|at| ((at * 31 + seed * 17) % 13) as f32 - 3.0);
            Tensor::new([width, classes], values.collect()).unwrap()
        }

        fn model(&self, kernel: &Tensor) -> Model {
            let bias = Tensor::full([self.set.classes.len()], 0.5);
            let extractor = &self.extractor;
            extractor
                .with_head(kernel.clone(), bias, &self.set.classes)
                .unwrap()
        }

        fn seen(&self, picture: usize) -> Vec<u8> {
            let images = &self.set.images;
            let whole = images.load(picture).unwrap();
            whole.resize(images.size()).unwrap().into_pixels()
        }

        /// The maps with a head, and how many pictures had to be decoded.
        fn maps(&self, shown: &[(usize, usize)], seed: usize) -> (Maps, usize) {
            let kernel = self.kernel(seed);
            let model = self.model(&kernel);
            let cache = self.folder.path().join("cache");
            let (set, store) = (&self.set, &*self.store);
            let extractor = &self.extractor;
            let looked_at =
                LookedAt::new(set, shown, extractor, Some(&kernel), &model, store, &cache);
            looked_at.prepare();
            let pictures = shown.iter().map(|(picture, _)| *picture);
            let needed = pictures.filter(|picture| looked_at.needs(*picture));
            let pixels: BTreeMap<usize, Vec<u8>> = needed
                .map(|picture| (picture, self.seen(picture)))
                .collect();
            let decoded = pixels.len();
            (looked_at.maps(&pixels), decoded)
        }

        /// What gradients say.
        fn by_gradients(&self, shown: &[(usize, usize)], seed: usize) -> Tensor {
            let pixels = shown.iter().flat_map(|(picture, _)| self.seen(*picture));
            let [rows, columns] = self.set.images.size().size();
            let shape = [shown.len(), rows, columns, 3];
            let batch = Tensor::new(shape, pixels.map(f32::from).collect()).unwrap();
            let classes: Vec<usize> = shown.iter().map(|(_, class)| *class).collect();
            let model = self.model(&self.kernel(seed));
            explain::grad_cam(&model, &batch, &classes, None).unwrap()
        }
    }

    #[test]
    fn a_network_that_ends_with_a_mean_is_run_once_for_all_heads_and_gives_what_gradients_give() {
        let scene = Scene::new();
        let shown = [(3, 0), (0, 1), (12, 1), (7, 0)];
        for (seed, new) in [(1, 4), (2, 0), (1, 0)] {
            let (maps, decoded) = scene.maps(&shown, seed);
            assert_eq!(decoded, new);
            let expected = scene.by_gradients(&shown, seed);
            assert_eq!([shown.len(), 6, maps.columns], expected.shape());
            let expected = expected.as_slice().chunks_exact(36);
            let mut most: f32 = 0.0;
            for ((picture, _), expected) in shown.iter().zip(expected) {
                let map = &maps.of[picture];
                assert_eq!(map.len(), 36);
                let apart = map.iter().zip(expected).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0.0, f32::max) < 1e-5, "{map:?} {expected:?}");
                most = map.iter().copied().fold(most, f32::max);
            }
            assert_eq!(most, 1.0);
        }
        // Of one more picture only that one is new.
        let more = [&shown[..], &[(9, 1)]].concat();
        let (maps, decoded) = scene.maps(&more, 1);
        assert_eq!((maps.of.len(), decoded), (5, 1));
        // What is damaged is made again, to the same bits.
        for folder in fs::read_dir(scene.folder.path().join("cache")).unwrap() {
            let folder = folder.unwrap().path();
            for file in fs::read_dir(folder).into_iter().flatten() {
                let path = file.unwrap().path();
                let mut bytes = fs::read(&path).unwrap();
                let at = bytes.len() - 40;
                bytes[at] ^= 1;
                fs::remove_file(&path).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        let (again, decoded) = scene.maps(&more, 1);
        assert!(decoded > 0);
        assert_eq!(again.of, maps.of);
    }

    #[test]
    fn of_other_networks_the_maps_themselves_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = place(folder.path());
        let layers = layers![
            Input::new([8, 8, 3]),
            Conv2D::new(5, 3).activation("relu"),
            GlobalMaxPooling2D::new(),
        ];
        let network = folder.path().join("other.keras");
        let model = Sequential::with_seed(layers, 1).unwrap();
        model.save(&network).unwrap();
        config.backbone = network.display().to_string();
        let scene = Scene::of(folder, &config);
        let shown = [(3, 0), (0, 1)];
        let (maps, decoded) = scene.maps(&shown, 1);
        assert_eq!((maps.of.len(), decoded), (2, 2));
        let expected = scene.by_gradients(&shown, 1);
        assert_eq!(maps.of[&3], expected.as_slice()[..36]);
        let (again, decoded) = scene.maps(&shown, 1);
        assert_eq!(decoded, 0);
        assert_eq!(again.of, maps.of);
        // Of another head, or other pictures, they are others.
        assert_eq!(scene.maps(&shown, 2).1, 2);
        assert_eq!(scene.maps(&shown[..1], 1).1, 1);
    }
}
