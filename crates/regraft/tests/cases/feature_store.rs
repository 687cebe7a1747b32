//! Features on disk: the numbers are those without, in every bit, whatever was there before; what has changed
//! is noticed; and what cannot be kept is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use regraft::data::{Arrays, Content, Dataset, Hasher, Part, RowSpec, Rows};
use regraft::extend::{
    Attributes, Call, Configured, Detail, Forward, Layer, Op, Output, Shape, Var, Weights,
};
use regraft::layers::{BatchNormalization, Dense, Dropout, Functional, Input, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array2, Axis};
use regraft::random::{Key, normal, uniform};
use regraft::{FeatureCache, FeatureStore, Fit, History, Model, Sequential, Verbosity};

/// Rows that are read when they are asked for, under contents of their own.
struct Read {
    x: Array2<f32>,
    y: Vec<i32>,
    /// Whether samples say what they are.
    has_content: bool,
    /// How long it takes to read a batch.
    slow: Duration,
    /// How often the input of each sample was asked for.
    asked: Mutex<Vec<usize>>,
}

fn read(samples: usize) -> Read {
    let mut x = Array2::zeros((samples, 5));
    normal(Key::new(1, 1), 0, x.as_slice_mut().unwrap());
    let class = x
        .rows()
        .into_iter()
        .map(|row| i32::from(row[0] > 0.0) + i32::from(row[1] > 0.5));
    Read {
        y: class.collect(),
        x,
        has_content: true,
        slow: Duration::ZERO,
        asked: Mutex::new(vec![0; samples]),
    }
}

impl Read {
    fn asked(&self) -> Vec<usize> {
        let none = vec![0; self.y.len()];
        std::mem::replace(&mut *self.asked.lock().unwrap(), none)
    }
}

impl Dataset for Read {
    fn len(&self) -> usize {
        self.y.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([5])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        thread::sleep(self.slow);
        if let Some(x) = rows.floats(Part::Input(0)) {
            for (to, &sample) in x.chunks_exact_mut(5).zip(samples) {
                self.asked.lock().unwrap()[sample] += 1;
                to.copy_from_slice(self.x.row(sample).as_slice().unwrap());
            }
        }
        if let Some(y) = rows.integers(Part::Target(0)) {
            for (to, &sample) in y.iter_mut().zip(samples) {
                *to = self.y[sample];
            }
        }
        Ok(())
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        let bits = self
            .x
            .row(sample)
            .map(|value| i64::from(value.to_bits()) as u64);
        let hasher = bits
            .iter()
            .fold(Hasher::new("test"), |hasher, bits| hasher.number(*bits));
        Ok(self.has_content.then(|| hasher.finish()))
    }
}

/// A base, and a head of so many neurons; of the layers so many are frozen.
fn model(frozen: i32, head: usize) -> Model {
    let layers = layers![
        Input::new([5]),
        Dense::new(7).activation("tanh"),
        BatchNormalization::new(),
        Dense::new(6).activation("relu"),
        Dropout::new(0.2),
        Dense::new(head).activation("tanh"),
        Dense::new(3),
    ];
    let mut model = Sequential::with_seed(layers, 5).unwrap();
    if frozen > 0 {
        model.freeze(..frozen).unwrap();
    }
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"]).unwrap();
    model
}

/// All weights and all that the history says, by their bits.
fn trained(model: &Model, history: &History) -> Vec<(String, Vec<u64>)> {
    let weights = model.weights().iter().map(|weight| {
        let values = weight.value().as_slice().iter();
        let bits = values.map(|value| u64::from(value.to_bits())).collect();
        (weight.path().to_string(), bits)
    });
    let curves = history.iter().map(|(name, values)| {
        let bits = values.iter().map(|value| value.to_bits()).collect();
        (name.to_string(), bits)
    });
    weights.chain(curves).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// All files of rows below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.extension().is_some_and(|it| it == "rows") => found.push(path),
            false => {}
        }
    }
    found
}

fn silent<'a>() -> Fit<'a> {
    Fit::new()
        .epochs(3)
        .batch_size(8)
        .verbosity(Verbosity::Silent)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn training_with_a_store_gives_the_same_bits(
        frozen in 0_i32..6,
        batch_size in 1_usize..40,
        epochs in 1_usize..3,
        (shuffle, in_memory, split) in any::<(bool, bool, bool)>(),
        damage in any::<Option<usize>>(),
    ) {
        let mut data = read(31);
        // Some samples twice.
        for (to, from) in [(30, 3), (17, 3), (9, 10)] {
            let row = data.x.row(from).to_owned();
            data.x.row_mut(to).assign(&row);
        }
        let options = || {
            let cache = if in_memory { FeatureCache::Auto } else { FeatureCache::Off };
            let options = silent().epochs(epochs).batch_size(batch_size).shuffle(shuffle);
            let options = options.feature_cache(cache);
            if split { options.validation_split(0.3) } else { options }
        };
        let mut plain = model(frozen, 4);
        let history = plain.fit_dataset(&data, options()).unwrap();
        let expected = trained(&plain, &history);
        let folder = tempfile::tempdir().unwrap();
        data.asked();
        for run in 0..5 {
            let store = FeatureStore::open(folder.path()).unwrap();
            let mut other = model(frozen, 4);
            let history = other.fit_dataset(&data, options().feature_store(&store)).unwrap();
            prop_assert_eq!(&trained(&other, &history), &expected);
            prop_assert_eq!(store.usage().problem, None);
            let asked = data.asked();
            // Of a file that was changed, rows that were read before that was found are computed the time after.
            if frozen > 0 && (run == 1 || run == 4) {
                prop_assert_eq!(asked, vec![0; 31]);
            }
            if let (1, Some(damage)) = (run, damage) {
                for path in files(folder.path()) {
                    let mut bytes = fs::read(&path).unwrap();
                    let at = damage % bytes.len();
                    bytes[at] ^= 4;
                    fs::write(&path, bytes).unwrap();
                }
            }
        }
    }
}

#[test]
fn what_is_there_is_not_computed_and_what_has_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let mut data = read(300);
    let mut base = model(0, 4).cut_at("dense_1").unwrap();
    let check = |model: &Model, data: &Read, computed: usize| {
        let extracted = model.extract_features(data, &store).unwrap();
        assert_eq!(extracted.not_kept, None);
        assert_eq!(extracted.computed, computed);
        assert_eq!(data.asked().iter().sum::<usize>(), computed);
        let expected = model.predict(&data.x).unwrap();
        let features = extracted.into_tensor().unwrap();
        assert_eq!(features.shape(), expected.shape());
        assert_eq!(bits(features.as_slice()), bits(expected.as_slice()));
    };
    check(&base, &data, 300);
    check(&base, &data, 0);
    // A sample that has changed; others in between; fewer of them; one twice.
    data.x[[7, 2]] += 1.0;
    check(&base, &data, 1);
    let more = read(310);
    check(&base, &more, 10);
    let row = data.x.row(8).to_owned();
    data.x.row_mut(9).assign(&row);
    check(&base, &data, 0);
    // A bit of a weight, and a state.
    for path in ["dense/kernel", "batch_normalization/moving_variance"] {
        let mut value = base.weight(path).unwrap().value().clone();
        let first = value.as_slice()[0];
        value.as_mut_slice()[0] = f32::from_bits(first.to_bits() + 1);
        base.set_weight(path, value).unwrap();
        // Two samples are the same.
        let extracted = base.extract_features(&data, &store).unwrap();
        assert_eq!(
            (extracted.computed, extracted.not_kept),
            (299, None),
            "{path}"
        );
        data.asked();
        check(&base, &data, 0);
    }
    // Names are no part of it; what is computed is.
    let mut renamed = base.clone();
    renamed.set_name("another");
    check(&renamed, &data, 0);
    let relu = base
        .replace_layer("dense_1", Dense::new(6).activation("elu"))
        .unwrap();
    assert_eq!(relu.extract_features(&data, &store).unwrap().computed, 299);
}

#[test]
fn another_head_and_another_split_find_the_features_of_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let data = read(60);
    let fit = |model: &mut Model, options: Fit<'_>| {
        model.fit_dataset(&data, options).unwrap();
        data.asked().iter().sum::<usize>()
    };
    assert_eq!(fit(&mut model(4, 4), silent().feature_store(&store)), 60);
    assert_eq!(fit(&mut model(4, 9), silent().feature_store(&store)), 0);
    let split = silent().validation_split(0.3).seed(3);
    assert_eq!(fit(&mut model(4, 9), split.feature_store(&store)), 0);
    // Arrays of the same numbers have other contents.
    let before = store.usage();
    let options = silent().feature_store(&store);
    model(4, 4).fit(&data.x, &data.y, options).unwrap();
    assert_eq!(store.usage().written, before.written + 60);
    let found = store.usage().found;
    model(4, 4)
        .fit(&data.x, &data.y, silent().feature_store(&store))
        .unwrap();
    assert_eq!(store.usage().found, found + 60);
}

#[test]
fn several_inputs_and_outputs_are_kept_together() {
    let mut f = Functional::new();
    let (a, b) = (f.input([3]), f.input([2]));
    let x = f.apply(Dense::new(4), &[a]).unwrap();
    let y = f.apply(Dense::new(2).activation("relu"), &[b]).unwrap();
    let model = f.model(&[a, b], &[x, y]).unwrap();
    let a = Array2::from_shape_fn((40, 3), |(i, j)| (i * 3 + j) as f32);
    let b = Array2::from_shape_fn((40, 2), |(i, j)| (i * 2 + j) as f32 - 40.0);
    let data = Arrays::new((&a, &b), Vec::<regraft::Data<'_>>::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let expected = model.predict_all((&a, &b)).unwrap();
    for computed in [40, 0] {
        let extracted = model.extract_features(&data, &store).unwrap();
        assert_eq!(
            (&extracted.outputs, extracted.computed),
            (&expected, computed)
        );
        assert!(extracted.into_tensor().is_err());
    }
}

/// y = f(x), of which nothing is known; or of which it is said that it is named.
#[derive(Clone, Copy, Debug)]
struct Mine {
    factor: f32,
    says: bool,
}

impl Op for Mine {
    fn name(&self) -> &str {
        "mine"
    }

    fn attributes(&self) -> Option<Attributes> {
        self.says.then(Attributes::none)
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
            *y = x * self.factor;
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy, Debug)]
struct Wrapped(Mine);

impl Configured for Wrapped {}

impl Layer for Wrapped {
    fn build(&self, _inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        Ok(())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].graph().apply(self.0, &[inputs[0]])
    }
}

fn scaled(factor: f32, says: bool) -> Model {
    let own = Wrapped(Mine { factor, says });
    Sequential::with_seed(layers![Input::new([5]), own, Dense::new(3)], 1).unwrap()
}

#[test]
fn what_says_nothing_of_itself_is_computed_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let data = read(20);
    // An op without settings, a data set without contents, samples that are drawn.
    let own = scaled(2.0, false);
    for _ in 0..2 {
        let extracted = own.extract_features(&data, &store).unwrap();
        let why = extracted.not_kept.clone().unwrap();
        assert!(
            why.contains("`mine`") && why.contains("attributes"),
            "{why}"
        );
        assert_eq!(extracted.computed, 20);
        assert_eq!(
            extracted.into_tensor().unwrap(),
            own.predict(&data.x).unwrap()
        );
    }
    assert!(store.usage().problem.unwrap().contains("mine"));
    let mut anonymous = read(20);
    anonymous.has_content = false;
    let base = model(0, 4);
    let extracted = base.extract_features(&anonymous, &store).unwrap();
    assert!(extracted.not_kept.unwrap().contains("20 of 20"));
    let drawn = (&data).augment(noise).named("noise");
    let extracted = base.extract_features(&drawn, &store).unwrap();
    assert!(extracted.not_kept.unwrap().contains("epoch"));
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    let mut frozen = model(5, 4);
    frozen
        .fit_dataset(&drawn, silent().feature_store(&store))
        .unwrap();
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    // An op of one's own that says too little is found out by what it computes.
    for computed in [20, 0] {
        let extracted = scaled(2.0, true).extract_features(&data, &store).unwrap();
        assert_eq!((extracted.computed, extracted.not_kept), (computed, None));
    }
    let extracted = scaled(3.0, true).extract_features(&data, &store).unwrap();
    assert_eq!(extracted.computed, 20);
}

/// Adds noise to all numbers.
fn noise(row: &mut regraft::data::Row<'_>, key: Key) -> Result<(), Detail> {
    let mut noise = [0.0; 5];
    uniform(key, 0, &mut noise);
    let x = row.floats(Part::Input(0)).into_iter().flatten();
    x.zip(noise).for_each(|(x, noise)| *x += noise);
    Ok(())
}

#[test]
fn views_of_augmented_samples_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap();
    let data = read(20);
    let base = model(0, 4).cut_at("dense_1").unwrap();
    let views = (&data).augment(noise).named("noise").views(4);
    let first = base.extract_features(&views, &store).unwrap();
    assert_eq!((first.computed, first.not_kept.clone()), (80, None));
    let plain = base.predict(&data.x).unwrap();
    for sample in 0..20 {
        let row = &first.outputs[0].as_slice()[sample * 4 * 6..][..6];
        assert_eq!(bits(row), bits(&plain.as_slice()[sample * 6..][..6]));
    }
    // The plain ones are found by whoever has them, and others in another order of other samples.
    assert_eq!(base.extract_features(&data, &store).unwrap().computed, 0);
    let turned = (&data)
        .select([3, 9, 0])
        .unwrap()
        .augment(noise)
        .named("noise")
        .views(5);
    let second = base.extract_features(&turned, &store).unwrap();
    assert_eq!(second.computed, 3);
    let row = |outputs: &[regraft::Tensor], at: usize| bits(&outputs[0].as_slice()[at * 6..][..6]);
    assert_eq!(row(&second.outputs, 2), row(&first.outputs, 3 * 4 + 2));
    // Trained on as any data set of 80 samples.
    let fit = |store: Option<&FeatureStore>| {
        let mut model = model(5, 4);
        let options = silent();
        let options = match store {
            Some(store) => options.feature_store(store),
            None => options,
        };
        let history = model.fit_dataset(&views, options).unwrap();
        trained(&model, &history)
    };
    assert_eq!(fit(None), fit(Some(&store)));
}

#[test]
fn training_goes_on_without_a_store_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lock")).unwrap();
    let data = read(40);
    let mut plain = model(5, 4);
    let history = plain.fit_dataset(&data, silent()).unwrap();
    for cache in [FeatureCache::Auto, FeatureCache::Off] {
        let store = FeatureStore::open(folder.path()).unwrap();
        let mut other = model(5, 4);
        let options = silent().feature_cache(cache).feature_store(&store);
        let same = other.fit_dataset(&data, options).unwrap();
        assert_eq!(trained(&other, &same), trained(&plain, &history));
        assert!(store.usage().problem.unwrap().contains("lock"));
        let extracted = plain.extract_features(&data, &store).unwrap();
        assert!(extracted.not_kept.unwrap().contains("lock"));
    }
    // A budget of nothing is one, too.
    let folder = tempfile::tempdir().unwrap();
    let store = FeatureStore::open(folder.path()).unwrap().budget(0);
    let extracted = plain.extract_features(&data, &store).unwrap();
    assert!(extracted.not_kept.unwrap().contains("budget"));
    assert_eq!(store.bytes().unwrap(), 0);
}

#[test]
fn a_data_set_is_read_while_the_batch_before_it_is_computed() {
    /// Notes where each batch is read, and how many are read and not yet used.
    struct Watched {
        data: Read,
        elsewhere: AtomicBool,
        fills: AtomicUsize,
        /// The fill that fails.
        fails_at: usize,
    }
    impl Dataset for Watched {
        fn len(&self) -> usize {
            self.data.len()
        }
        fn inputs(&self) -> Vec<RowSpec> {
            self.data.inputs()
        }
        fn targets(&self) -> Vec<RowSpec> {
            self.data.targets()
        }
        fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
            let main = thread::current()
                .name()
                .is_some_and(|name| name.contains("a_data_set"));
            self.elsewhere.fetch_or(!main, Ordering::Relaxed);
            if self.fills.fetch_add(1, Ordering::Relaxed) == self.fails_at {
                return Err(Detail::new("picture", "to be there", "gone"));
            }
            self.data.fill(samples, key, rows)
        }
    }
    let watched = |fails_at: usize| Watched {
        data: Read {
            slow: Duration::from_millis(2),
            ..read(40)
        },
        elsewhere: AtomicBool::new(false),
        fills: AtomicUsize::new(0),
        fails_at,
    };
    let quick = read(40);
    for frozen in [0, 5] {
        let mut plain = model(frozen, 4);
        let history = plain.fit_dataset(&quick, silent()).unwrap();
        let slow = watched(usize::MAX);
        let mut other = model(frozen, 4);
        let same = other.fit_dataset(&slow, silent()).unwrap();
        assert_eq!(trained(&other, &same), trained(&plain, &history));
        let scores = other.evaluate_dataset(&slow).unwrap();
        assert_eq!(scores, plain.evaluate_dataset(&quick).unwrap());
        let outputs = other.predict_dataset(&slow).unwrap();
        assert_eq!(outputs, plain.predict_dataset(&quick).unwrap());
        assert!(slow.elsewhere.load(Ordering::Relaxed));
    }
    // What goes wrong there ends training, and nothing is read after it.
    let broken = watched(3);
    let error = model(0, 4)
        .fit_dataset(&broken, silent())
        .unwrap_err()
        .to_string();
    assert!(error.contains("picture"), "{error}");
    assert_eq!(broken.fills.load(Ordering::Relaxed), 4);
}

#[test]
fn training_on_what_was_selected_is_training_on_the_selected_arrays() {
    let data = read(50);
    let picked: Vec<usize> = (0..40).map(|i| (i * 7) % 50).collect();
    let x = data.x.select(Axis(0), &picked);
    let y: Vec<i32> = picked.iter().map(|&sample| data.y[sample]).collect();
    let arrays = Arrays::new(&data.x, &data.y).unwrap();
    for frozen in [0, 3] {
        let mut expected = model(frozen, 4);
        let history = expected
            .fit(&x, &y, silent().validation_split(0.2))
            .unwrap();
        let expected = trained(&expected, &history);
        let (of_read, of_arrays) = (
            (&data).select(picked.as_slice()).unwrap(),
            (&arrays).select(picked.as_slice()).unwrap(),
        );
        let cached = (&of_read).cache();
        for set in [&of_read as &dyn Dataset, &of_arrays, &cached] {
            let mut other = model(frozen, 4);
            let options = silent().validation_split(0.2);
            let history = other.fit_dataset(set, options).unwrap();
            assert_eq!(trained(&other, &history), expected);
        }
        // As `fit` weighs classes, where that is told by class.
        let weights = [0, 1, 2].map(|class| {
            let of_class = y.iter().filter(|&&label| label == class).count();
            (class, (40.0 / (3.0 * of_class as f64)) as f32)
        });
        let mut weighted = model(frozen, 4);
        let history = weighted
            .fit(&x, &y, silent().class_weight(weights))
            .unwrap();
        let balanced = (&of_read).balanced().unwrap();
        let mut other = model(frozen, 4);
        let same = other.fit_dataset(&balanced, silent()).unwrap();
        assert_eq!(trained(&other, &same), trained(&weighted, &history));
    }
}
