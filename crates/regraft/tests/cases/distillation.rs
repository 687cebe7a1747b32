//! Distillation within `fit`: the numbers of Keras' loop, the teacher asked once, and teachers that do not fit.

use std::sync::atomic::{AtomicUsize, Ordering};

use regraft::callbacks::LambdaCallback;
use regraft::data::{Dataset, Part, RowSpec, Rows, batches};
use regraft::extend::Detail;
use regraft::layers::{Dense, Dropout, Functional, Input, layers};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array1, Array2, Axis, concatenate};
use regraft::optimizers::{Adam, SGD};
use regraft::random::Key;
use regraft::{Distillation, FeatureCache, Fit, Freezing, Model, Sequential, Tensor, Verbosity};

use crate::loops::{adam, compare, examples, golden, labelled, model, singly};

fn silent<'a>() -> Fit<'a> {
    Fit::new().shuffle(false).verbosity(Verbosity::Silent)
}

fn stack(seed: u64, softmax: bool) -> Model {
    let head = match softmax {
        true => Dense::new(3).activation("softmax"),
        false => Dense::new(3),
    };
    let layers = layers![Input::new([4]), Dense::new(6).activation("tanh"), head];
    let mut model = Sequential::with_seed(layers, seed).unwrap();
    let loss = match softmax {
        true => SparseCategoricalCrossentropy::default(),
        false => SparseCategoricalCrossentropy::from_logits(),
    };
    model.compile(SGD::new(0.1), loss, ["accuracy"]).unwrap();
    model
}

fn samples() -> (Array2<f32>, Array1<i32>) {
    let x = Array2::from_shape_fn((40, 4), |(i, j)| ((i * 7 + j * 13 + 1) as f32 * 0.61).sin());
    (x, (0..40).map(|i| (i * i + 3 * i) % 3).collect())
}

fn bits(model: &Model) -> Vec<u32> {
    let values = model.weights().iter().flat_map(|it| it.value().as_slice());
    values.map(|value| value.to_bits()).collect()
}

#[test]
fn it_is_kerass_loop() {
    let case = golden("distillation");
    let data = labelled(&case);
    let x: Vec<_> = data.iter().map(|(x, _)| x.view()).collect();
    let y: Vec<_> = data.iter().map(|(_, y)| y.view()).collect();
    let (x, y) = (
        concatenate(Axis(0), &x).unwrap(),
        concatenate(Axis(0), &y).unwrap(),
    );
    let teacher = model(&case, "teacher");
    let known = teacher.predict(&x).unwrap();
    let probabilities = {
        let rows = known.as_slice().chunks(3).flat_map(|row| {
            let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            row.iter()
                .map(move |logit| (f64::from(*logit).exp() / sum) as f32)
        });
        Tensor::new(known.shape(), rows.collect()).unwrap()
    };
    for source in 0..3 {
        let distillation = match source {
            0 => Distillation::by(&teacher),
            1 => Distillation::by_logits(&known),
            _ => Distillation::by_probabilities(&probabilities),
        };
        let mut student = model(&case, "student");
        let loss = SparseCategoricalCrossentropy::from_logits();
        student.compile(adam(&case, "student"), loss, ()).unwrap();
        let mut losses = Vec::new();
        let callback = LambdaCallback::new().on_batch_end(|_, _, context| {
            losses.extend(context.batch_loss());
            Ok(())
        });
        let fit = silent().batch_size(8).callback(callback);
        let fit = fit.distillation(distillation.temperature(4.0).alpha(0.9));
        student.fit(&x, &y, fit).unwrap();
        compare(&case, &singly(losses), &[("student", &student)]);
    }
    // And the loop of one's own.
    let mut student = model(&case, "student");
    let losses = examples::distillation(&teacher, &mut student, adam(&case, "student"), &data);
    compare(&case, &singly(losses.unwrap()), &[("student", &student)]);
}

#[test]
fn a_softmax_at_the_end_is_the_same_as_logits() {
    let (x, y) = samples();
    let mut trained = Vec::new();
    for (teacher_ends, student_ends) in [(false, false), (true, false), (false, true)] {
        let (teacher, mut student) = (stack(1, teacher_ends), stack(2, student_ends));
        let fit = silent()
            .epochs(3)
            .distillation(Distillation::by(&teacher).alpha(0.7));
        student.fit(&x, &y, fit).unwrap();
        trained.push(
            student
                .weight("dense_1/kernel")
                .unwrap()
                .value()
                .as_slice()
                .to_vec(),
        );
    }
    for other in &trained[1..] {
        for (ours, logits) in other.iter().zip(&trained[0]) {
            assert!((ours - logits).abs() < 2e-6, "{ours} {logits}");
        }
    }
}

/// Samples that count how often they are read.
struct Counted {
    x: Array2<f32>,
    y: Array1<i32>,
    read: AtomicUsize,
    fixed: bool,
}

impl Dataset for Counted {
    fn len(&self) -> usize {
        self.y.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([4])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn is_fixed(&self) -> bool {
        self.fixed
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        self.read.fetch_add(samples.len(), Ordering::Relaxed);
        if let Some(x) = rows.floats(Part::Input(0)) {
            for (row, &sample) in x.chunks_exact_mut(4).zip(samples) {
                row.copy_from_slice(self.x.row(sample).as_slice().unwrap());
            }
        }
        if let Some(y) = rows.integers(Part::Target(0)) {
            for (y, &sample) in y.iter_mut().zip(samples) {
                *y = self.y[sample];
            }
        }
        Ok(())
    }
}

/// A data set of the samples, and how often one was read.
fn counted(fixed: bool) -> Counted {
    let (x, y) = samples();
    let read = AtomicUsize::new(0);
    Counted { x, y, read, fixed }
}

#[test]
fn the_teacher_is_asked_once_for_each_sample_that_is_trained_on() {
    let teacher = stack(1, false);
    let before = bits(&teacher);
    let fit = |epochs| {
        let fit = Fit::new().epochs(epochs).verbosity(Verbosity::Silent);
        fit.batch_size(7)
            .validation_split(0.25)
            .feature_cache(FeatureCache::Off)
    };
    let mut reads = Vec::new();
    for taught in [false, true] {
        let data = counted(true);
        let mut student = stack(2, false);
        let options = match taught {
            true => fit(5).distillation(Distillation::by(&teacher)),
            false => fit(5),
        };
        let history = student.fit_dataset(&data, options).unwrap();
        assert!(history.last("val_loss").is_some());
        reads.push(data.read.load(Ordering::Relaxed));
    }
    assert_eq!(reads[1] - reads[0], 30);
    assert_eq!(bits(&teacher), before);

    // From arrays, in any order, with kept features and without, it is the same to the last bit; and so it is of answers
    // that are given.
    let (x, y) = samples();
    let known = teacher.predict(&x).unwrap();
    let mut trained = Vec::new();
    for way in 0..4 {
        let mut student = stack(2, false);
        student.freeze("dense").unwrap();
        let distillation = match way {
            3 => Distillation::by_logits(&known),
            _ => Distillation::by(&teacher),
        };
        let options = fit(5).distillation(distillation);
        let history = match way {
            0 => student.fit(&x, &y, options),
            1 => student.fit_dataset(&counted(true), options),
            _ => student.fit(&x, &y, options.feature_cache(FeatureCache::Auto)),
        };
        trained.push((bits(&student), history.unwrap()));
    }
    for other in &trained[1..] {
        assert_eq!(other.0, trained[0].0);
        assert_eq!(other.1.last("loss"), trained[0].1.last("loss"));
    }
}

#[test]
fn in_any_order_each_sample_has_its_own_answers() {
    let (x, y) = samples();
    let teacher = stack(1, false);
    let mut student = stack(2, false);
    let loss = SparseCategoricalCrossentropy::from_logits();
    student.compile(Adam::new(0.01), loss, ()).unwrap();
    let fit = Fit::new()
        .batch_size(8)
        .seed(3)
        .verbosity(Verbosity::Silent);
    let taught = Distillation::by(&teacher).temperature(4.0).alpha(0.9);
    student.fit(&x, &y, fit.distillation(taught)).unwrap();
    // The loop of one's own, with the batches that `fit` takes.
    let rows = batches(40, 8, 3, 0).into_iter();
    let data = rows.map(|rows| (x.select(Axis(0), &rows), y.select(Axis(0), &rows)));
    let mut other = stack(2, false);
    let data: Vec<_> = data.collect();
    examples::distillation(&teacher, &mut other, Adam::new(0.01), &data).unwrap();
    for (ours, theirs) in student.weights().iter().zip(other.weights().iter()) {
        let values = ours
            .value()
            .as_slice()
            .iter()
            .zip(theirs.value().as_slice());
        for (ours, theirs) in values {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }
}

#[test]
fn validation_has_the_loss_alone_and_weights_count_in_both_parts() {
    let (x, y) = samples();
    let teacher = stack(1, false);
    let mut student = stack(2, false);
    student.freeze("dense").unwrap();
    let options = silent().epochs(2).validation_data(&x, &y);
    let options = options.distillation(Distillation::by(&teacher).alpha(1.0));
    let history = student.fit(&x, &y, options).unwrap();
    let scores = student.evaluate(&x, &y).unwrap();
    let loss = history.last("val_loss").unwrap();
    assert!((scores.loss - loss).abs() < 1e-5, "{scores:?} {loss}");

    // Samples of weight 0 are as if they were not there, but for what the mean is divided by.
    let weights: Vec<f32> = (0..40).map(|i| if i < 20 { 2.0 } else { 0.0 }).collect();
    let taught = || Distillation::by(&teacher).alpha(0.6);
    let (mut weighted, mut half) = (stack(2, false), stack(2, false));
    let options = silent().batch_size(40).sample_weight(&weights);
    weighted
        .fit(&x, &y, options.distillation(taught()))
        .unwrap();
    let (first, labels) = (
        x.slice_axis(Axis(0), (0..20).into()),
        y.slice_axis(Axis(0), (0..20).into()),
    );
    let options = silent().batch_size(20).distillation(taught());
    half.fit(&first, &labels, options).unwrap();
    for (weighted, half) in weighted.weights().iter().zip(half.weights().iter()) {
        let values = weighted
            .value()
            .as_slice()
            .iter()
            .zip(half.value().as_slice());
        for (ours, theirs) in values {
            assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
        }
    }
    // Without a share of the teacher it is plain training.
    let (mut plain, mut taught) = (stack(2, false), stack(2, false));
    plain.fit(&x, &y, silent()).unwrap();
    let none = Distillation::by(&teacher).alpha(0.0);
    taught.fit(&x, &y, silent().distillation(none)).unwrap();
    assert_eq!(bits(&plain), bits(&taught));
}

#[test]
fn teachers_that_do_not_fit_are_refused_and_nothing_changes() {
    let (x, y) = samples();
    let teacher = stack(1, false);
    let mut student = stack(2, false);
    let names = ["a", "b", "c"];
    student.set_class_names(names);
    let before = bits(&student);
    let mut refused = |distillation: Distillation<'_>, parts: &[&str]| {
        let fit = silent().distillation(distillation);
        let text = student.fit(&x, &y, fit).unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(bits(&student), before);
    };
    let other = |width: usize, activation: &str, names: Option<[&str; 3]>| {
        let head = Dense::new(width).activation(activation);
        let mut model = Sequential::new(layers![Input::new([4]), head]).unwrap();
        if let Some(names) = names {
            model.set_class_names(names);
        }
        model
    };
    let five = other(5, "linear", None);
    refused(Distillation::by(&five), &["[3]", "5", "same classes"]);
    let swapped = other(3, "linear", Some(["a", "c", "b"]));
    refused(Distillation::by(&swapped), &["a, b, c", "a, c, b"]);
    let labels = other(3, "sigmoid", None);
    refused(Distillation::by(&labels), &["sigmoid"]);
    refused(
        Distillation::by(&teacher).temperature(0.0),
        &["temperature"],
    );
    refused(Distillation::by(&teacher).alpha(1.5), &["alpha"]);
    let few = Tensor::zeros([39, 3]);
    refused(Distillation::by_logits(&few), &["[40, 3]", "[39, 3]"]);
    let mut wrong = Tensor::zeros([40, 3]);
    wrong.as_mut_slice()[7] = f32::NAN;
    refused(Distillation::by_logits(&wrong), &["answers"]);
    wrong.as_mut_slice()[7] = 2.0;
    refused(
        Distillation::by_probabilities(&wrong),
        &["sample 2", "by_logits"],
    );

    // Samples that are others in each epoch, and students of several outputs.
    let fit = silent().distillation(Distillation::by(&teacher));
    let text = student
        .fit_dataset(&counted(false), fit)
        .unwrap_err()
        .to_string();
    assert!(text.contains("train_step"), "{text}");
    let mut f = Functional::with_seed(1);
    let input = f.input([4]);
    let outputs = [Dense::new(3), Dense::new(3)].map(|it| f.apply(it, &[input]).unwrap());
    let mut model = f.model(&[input], &outputs).unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ()).unwrap();
    let fit = silent().distillation(Distillation::by(&teacher));
    let text = model.fit(&x, (&y, &y), fit).unwrap_err().to_string();
    assert!(text.contains("1 output"), "{text}");
}

#[test]
fn a_small_student_learns_more_of_a_teacher_than_of_few_labels() {
    // Points within and without a circle, of which few are labelled at random.
    let x = Array2::from_shape_fn((600, 4), |(i, j)| {
        ((i * (j + 3) * 37 + 11 * j) as f32 * 0.37).sin()
    });
    let class = |i: usize| i32::from(x[[i, 0]] * x[[i, 1]] > 0.0) + i32::from(x[[i, 2]] > 0.5);
    let y: Array1<i32> = (0..600).map(class).collect();
    let mut noisy = y.clone();
    for (index, label) in noisy.iter_mut().enumerate() {
        if index % 3 == 0 {
            *label = (*label + 1 + (index / 3 % 2) as i32) % 3;
        }
    }
    let mut teacher = Sequential::with_seed(
        layers![
            Input::new([4]),
            Dense::new(64).activation("relu"),
            Dense::new(3)
        ],
        1,
    )
    .unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits;
    teacher
        .compile(Adam::new(0.01), loss(), ["accuracy"])
        .unwrap();
    let fit = || Fit::new().epochs(40).verbosity(Verbosity::Silent);
    teacher.fit(&x, &y, fit()).unwrap();
    let mut accuracy = Vec::new();
    for alpha in [0.0, 0.9] {
        let stack = layers![
            Input::new([4]),
            Dropout::new(0.0),
            Dense::new(24).activation("relu"),
            Dense::new(3)
        ];
        let mut student = Sequential::with_seed(stack, 5).unwrap();
        student
            .compile(Adam::new(0.01), loss(), ["accuracy"])
            .unwrap();
        student
            .set_freezing("dropout", Freezing::Trainable)
            .unwrap();
        let taught = Distillation::by(&teacher).temperature(2.0).alpha(alpha);
        student.fit(&x, &noisy, fit().distillation(taught)).unwrap();
        accuracy.push(student.evaluate(&x, &y).unwrap().get("accuracy").unwrap());
    }
    assert!(accuracy[1] > accuracy[0] + 0.01, "{accuracy:?}");
}
