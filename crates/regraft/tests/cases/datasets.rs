//! Data sets of which samples are made when they are asked for: the numbers are those of arrays, no more
//! is asked for than is needed, and what is wrong is said with its place.

use std::sync::Mutex;

use proptest::prelude::*;
use regraft::callbacks::{Context, LambdaCallback};
use regraft::data::{
    Arrays, Data, Dataset, Part, RowSpec, Rows, Slice, batches, read_batch, stratified_split,
};
use regraft::extend::Detail;
use regraft::layers::{
    BatchNormalization, Dense, Dropout, Embedding, Flatten, Functional, GlobalAveragePooling2D,
    Input, LayerExt, Reshape, layers,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array2, Array3, Axis, arr0};
use regraft::optimizers::SGD;
use regraft::random::{Key, normal, uniform};
use regraft::{FeatureCache, Fit, History, Model, Sequential, Verbosity};

/// The same samples as some arrays have, and a record of what was asked for.
struct Copied {
    x: Array2<f32>,
    y: Vec<i32>,
    weights: Option<Vec<f32>>,
    /// Adds noise of the key to each sample.
    noisy: bool,
    /// How often the input of each sample was asked for, and the most samples at once.
    asked: Mutex<(Vec<usize>, usize)>,
}

impl Copied {
    fn new(samples: usize) -> Self {
        let mut x = Array2::zeros((samples, 5));
        normal(Key::new(1, 1), 0, x.as_slice_mut().unwrap());
        let rows = x.rows().into_iter();
        let class = rows.map(|row| i32::from(row[0] > 0.0) + i32::from(row[1] > 0.5));
        Copied {
            y: class.collect(),
            x,
            weights: None,
            noisy: false,
            asked: Mutex::new((vec![0; samples], 0)),
        }
    }

    fn asked(&self) -> (Vec<usize>, usize) {
        let samples = self.y.len();
        std::mem::replace(&mut *self.asked.lock().unwrap(), (vec![0; samples], 0))
    }
}

impl Dataset for Copied {
    fn len(&self) -> usize {
        self.y.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([5])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn is_fixed(&self) -> bool {
        !self.noisy
    }

    fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        assert_eq!(rows.samples(), samples.len());
        if let Some(x) = rows.floats(Part::Input(0)) {
            let mut asked = self.asked.lock().unwrap();
            asked.1 = asked.1.max(samples.len());
            for (to, &sample) in x.chunks_exact_mut(5).zip(samples) {
                asked.0[sample] += 1;
                let mut noise = [0.0; 5];
                if self.noisy {
                    uniform(key.child(sample as u64), 0, &mut noise);
                }
                for ((to, from), noise) in to.iter_mut().zip(self.x.row(sample)).zip(noise) {
                    *to = from + noise;
                }
            }
        }
        if let Some(y) = rows.integers(Part::Target(0)) {
            for (to, &sample) in y.iter_mut().zip(samples) {
                *to = self.y[sample];
            }
        }
        if let (Some(to), Some(weights)) = (rows.weights(), &self.weights) {
            for (to, &sample) in to.iter_mut().zip(samples) {
                *to = weights[sample];
            }
        }
        Ok(())
    }
}

/// A model of which so many of the first layers are frozen.
fn model(frozen: i32) -> Model {
    let layers = layers![
        Input::new([5]),
        Dense::new(7).activation("tanh"),
        BatchNormalization::new(),
        Dense::new(6).activation("relu"),
        Dropout::new(0.2),
        Dense::new(3),
    ];
    let mut model = Sequential::with_seed(layers, 5).unwrap();
    if frozen > 0 {
        model.freeze(..frozen).unwrap();
    }
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"]).unwrap();
    model.weighted_metrics(["accuracy"]).unwrap();
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_data_set_trains_as_its_arrays_do(
        frozen in 0_i32..5,
        batch_size in 1_usize..40,
        seed in 0_u64..100,
        (shuffle, cached, split, by_class) in any::<(bool, bool, bool, bool)>(),
        weighted in 0_usize..3,
    ) {
        let mut data = Copied::new(37);
        let weights: Vec<f32> = (0..37).map(|sample| 0.5 + (sample % 4) as f32).collect();
        if weighted == 2 {
            data.weights = Some(weights.clone());
        }
        let cache = if cached { FeatureCache::Auto } else { FeatureCache::Off };
        // Without a split, whose weights of classes do not hold, they can be multiplied by hand.
        let by_hand: Vec<f32> = (0..37)
            .map(|sample| {
                let own = if weighted > 0 { weights[sample] } else { 1.0 };
                own * [0.25, 1.0, 3.0][data.y[sample] as usize]
            })
            .collect();
        let options = |gives_weights: bool, by_class: bool| {
            let mut options = Fit::new()
                .epochs(2)
                .batch_size(batch_size)
                .seed(seed)
                .shuffle(shuffle)
                .feature_cache(cache)
                .verbosity(Verbosity::Silent);
            if split {
                options = options.validation_split(0.3);
            }
            if by_class {
                options = options.class_weight([(0, 0.25), (2, 3.0)]);
            }
            if gives_weights {
                options = options.sample_weight(&weights);
            }
            options
        };
        let mut one = model(frozen);
        let history = one.fit(&data.x, &data.y, match by_class && !split {
            true => options(false, false).sample_weight(&by_hand),
            false => options(weighted > 0, by_class),
        }).unwrap();
        let expected = trained(&one, &history);
        // The parts of a split, cut by hand.
        if split && weighted == 0 {
            let parts = stratified_split(&data.y, 0.3, seed).unwrap();
            let cut = |samples: &[usize]| {
                let y: Vec<i32> = samples.iter().map(|&sample| data.y[sample]).collect();
                (data.x.select(Axis(0), samples), y)
            };
            let ((x, y), (val_x, val_y)) = (cut(&parts.train), cut(&parts.validation));
            let options = options(false, by_class).validation_data(&val_x, &val_y);
            let mut other = model(frozen);
            let history = other.fit(&x, &y, options).unwrap();
            prop_assert_eq!(&trained(&other, &history), &expected);
        }
        // Read when it is asked for; and the arrays as a data set.
        let arrays = Arrays::new(&data.x, &data.y).unwrap();
        let sets: [(&dyn Dataset, bool); 2] = [(&data, weighted == 1), (&arrays, weighted > 0)];
        for (set, gives_weights) in sets {
            let mut other = model(frozen);
            let history = other.fit_dataset(set, options(gives_weights, by_class)).unwrap();
            prop_assert_eq!(&trained(&other, &history), &expected);
            prop_assert_eq!(
                bits(one.predict(&data.x).unwrap().as_slice()),
                bits(other.predict_dataset(set).unwrap()[0].as_slice())
            );
            if weighted != 2 {
                let scores = one.evaluate(&data.x, &data.y).unwrap();
                prop_assert_eq!(scores, other.evaluate_dataset(set).unwrap());
            }
        }
    }
}

fn silent<'a>() -> Fit<'a> {
    Fit::new().batch_size(8).verbosity(Verbosity::Silent)
}

#[test]
fn no_more_is_asked_for_than_is_needed() {
    let data = Copied::new(50);
    // What is kept is computed once, of each sample that is trained on or validated on.
    let mut kept = model(2);
    let options = || silent().epochs(4).validation_split(0.2);
    kept.fit_dataset(&data, options()).unwrap();
    assert_eq!(data.asked().0, [1; 50]);
    // Without, in each epoch, in batches.
    let off = options().feature_cache(FeatureCache::Off);
    model(2).fit_dataset(&data, off).unwrap();
    assert_eq!(data.asked(), (vec![4; 50], 8));
    // If the layers in front are trained, there is nothing to keep.
    model(0).fit_dataset(&data, options()).unwrap();
    assert_eq!(data.asked(), (vec![4; 50], 8));
    kept.evaluate_dataset(&data).unwrap();
    assert_eq!(data.asked().0, [1; 50]);
    // Another data set to validate on.
    let validation = Copied::new(20);
    let options = silent().epochs(3).validation_dataset(&validation);
    let history = kept.fit_dataset(&data, options).unwrap();
    assert_eq!(history.get("val_loss").unwrap().len(), 3);
    assert_eq!(
        (data.asked().0, validation.asked().0),
        (vec![1; 50], vec![1; 20])
    );
}

/// A data set of large samples that exist only while they are looked at.
struct Large(Mutex<usize>);

impl Dataset for Large {
    fn len(&self) -> usize {
        600
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([256, 256, 4])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([1])]
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if let Some(x) = rows.floats(Part::Input(0)) {
            let mut most = self.0.lock().unwrap();
            *most = (*most).max(4 * x.len());
            for (x, &sample) in x.chunks_exact_mut(256 * 256 * 4).zip(samples) {
                x.fill(sample as f32 / 600.0);
            }
        }
        if let Some(y) = rows.floats(Part::Target(0)) {
            y.fill(0.5);
        }
        Ok(())
    }
}

#[test]
fn a_frozen_base_sees_629_megabytes_a_few_at_a_time() {
    let layers = layers![
        Input::new([256, 256, 4]),
        GlobalAveragePooling2D::new(),
        Dense::new(3).named("base"),
        Dense::new(1),
    ];
    let mut model = Sequential::new(layers).unwrap();
    model.freeze("base").unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    let data = Large(Mutex::new(0));
    model.fit_dataset(&data, silent().epochs(2)).unwrap();
    model.evaluate_dataset(&data).unwrap();
    model.predict_dataset(&data).unwrap();
    let most = *data.0.lock().unwrap();
    assert!(most > 0 && most <= 64 << 20, "{most}");
}

#[test]
fn samples_that_are_not_fixed_are_new_in_each_epoch_and_the_same_again() {
    let data = Copied {
        noisy: true,
        ..Copied::new(40)
    };
    let fit = |seed: u64, epochs: usize| {
        let mut model = model(3);
        let options = silent().epochs(epochs).seed(seed).validation_split(0.25);
        let history = model.fit_dataset(&data, options).unwrap();
        trained(&model, &history)
    };
    let once = fit(1, 3);
    // Nothing is kept, though all layers in front are frozen; in each epoch they are read anew.
    assert_eq!(data.asked().0, [3; 40]);
    assert_eq!(fit(1, 3), once);
    assert_ne!(fit(2, 3), once);
    // As arrays without noise they would give the same features in both epochs.
    let seen = Mutex::new(Vec::new());
    let look = LambdaCallback::new().on_batch_end(|_, _, context| {
        seen.lock()
            .unwrap()
            .push(bits(context.predictions(0).unwrap().as_slice()));
        Ok(())
    });
    let mut still = model(5);
    still
        .compile(SGD::new(1e-30), "sparse_categorical_crossentropy", ())
        .unwrap();
    still.unfreeze(4..5).unwrap();
    let options = Fit::new()
        .epochs(2)
        .batch_size(40)
        .shuffle(false)
        .callback(look);
    still
        .fit_dataset(&data, options.verbosity(Verbosity::Silent))
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert_ne!(seen[0], seen[1]);
}

/// Does one thing wrong.
struct Wrong(&'static str);

impl Dataset for Wrong {
    fn len(&self) -> usize {
        if self.0 == "empty" { 0 } else { 9 }
    }

    fn inputs(&self) -> Vec<RowSpec> {
        match self.0 {
            "shape" => vec![RowSpec::floats([4])],
            "type" => vec![RowSpec::integers([5])],
            "inputs" => vec![RowSpec::floats([5]); 2],
            _ => vec![RowSpec::floats([5])],
        }
    }

    fn targets(&self) -> Vec<RowSpec> {
        match self.0 {
            "target shape" => vec![RowSpec::integers([3])],
            "target type" => vec![RowSpec::floats([])],
            "targets" => vec![],
            _ => vec![RowSpec::integers([])],
        }
    }

    fn has_weights(&self) -> bool {
        self.0 == "weight"
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if self.0 == "file" {
            return Err(Detail::new("picture 7", "a JPEG file", "nothing"));
        }
        for (row, &sample) in samples.iter().enumerate() {
            let spoilt = sample == 6;
            if let Some(x) = rows.floats(Part::Input(0)) {
                x[5 * row..][..5].fill(1.0);
                if spoilt && self.0 == "unwritten" {
                    x[5 * row + 3] = f32::NAN;
                }
            }
            if let Some(y) = rows.integers(Part::Target(0))
                && !(spoilt && self.0 == "unwritten target")
            {
                y[row] = if spoilt && self.0 == "label" { 3 } else { 1 };
            }
            if let Some(weights) = rows.weights()
                && !spoilt
            {
                weights[row] = 1.0;
            }
        }
        Ok(())
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (what, words) in [
        ("empty", &["samples", "at least 1"][..]),
        ("shape", &["input", "(None, 5)", "[4]"]),
        ("type", &["input", "(None, 5)", "float32", "int32"]),
        ("inputs", &["1 inputs", "2"]),
        ("target shape", &["target", "[3]"]),
        ("target type", &["target", "int32", "float32"]),
        ("targets", &["1 targets", "0"]),
        ("unwritten", &["input 0, sample 6, element 3", "finite"]),
        ("unwritten target", &["target 0, sample 6", "0..3"]),
        ("label", &["target 0, sample 6", "0..3", "3"]),
        ("weight", &["weight of sample 6", "NaN"]),
        ("file", &["picture 7", "JPEG"]),
    ] {
        let data = Wrong(what);
        let mut model = model(0);
        let options = silent().shuffle(false);
        let error = model.fit_dataset(&data, options).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{what}: {word} is not in: {error}");
        }
        assert_eq!(
            model.evaluate_dataset(&data).unwrap_err().to_string(),
            error
        );
    }
    assert!(model(0).fit_dataset(&Wrong(""), silent()).is_ok());
    // Weights of classes that samples do not have.
    let x = Array2::<f32>::zeros((4, 2));
    let y = Array3::<f32>::zeros((4, 2, 2));
    let mut model = Sequential::new(layers![
        Input::new([2]),
        Dense::new(4),
        Reshape::new([2, 2]),
    ])
    .unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    let data = Arrays::new(&x, &y).unwrap();
    let weighted = silent().class_weight([(1, 2.0)]);
    let error = model.fit_dataset(&data, weighted).unwrap_err();
    assert!(error.to_string().contains("class_weight"), "{error}");
}

#[test]
fn callbacks_see_the_batch() {
    let data = Copied::new(20);
    let mut model = model(1);
    let weights = |model: &Model| model.weight("dense_2/kernel").unwrap().value().clone();
    let mut before = weights(&model);
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(SGD::new(0.5), loss, ()).unwrap();
    let mut steps = 0;
    let look = LambdaCallback::new().on_batch_end(|_, step, context| {
        // What the step did is its gradient, by the rule w − rate · g.
        let after = weights(context.model);
        let gradient = context.gradient("dense_2/kernel").unwrap();
        for ((before, after), gradient) in
            before.as_slice().iter().zip(after.as_slice()).zip(gradient)
        {
            assert_eq!(*after, before - 0.5 * gradient);
        }
        before = after;
        assert_eq!(context.gradient("dense/kernel"), None, "it is frozen");
        let trained: Vec<&str> = context.gradients().map(|(path, _)| path).collect();
        assert_eq!(trained.len(), 6, "{trained:?}");
        // The loss of the batch, from its predictions and targets.
        let predictions = context.predictions(0).unwrap();
        let rows = predictions.as_slice().chunks_exact(3);
        let Some(Slice::I32(targets)) = context.targets(0) else {
            panic!("classes");
        };
        let from = 8 * step;
        let expected: Vec<i32> = data.y[from..(from + 8).min(20)].to_vec();
        assert_eq!(targets, expected);
        let losses = rows.zip(targets).map(|(row, &class)| {
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            sum.ln() - f64::from(row[class as usize])
        });
        let loss = losses.sum::<f64>() / targets.len() as f64;
        let given = context.batch_loss().unwrap();
        assert!(
            (given - loss).abs() < 1e-5 * loss.abs().max(1.0),
            "{given} {loss}"
        );
        assert!(context.predictions(1).is_none() && context.targets(1).is_none());
        assert_eq!(
            context.sample_weights(0).map(<[f32]>::len),
            Some(targets.len())
        );
        steps += 1;
        Ok(())
    });
    let options = silent()
        .shuffle(false)
        .class_weight([(7, 2.0)])
        .callback(look);
    model.fit_dataset(&data, options).unwrap();
    assert_eq!(steps, 3);
}

/// Lends everything, also what it should not.
struct Lent {
    inputs: Vec<RowSpec>,
    x: Vec<f32>,
    integers: Vec<i32>,
    y: Vec<i32>,
    /// How many elements fewer are lent than were asked for.
    short: usize,
}

impl Dataset for Lent {
    fn len(&self) -> usize {
        self.y.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.inputs.clone()
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn fill(&self, _: &[usize], _: Key, _: &mut Rows) -> Result<(), Detail> {
        panic!("all is lent");
    }

    fn lend(&self, part: Part, samples: std::ops::Range<usize>) -> Option<Slice<'_>> {
        let row = self.inputs[0].elements();
        let inputs = row * samples.start..row * samples.end - self.short;
        Some(match part {
            Part::Input(_) if self.x.is_empty() => Slice::I32(&self.integers[inputs]),
            Part::Input(_) => Slice::F32(&self.x[inputs]),
            Part::Target(_) => Slice::I32(&self.y[samples.start..samples.end - self.short]),
        })
    }
}

impl Lent {
    fn floats(samples: usize) -> Self {
        Lent {
            inputs: vec![RowSpec::floats([5])],
            x: vec![0.5; 5 * samples],
            integers: Vec::new(),
            y: (0..samples as i32).map(|sample| sample % 3).collect(),
            short: 0,
        }
    }
}

/// Rows that a data set lends instead of writing them.
#[test]
fn what_is_lent_is_checked_as_what_is_written() {
    let options = || silent().shuffle(false);
    let both = |data: &dyn Dataset, words: &[&str]| {
        // With kept features of a frozen part, and without.
        let mut errors = Vec::new();
        for frozen in [0, 2] {
            let mut model = model(frozen);
            let good = Lent::floats(9);
            errors.push(model.fit_dataset(data, options()).unwrap_err());
            errors.push(model.evaluate_dataset(data).unwrap_err());
            let validated = options().validation_dataset(data);
            errors.push(model.fit_dataset(&good, validated).unwrap_err());
            let weighted = options().class_weight([(1, 2.0)]);
            errors.push(model.fit_dataset(data, weighted).unwrap_err());
        }
        for error in errors {
            let error = error.to_string();
            for word in words {
                assert!(error.contains(word), "{word} is not in: {error}");
            }
        }
    };
    let mut nan = Lent::floats(9);
    nan.x[5 * 6 + 3] = f32::NAN;
    let place = ["input 0, sample 6, element 3", "finite", "NaN"];
    both(&nan, &place);
    let error = model(0).predict_dataset(&nan).unwrap_err().to_string();
    assert!(error.contains(place[0]), "{error}");
    let x = Array2::from_shape_vec((9, 5), nan.x.clone()).unwrap();
    both(&Arrays::new(&x, &nan.y).unwrap(), &place);
    for label in [3, -1] {
        let mut wrong = Lent::floats(9);
        wrong.y[6] = label;
        both(&wrong, &["target 0, sample 6", "0..3", &label.to_string()]);
    }
    let mut short = Lent::floats(9);
    short.short = 1;
    both(&short, &["lend", "elements"]);
    let mut other = Lent::floats(9);
    other.integers = vec![1; 45];
    other.x.clear();
    both(&other, &["float32", "int32"]);

    // Integers that an input does not hold.
    let mut small = Sequential::new(layers![
        Input::new([5]).of_type(regraft_layers::ElementType::Int8),
        Embedding::new(200, 2),
        Flatten::new(),
        Dense::new(3),
    ])
    .unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    small.compile("sgd", loss, ()).unwrap();
    let mut bytes = Lent::floats(9);
    bytes.inputs = vec![RowSpec::integers([5])];
    bytes.integers = vec![1; 45];
    bytes.x.clear();
    small.fit_dataset(&bytes, options()).unwrap();
    bytes.integers[5 * 6 + 3] = 128;
    let error = small.fit_dataset(&bytes, options()).unwrap_err();
    assert!(error.to_string().contains(place[0]), "{error}");
}

/// A data set has no names of its inputs.
#[test]
fn arrays_with_names_are_no_data_set() {
    let x = Array2::<f32>::zeros((4, 5));
    let error = Arrays::new([("right", &x), ("left", &x)], &[0; 4]).unwrap_err();
    for word in ["right", "order"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(Arrays::new(&x, ("y", &[0; 4])).is_err());
    // Nor is a number one: it has no samples.
    for error in [
        Arrays::new(&arr0(1.0_f32), &[0]),
        Arrays::new(&Array2::<f32>::zeros((1, 5)), &arr0(0)),
        Arrays::new(&arr0(1.0_f32), &arr0(0)),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("first axis"), "{error}");
    }
}

/// What is wrong in a stream is said with the names, what is expected, and what helps.
#[test]
fn what_is_wrong_in_a_stream_says_what_helps() {
    let mut model = model(0);
    let error = |model: &mut Model, data: Lent| {
        let error = model.evaluate_dataset(&data).unwrap_err().to_string();
        assert!(!error.contains("must be written"), "{error}");
        error
    };
    let mut label = Lent::floats(9);
    label.y[6] = 3;
    let said = error(&mut model, label);
    assert!(
        said.contains("from 0") && said.contains("\"dense_2\""),
        "{said}"
    );
    let loss = SparseCategoricalCrossentropy::from_logits().ignore_class(-1);
    model.compile("sgd", loss, ()).unwrap();
    let mut label = Lent::floats(9);
    label.y[6] = 7;
    let said = error(&mut model, label);
    assert!(said.contains("-1"), "{said}");
    let unwritten = model.evaluate_dataset(&Wrong("unwritten")).unwrap_err();
    assert!(
        unwritten.to_string().contains("must be written"),
        "{unwritten}"
    );
}

/// Data sets give the types that are asked for; where arrays would be converted, it is said how.
#[test]
fn other_types_than_those_asked_for_are_said_with_what_helps() {
    let y = [0, 1, 0];
    let (floats, bytes) = (Array2::<f32>::zeros((3, 5)), Array2::<u8>::zeros((3, 5)));
    let integers = Array2::<i32>::zeros((3, 5));
    let compiled = |mut model: Model, loss: &str| {
        model.compile("sgd", loss, ()).unwrap();
        model
    };
    let dense = || Sequential::new(layers![Input::new([5]), Dense::new(1)]).unwrap();
    let tokens = Sequential::new(layers![
        Input::integers([5]),
        Embedding::new(4, 2),
        Flatten::new(),
        Dense::new(3),
    ]);
    let tokens = compiled(tokens.unwrap(), "sparse_categorical_crossentropy");
    let labels = Arrays::new(&floats, &y).unwrap();
    let features = Arrays::new(&integers, &[0.0_f32, 1.0, 0.0]).unwrap();
    let bytes = Arrays::new(&bytes, &y).unwrap();
    let wide = Array2::<f32>::zeros((3, 2));
    let wide = Arrays::new(&floats, &wide).unwrap();
    for (mut model, data, word) in [
        (compiled(dense(), "mse"), &labels, "RowSpec::floats"),
        (compiled(dense(), "binary_crossentropy"), &labels, "as f32"),
        (compiled(dense(), "mse"), &features, "RowSpec::floats"),
        (tokens, &bytes, "RowSpec::integers"),
        (compiled(dense(), "mse"), &wide, "one sample"),
    ] {
        for error in [
            model.fit_dataset(data, silent()).unwrap_err(),
            model.evaluate_dataset(data).unwrap_err(),
        ] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
}

/// A head of other classes, another input, more outputs: put in the model's place while it is trained.
#[test]
fn data_are_checked_anew_when_a_callback_changes_the_model() {
    let x = Array2::<f32>::zeros((9, 5));
    let y = [0, 1, 2, 0, 1, 2, 0, 1, 2];
    let two_outputs = || {
        let mut f = Functional::new();
        let x = f.input([5]);
        let (a, b) = (
            f.apply(Dense::new(3), &[x]).unwrap(),
            f.apply(Dense::new(3), &[x]).unwrap(),
        );
        f.model(&[("x", x)], &[("a", a), ("b", b)]).unwrap()
    };
    let sized = |inputs: usize, classes: usize| {
        Sequential::new(layers![Input::new([inputs]), Dense::new(classes)]).unwrap()
    };
    let sparse = || SparseCategoricalCrossentropy::from_logits();
    let compiled = |mut model: Model| {
        model.compile("sgd", sparse(), ()).unwrap();
        model
    };
    let mut regression = sized(5, 3);
    regression.compile("sgd", "mse", ()).unwrap();
    for (what, other, word) in [
        ("outputs", compiled(two_outputs()), "2 targets"),
        ("classes", compiled(sized(5, 2)), "0..2"),
        ("inputs", compiled(sized(4, 3)), "(None, 4)"),
        ("loss", regression, "float32"),
        ("more classes", compiled(sized(5, 4)), ""),
    ] {
        for (moment, frozen) in [(0, 0), (1, 2), (1, 0), (2, 0)] {
            for streamed in [false, true] {
                let put = |now: usize, context: &mut Context<'_>| {
                    if now == moment {
                        *context.model = other.clone();
                    }
                    Ok(())
                };
                let callback = LambdaCallback::new()
                    .on_train_begin(|context, _| put(2, context))
                    .on_epoch_begin(|_, context| put(1, context))
                    .on_batch_end(|_, _, context| put(0, context));
                let mut model = model(frozen);
                let validation = Arrays::new(&x, &y).unwrap();
                let options = silent().epochs(3).callback(callback);
                let fitted = match streamed {
                    true => model.fit_dataset(&validation, options),
                    false => model.fit(&x, &y, options.validation_data(&x, &y)),
                };
                let at = format!("{what} at {moment}, {frozen} frozen, streamed: {streamed}");
                match (word, fitted) {
                    ("", fitted) => assert!(fitted.is_ok(), "{at}: {fitted:?}"),
                    (word, Ok(_)) => panic!("{at}: {word}"),
                    (word, Err(error)) => {
                        assert!(error.to_string().contains(word), "{at}: {error}");
                    }
                }
            }
        }
    }
}

/// A loop over what `read_batch` gives is `fit_dataset`, of samples that are drawn anew in each epoch and have
/// weights.
#[test]
fn a_loop_of_ones_own_reads_what_fit_reads() {
    let data = Copied {
        noisy: true,
        ..Copied::new(23)
    };
    let mut fitted = model(2);
    let options = silent().epochs(3).batch_size(8).seed(9);
    fitted.fit_dataset(&data, options).unwrap();
    let mut own = model(2);
    let step = own.train_step("adam", |step| {
        let (y, output) = (step.feed_classes("y", &[]), step.output(0));
        Ok(step.loss(SparseCategoricalCrossentropy::from_logits(), y, output))
    });
    let mut step = step.unwrap().seed(9);
    for epoch in 0..3 {
        for samples in batches(23, 8, 9, epoch) {
            let batch = read_batch(&data, &samples, 9, epoch).unwrap();
            step.run(&mut own, batch).unwrap();
        }
    }
    let values = |model: &Model| -> Vec<Vec<f32>> {
        let weights = model.weights().iter();
        weights.map(|it| it.value().as_slice().to_vec()).collect()
    };
    assert_eq!(values(&own), values(&fitted));
    // Weights come last, and what is not there or not written is said.
    let weighted = Copied {
        weights: Some(vec![0.5; 23]),
        ..Copied::new(23)
    };
    let batch = read_batch(&weighted, &[2, 0], 0, 0).unwrap();
    let shapes: Vec<&[usize]> = batch.iter().map(Data::shape).collect();
    assert_eq!(shapes, [&[2, 5][..], &[2], &[2]]);
    let error = read_batch(&weighted, &[23], 0, 0).unwrap_err();
    assert!(error.to_string().contains("below 23"), "{error}");
    let error = read_batch(&Unwritten, &[0], 0, 0).unwrap_err();
    assert!(error.to_string().contains("sample 0"), "{error}");
}

/// A data set that writes nothing.
struct Unwritten;

impl Dataset for Unwritten {
    fn len(&self) -> usize {
        1
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([3])]
    }

    fn fill(&self, _: &[usize], _: Key, _: &mut Rows) -> Result<(), Detail> {
        Ok(())
    }
}
