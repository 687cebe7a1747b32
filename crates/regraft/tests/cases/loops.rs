//! Loops of one's own: the same bits as `fit`, the same numbers as loops in Keras, and nothing written that is
//! frozen.

use regraft::callbacks::LambdaCallback;
use regraft::layers::{
    BatchNormalization, Conv2D, Dense, Dropout, Embedding, Flatten, Functional, Input, LayerExt,
    SpectralNormalization, layers,
};
use regraft::losses::{LossFunction, SparseCategoricalCrossentropy};
use regraft::ndarray::{Array1, Array2, ArrayD, Axis, Ix2, IxDyn};
use regraft::optimizers::{Adam, AdamW, Optimizer, SGD, schedules::ExponentialDecay};
use regraft::train_step::{Gradients, StepBuilder};
use regraft::{
    Data, FeatureCache, Fit, IntoData, Model, Result, Sequential, Tensor, TrainStep, Verbosity,
};
use regraft_autograd::Var;
use serde_json::Value;

#[allow(dead_code)]
#[path = "../../examples/loops.rs"]
pub(crate) mod examples;

const SAMPLES: usize = 22;

fn array(shape: &[usize], seed: usize) -> ArrayD<f32> {
    let length = shape.iter().product();
    let number = |index: usize| ((index * 7 + seed * 13 + 1) as f32 * 0.61).sin();
    ArrayD::from_shape_vec(IxDyn(shape), (0..length).map(number).collect()).unwrap()
}

fn integers(shape: &[usize], most: i32) -> ArrayD<i32> {
    let length = shape.iter().product::<usize>() as i32;
    let number = |index: i32| (index * index + 3 * index) % most;
    ArrayD::from_shape_vec(IxDyn(shape), (0..length).map(number).collect()).unwrap()
}

enum Array {
    Floats(ArrayD<f32>),
    Integers(ArrayD<i32>),
}

impl Array {
    fn data(&self) -> Data<'_> {
        let data = match self {
            Array::Floats(it) => it.into_data(),
            Array::Integers(it) => it.into_data(),
        };
        data.unwrap()
    }

    fn rows(&self, rows: &[usize]) -> Array {
        match self {
            Array::Floats(it) => Array::Floats(it.select(Axis(0), rows)),
            Array::Integers(it) => Array::Integers(it.select(Axis(0), rows)),
        }
    }
}

/// A model with data, and the loss of each output.
struct Plan {
    model: Model,
    inputs: Vec<Array>,
    targets: Vec<Array>,
    losses: Vec<LossFunction>,
}

fn dense() -> Plan {
    let layers = layers![
        Input::new([4]),
        Dense::new(6).activation("relu").kernel_regularizer("l2"),
        Dense::new(3).kernel_constraint("unit_norm"),
    ];
    Plan {
        model: Sequential::with_seed(layers, 1).unwrap(),
        inputs: vec![Array::Floats(array(&[SAMPLES, 4], 1))],
        targets: vec![Array::Integers(integers(&[SAMPLES], 3))],
        losses: vec![SparseCategoricalCrossentropy::from_logits().into()],
    }
}

/// With a frozen part in front.
fn images() -> Plan {
    let layers = layers![
        Input::new([6, 6, 2]),
        Conv2D::new(4, 3).named("stem"),
        BatchNormalization::new().named("fixed"),
        Conv2D::new(3, 3).activation("relu").named("middle"),
        BatchNormalization::new(),
        Dropout::new(0.3),
        Flatten::new(),
        Dense::new(2),
    ];
    let mut model = Sequential::with_seed(layers, 2).unwrap();
    model.freeze("stem").unwrap();
    model.freeze("fixed").unwrap();
    Plan {
        model,
        inputs: vec![Array::Floats(array(&[SAMPLES, 6, 6, 2], 2))],
        targets: vec![Array::Floats(array(&[SAMPLES, 2], 3))],
        losses: vec!["mse".into()],
    }
}

/// Padding does not count.
fn masked() -> Plan {
    let layers = layers![
        Input::new([5]),
        Embedding::new(4, 3).mask_zero(true),
        Dense::new(2),
    ];
    Plan {
        model: Sequential::with_seed(layers, 3).unwrap(),
        inputs: vec![Array::Integers(integers(&[SAMPLES, 5], 4))],
        targets: vec![Array::Floats(array(&[SAMPLES, 5, 2], 4))],
        losses: vec!["mse".into()],
    }
}

/// Of two inputs and two outputs.
fn forked() -> Plan {
    let mut f = Functional::new();
    let (a, b) = (f.input([3]), f.input([2]));
    let first = f.apply(Dense::new(4).activation("tanh"), &[a]).unwrap();
    let second = f.apply(Dense::new(4), &[b]).unwrap();
    let sum = f.apply(regraft::layers::Add, &[first, second]).unwrap();
    let one = f.apply(Dense::new(2), &[sum]).unwrap();
    let two = f.apply(Dense::new(3), &[sum]).unwrap();
    Plan {
        model: f.model(&[a, b], &[one, two]).unwrap(),
        inputs: vec![
            Array::Floats(array(&[SAMPLES, 3], 5)),
            Array::Floats(array(&[SAMPLES, 2], 6)),
        ],
        targets: vec![
            Array::Floats(array(&[SAMPLES, 2], 7)),
            Array::Integers(integers(&[SAMPLES], 3)),
        ],
        losses: vec![
            "mae".into(),
            SparseCategoricalCrossentropy::from_logits().into(),
        ],
    }
}

fn plans() -> Vec<Plan> {
    vec![dense(), images(), masked(), forked()]
}

fn optimizer(number: usize) -> Optimizer {
    match number {
        0 => SGD::new(0.05).momentum(0.9).build(),
        1 => Adam::new(0.02).gradient_accumulation_steps(2).build(),
        _ => AdamW::new(0.02).clipnorm(0.5).use_ema(true).build(),
    }
    .unwrap()
}

impl Plan {
    /// The loss as `fit` has it.
    fn loss<'g>(&self, step: &mut StepBuilder<'g>) -> Var<'g> {
        let outputs = step.outputs();
        let mut total = None;
        for (index, (loss, target)) in self.losses.iter().zip(&self.targets).enumerate() {
            let name = format!("y{index}");
            let y = match target {
                Array::Floats(it) => step.feed(&name, &it.shape()[1..]),
                Array::Integers(it) => step.feed_classes(&name, &it.shape()[1..]),
            };
            let part = step.loss(loss.clone(), y, outputs[index]);
            total = Some(total.map_or(part, |total: Var<'g>| total + part));
        }
        total.unwrap()
    }

    fn step(&self, model: &Model, number: usize) -> TrainStep {
        let made = model.train_step(optimizer(number), |step| Ok(self.loss(step)));
        made.unwrap().seed(7)
    }

    fn arrays(&self, rows: &[usize]) -> Vec<Array> {
        let all = self.inputs.iter().chain(&self.targets);
        all.map(|array| array.rows(rows)).collect()
    }
}

type Bits = Vec<(String, Vec<u32>)>;

fn bits(model: &Model) -> Bits {
    let of = |weight: &regraft_layers::Weight| {
        let values = weight.value().as_slice().iter();
        let values = values.map(|value| value.to_bits()).collect();
        (weight.path().to_string(), values)
    };
    model.weights().iter().map(of).collect()
}

fn data(arrays: &[Array]) -> Vec<Data<'_>> {
    arrays.iter().map(Array::data).collect()
}

#[test]
fn a_loop_over_the_batches_of_fit_gives_its_bits() {
    for (plan_number, plan) in plans().iter().enumerate() {
        for number in 0..3 {
            let what = format!("plan {plan_number}, optimizer {number}");
            let mut fitted = plan.model.clone();
            fitted.compile(optimizer(number), "mse", ()).unwrap();
            fitted.losses(plan.losses.clone()).unwrap();
            let options = Fit::new()
                .epochs(3)
                .batch_size(5)
                .seed(7)
                .feature_cache(FeatureCache::Auto)
                .verbosity(Verbosity::Silent);
            let (x, y) = (data(&plan.inputs), data(&plan.targets));
            let history = fitted.fit(x, y, options).unwrap();
            let expected = bits(&fitted);

            let (mut run, mut applied, mut kept) =
                (plan.model.clone(), plan.model.clone(), plan.model.clone());
            let mut steps = [&run, &applied, &kept].map(|model| plan.step(model, number));
            let features = steps[2].keep(&kept, data(&plan.inputs)).unwrap();
            let mut losses = Vec::new();
            for epoch in 0..3 {
                let mut mean = 0.0;
                for rows in regraft::data::batches(SAMPLES, 5, 7, epoch) {
                    let batch = plan.arrays(&rows);
                    let scores = steps[0].run(&mut run, data(&batch)).unwrap();
                    mean += scores.loss * rows.len() as f64;
                    let gradients = steps[1].gradients(&applied, data(&batch)).unwrap();
                    assert_eq!(gradients.scores(), &scores, "{what}");
                    steps[1].apply(&mut applied, &gradients).unwrap();
                    let others = &batch[plan.inputs.len()..];
                    let batch = features.batch(&rows, data(others)).unwrap();
                    assert_eq!(steps[2].run(&mut kept, batch).unwrap(), scores, "{what}");
                }
                losses.push(mean / SAMPLES as f64);
            }
            assert_eq!(history.get("loss").unwrap(), losses, "{what}");
            for (step, model) in steps.iter_mut().zip([&mut run, &mut applied, &mut kept]) {
                step.finish(model).unwrap();
                assert_eq!(bits(model), expected, "{what}");
                assert_ne!(bits(model), bits(&plan.model), "{what}");
                assert_eq!(step.optimizer().iterations(), 15, "{what}");
            }
        }
    }
}

#[test]
fn accumulating_is_the_optimizers_own() {
    let plan = dense();
    let (mut own, mut told) = (plan.model.clone(), plan.model.clone());
    let mut by_optimizer = plan.step(&own, 1);
    let adam = Adam::new(0.02).build().unwrap();
    let step = told.train_step(adam, |step| Ok(plan.loss(step)));
    let mut by_step = step.unwrap().seed(7).accumulate(2).unwrap();
    for rows in regraft::data::batches(SAMPLES, 5, 7, 0) {
        let batch = plan.arrays(&rows);
        by_optimizer.run(&mut own, data(&batch)).unwrap();
        by_step.run(&mut told, data(&batch)).unwrap();
        assert_eq!(bits(&own), bits(&told));
    }
    assert!(by_step.accumulate(3).is_err());
    assert!(plan.step(&own, 0).accumulate(0).is_err());
}

/// The paths of weights that differ.
fn moved(before: &Bits, model: &Model) -> Vec<String> {
    let pairs = before.iter().zip(bits(model));
    let moved = pairs.filter(|(before, after)| *before != after);
    moved.map(|(before, _)| before.0.clone()).collect()
}

#[test]
fn only_what_is_picked_is_trained() {
    let plan = images();
    let mut model = plan.model.clone();
    let step = |model: &Model, pick: &'static str| {
        let step = model.train_step(SGD::new(0.1), |step| {
            step.only(pick)?;
            Ok(plan.loss(step))
        });
        step.unwrap()
    };
    let (mut middle, mut head) = (step(&model, "middle"), step(&model, "dense"));
    let batch = plan.arrays(&[0, 3, 4]);
    let statistics = [
        "batch_normalization/moving_mean",
        "batch_normalization/moving_variance",
    ];
    let before = bits(&model);
    middle.run(&mut model, data(&batch)).unwrap();
    let of_middle = ["middle/kernel", "middle/bias"];
    assert_eq!(moved(&before, &model), [of_middle, statistics].concat());
    // The steps of one model stay good for each other: what the one trains, the other reads.
    let before = bits(&model);
    head.run(&mut model, data(&batch)).unwrap();
    let of_head = ["dense/kernel", "dense/bias"];
    assert_eq!(moved(&before, &model), [statistics, of_head].concat());

    // The other's gradients, and values, are refused before anything is written.
    let before = bits(&model);
    let gradients = middle.gradients(&model, data(&batch)).unwrap();
    let paths: Vec<&str> = gradients.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, of_middle);
    let values = middle.shift(&mut model, &gradients, 0.0).unwrap();
    assert!(head.apply(&mut model, &gradients).is_err());
    assert!(head.shift(&mut model, &gradients, 1.0).is_err());
    assert!(head.restore(&mut model, values.clone()).is_err());
    assert_eq!(moved(&before, &model), [""; 0]);
    // And what is shifted comes back bit for bit.
    let first = middle.shift(&mut model, &gradients, 0.3).unwrap();
    assert_eq!(moved(&before, &model), of_middle);
    middle.restore(&mut model, first).unwrap();
    assert_eq!(moved(&before, &model), [""; 0]);
}

/// A kernel of one unit that a wrapper normalizes, and a head.
fn normalized() -> Model {
    let inner = Dense::new(1).use_bias(false).named("inner");
    let layers = layers![
        Input::new([3]),
        SpectralNormalization::new(inner).named("sn"),
        Dense::new(2).named("head"),
    ];
    Sequential::with_seed(layers, 4).unwrap()
}

#[test]
fn kernels_that_a_layer_assigns_are_left_alone_unless_they_are_picked() {
    let (x, y) = (array(&[SAMPLES, 3], 1), array(&[SAMPLES, 2], 2));
    for (pick, expected) in [
        ("head", &["sn/vector_u", "head/kernel", "head/bias"][..]),
        ("head/bias", &["sn/vector_u", "head/bias"]),
        ("sn", &["sn/vector_u", "sn/inner/kernel"]),
    ] {
        let mut model = normalized();
        let mut step = model
            .train_step(SGD::new(0.1), |step| {
                step.only(pick)?;
                let (y, output) = (step.feed("y", &[2]), step.output(0));
                Ok(step.loss("mse", y, output))
            })
            .unwrap();
        let before = bits(&model);
        step.run(&mut model, (&x, &y)).unwrap();
        let mut moved = moved(&before, &model);
        moved.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(moved, expected, "{pick}");
    }
}

/// With one unit the largest singular value is the kernel's length, whatever the vector was before.
#[test]
fn a_kernel_that_a_layer_normalizes_is_restored_as_it_was_normalized() {
    let (x, y) = (array(&[SAMPLES, 3], 1), array(&[SAMPLES, 1], 2));
    let inner = Dense::new(1).use_bias(false).named("inner");
    let layers = layers![
        Input::new([3]),
        SpectralNormalization::new(inner).named("sn")
    ];
    let mut model = Sequential::with_seed(layers, 4).unwrap();
    let kernel = |model: &Model| -> Vec<f64> {
        let value = model.weight("sn/inner/kernel").unwrap().value();
        value.as_slice().iter().map(|&it| f64::from(it)).collect()
    };
    let unit = |w: &[f64]| -> Vec<f64> {
        let length = w.iter().map(|w| w * w).sum::<f64>().sqrt();
        w.iter().map(|w| w / length).collect()
    };
    // Of the mean squared error.
    let slope = |w: &[f64]| -> Vec<f64> {
        let mut slope = vec![0.0; 3];
        for (x, y) in x.outer_iter().zip(y.iter()) {
            let made: f64 = w.iter().zip(&x).map(|(w, &x)| w * f64::from(x)).sum();
            let factor = 2.0 * (made - f64::from(*y)) / SAMPLES as f64;
            for (slope, &x) in slope.iter_mut().zip(&x) {
                *slope += factor * f64::from(x);
            }
        }
        slope
    };
    let plus = |a: &[f64], factor: f64, b: &[f64]| -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
    };
    let near = |model: &Model, expected: &[f64]| {
        for (ours, expected) in kernel(model).iter().zip(expected) {
            assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
        }
    };
    let mut step = model
        .train_step(SGD::new(0.1), |step| {
            let (y, output) = (step.feed("y", &[1]), step.output(0));
            Ok(step.loss("mse", y, output))
        })
        .unwrap();
    for _ in 0..3 {
        let at = unit(&kernel(&model));
        let gradients = step.gradients(&model, (&x, &y)).unwrap();
        let before = step.shift(&mut model, &gradients, 0.5).unwrap();
        let shifted = plus(&at, 0.5, &slope(&at));
        near(&model, &shifted);
        let sharp = step.gradients(&model, (&x, &y)).unwrap();
        step.restore(&mut model, before).unwrap();
        near(&model, &at);
        step.apply(&mut model, &sharp).unwrap();
        near(&model, &plus(&at, -0.1, &slope(&unit(&shifted))));
    }
    // Restored and applied, they are those of a run.
    let mut other = model.clone();
    let gradients = step.gradients(&model, (&x, &y)).unwrap();
    let before = step.shift(&mut model, &gradients, 0.5).unwrap();
    step.restore(&mut model, before).unwrap();
    step.apply(&mut model, &gradients).unwrap();
    let mut run = other
        .train_step(SGD::new(0.1), |step| {
            let (y, output) = (step.feed("y", &[1]), step.output(0));
            Ok(step.loss("mse", y, output))
        })
        .unwrap();
    run.run(&mut other, (&x, &y)).unwrap();
    assert_eq!(bits(&model), bits(&other));
}

#[test]
fn gradients_from_models_in_which_more_is_trained_write_nothing() {
    let plan = images();
    let (mut model, mut open) = (plan.model.clone(), plan.model.clone());
    open.unfreeze(..).unwrap();
    let batch = plan.arrays(&[1, 2, 3]);
    let of = |model: &Model| -> Gradients {
        let mut step = plan.step(model, 0);
        step.gradients(model, data(&batch)).unwrap()
    };
    let of_copy = of(&open);
    let mut step = plan.step(&model, 0);
    let before = bits(&model);
    assert!(step.apply(&mut model, &of_copy).is_err());
    assert!(step.shift(&mut model, &of_copy, 1.0).is_err());
    // Of this model itself, when more of it was trained.
    model.unfreeze("stem").unwrap();
    let of_before = of(&model);
    assert!(of_before.get("stem/kernel").is_some());
    model.freeze("stem").unwrap();
    let error = step.run(&mut model, data(&batch)).unwrap_err().to_string();
    assert!(error.contains("make the step again"), "{error}");
    let mut again = plan.step(&model, 0);
    assert!(again.apply(&mut model, &of_before).is_err());
    assert_eq!(moved(&before, &model), [""; 0]);
    // A weight of a frozen layer is a constant: no gradient with respect to it.
    let made = model.train_step(SGD::new(0.1), |step| {
        let (loss, stem) = (plan.loss(step), step.weight("stem/kernel"));
        let slope = step.gradient(loss, stem);
        Ok(loss + slope.square().sum_all())
    });
    assert!(made.unwrap_err().to_string().contains("gradient"));
}

#[test]
fn what_is_wrong_is_said() {
    let plan = dense();
    let model = &plan.model;
    let made = |write: &dyn for<'g> Fn(&mut StepBuilder<'g>) -> Result<Var<'g>>| {
        let made = model.train_step(SGD::new(0.1), |step| write(step));
        made.unwrap_err().to_string()
    };
    for (error, words) in [
        (made(&|step| Ok(step.output(1))), "one of the 1 outputs"),
        (made(&|step| Ok(step.value("dens"))), "dense"),
        (made(&|step| Ok(step.weight("dense/kernl"))), "dense/kernel"),
        (made(&|step| Ok(step.graph().number(1.0))), "step.output(0)"),
        (made(&|step| Ok(step.output(0))), "loss of shape ()"),
        (
            made(&|step| {
                step.live(model, &[step.graph().number(1.0)])
                    .map(|it| it[0])
            }),
            "use `call`",
        ),
        (
            made(&|step| {
                let y = step.feed("y", &[3]);
                let output = step.output(0);
                Ok(step.loss("mean_squred_error", y, output))
            }),
            "mean_squared_error",
        ),
        (
            made(&|step| {
                let x = step.feed("x", &[5]);
                step.call(&[x]).map(|it| it[0].mean_all())
            }),
            "shape",
        ),
        (
            made(&|step| {
                step.without_penalties();
                Ok(step.output(0).stop_gradient().mean_all())
            }),
            "gradient",
        ),
    ] {
        assert!(error.contains(words), "{words} is not in: {error}");
    }
    let mut frozen = plan.model.clone();
    frozen.freeze(..).unwrap();
    let error = frozen.train_step(SGD::new(0.1), |step| Ok(step.output(0).mean_all()));
    assert!(error.unwrap_err().to_string().contains("unfreeze"));

    let mut model = plan.model.clone();
    let mut step = plan.step(&model, 0);
    let x = array(&[2, 4], 1);
    let mut run = |x: &ArrayD<f32>, y: &[i32]| {
        let error = step.run(&mut model, (x, y)).unwrap_err();
        error.to_string()
    };
    for (error, words) in [
        (run(&x, &[0, 3]), "a label in 0..3"),
        (run(&x, &[0, 1, 2]), "as many samples as x"),
        (run(&array(&[2, 5], 1), &[0, 1]), "shape"),
        (run(&x.mapv(|it| it / 0.0), &[0, 1]), "finite"),
    ] {
        assert!(error.contains(words), "{words} is not in: {error}");
    }
    let error = step.run(&mut model, &x).unwrap_err().to_string();
    assert!(error.contains("y0"), "{error}");
    // By name, in any order; and the step is as it was.
    step.run(
        &mut model,
        [
            ("y0", (&[0, 1]).into_data().unwrap()),
            ("input_layer", (&x).into_data().unwrap()),
        ],
    )
    .unwrap();
    assert_eq!(step.count(), 1);
}

#[test]
fn numbers_reports_and_values_within() {
    let plan = dense();
    let mut model = plan.model.clone();
    let step = model.train_step(SGD::new(0.0), |step| {
        let loss = plan.loss(step);
        let (factor, hidden) = (step.number("factor", 2.0), step.value("dense"));
        let x = step.input(0);
        let slope = step.gradient(loss, x);
        step.report("hidden", hidden);
        step.report("slope", slope);
        step.report("plain", loss);
        step.without_penalties();
        Ok(loss * factor)
    });
    let mut step = step.unwrap();
    let rows = [4, 5, 6];
    let batch = plan.arrays(&rows);
    let scores = step.run(&mut model, data(&batch)).unwrap();
    let plain = scores.get("plain").unwrap();
    assert_eq!(scores.metrics.len(), 1);
    assert_eq!(scores.loss, 2.0 * plain);
    step.set("factor", 3.0).unwrap();
    assert!(
        step.set("facto", 3.0)
            .unwrap_err()
            .to_string()
            .contains("factor")
    );
    let scores = step.run(&mut model, data(&batch)).unwrap();
    let plain = scores.get("plain").unwrap() as f32;
    assert_eq!(scores.loss as f32, 3.0 * plain);
    let hidden = model.cut_at("dense").unwrap();
    // (The step before has moved nothing: the rate is 0, and the constraint is that of the other layer.)
    let hidden = hidden.predict(vec![batch[0].data()]).unwrap();
    assert_eq!(step.report("hidden").unwrap(), hidden);
    assert_eq!(step.report("slope").unwrap().shape(), [3, 4]);
    assert!(step.report("nothing").is_none());
}

/// Numbers that would make all weights NaN, and batches of nothing, whose mean is one.
#[test]
fn what_is_no_number_moves_nothing() {
    let plan = images();
    let mut model = plan.model.clone();
    for value in [f32::NAN, f32::INFINITY] {
        let made = model.train_step(SGD::new(0.1), |step| {
            Ok(plan.loss(step) * step.number("factor", value))
        });
        let error = made.unwrap_err().to_string();
        assert!(
            error.contains("factor") && error.contains("finite"),
            "{error}"
        );
    }
    let made = model.train_step(SGD::new(0.1), |step| {
        Ok(plan.loss(step) * step.number("factor", 1.0))
    });
    let mut step = made.unwrap();
    let batch = plan.arrays(&[1, 2, 3]);
    let gradients = step.gradients(&model, data(&batch)).unwrap();
    let inputs: Vec<Data<'_>> = plan.inputs.iter().map(Array::data).collect();
    let kept = step.keep(&model, inputs).unwrap();
    let before = bits(&model);
    for value in [f32::NAN, f32::NEG_INFINITY] {
        let error = step.set("factor", value).unwrap_err().to_string();
        assert!(
            error.contains("factor") && error.contains("finite"),
            "{error}"
        );
        let error = step.shift(&mut model, &gradients, value).unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
    }
    let y = Array2::<f32>::zeros((0, 2));
    let error = kept.batch(&[], &y).unwrap_err().to_string();
    assert!(error.contains("at least 1"), "{error}");
    assert_eq!(bits(&model), before);
    step.run(&mut model, data(&batch)).unwrap();
    assert!(bits(&model) != before);
}

/// A learning rate that grows beyond all numbers: statistics stay as they are, too.
#[test]
fn a_step_that_the_optimizer_refuses_writes_nothing() {
    let plan = images();
    let mut model = plan.model.clone();
    let rate = || ExponentialDecay::new(1e-30, 1, 1e70);
    let step = model.train_step(SGD::new(rate()), |step| Ok(plan.loss(step)));
    let mut step = step.unwrap();
    let batch = plan.arrays(&[1, 2, 3]);
    step.run(&mut model, data(&batch)).unwrap();
    let before = bits(&model);
    let gradients = step.gradients(&model, data(&batch)).unwrap();
    let errors = [
        step.run(&mut model, data(&batch)).unwrap_err(),
        step.apply(&mut model, &gradients).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("learning rate"), "{error}");
    }
    assert_eq!((bits(&model), step.count()), (before, 1));
    // Nor does a step of `fit`.
    let mut model = plan.model.clone();
    model.compile(SGD::new(rate()), "mse", ()).unwrap();
    let mut after = Vec::new();
    let look = LambdaCallback::new().on_batch_end(|_, _, context| {
        after.push(bits(context.model));
        Ok(())
    });
    let (x, y) = (plan.inputs[0].data(), plan.targets[0].data());
    let fit = Fit::new().batch_size(8).callback(look);
    let error = model.fit(x, y, fit.verbosity(Verbosity::Silent));
    assert!(error.unwrap_err().to_string().contains("learning rate"));
    assert_eq!(after, [bits(&model)]);
}

/// Another optimizer in the place of a step's: it makes the steps from then on, from its beginning.
#[test]
fn an_optimizer_that_is_put_in_goes_on() {
    let mut plan = images();
    // (The numbers that dropout draws depend on the count of steps.)
    plan.model = plan
        .model
        .replace_layer("dropout", Flatten::new().named("again"))
        .unwrap();
    let batches = [plan.arrays(&[1, 2, 3]), plan.arrays(&[4, 5, 6])];
    let new = || Adam::new(0.01).build().unwrap();
    // By hand: a step of its own with the other one.
    let mut expected = plan.model.clone();
    let mut first = plan.step(&expected, 0);
    first.run(&mut expected, data(&batches[0])).unwrap();
    let second = expected.train_step(new(), |step| Ok(plan.loss(step)));
    let mut second = second.unwrap().seed(7);
    for rows in [1, 0, 1] {
        second.run(&mut expected, data(&batches[rows])).unwrap();
    }
    let mut model = plan.model.clone();
    let mut step = plan.step(&model, 0);
    step.run(&mut model, data(&batches[0])).unwrap();
    *step.optimizer_mut() = new();
    step.run(&mut model, data(&batches[1])).unwrap();
    let gradients = step.gradients(&model, data(&batches[0])).unwrap();
    step.apply(&mut model, &gradients).unwrap();
    // A clone is another optimizer too, with the same memory.
    let clone = step.optimizer().clone();
    *step.optimizer_mut() = clone;
    step.run(&mut model, data(&batches[1])).unwrap();
    let clone = step.optimizer().clone();
    *step.optimizer_mut() = clone;
    step.finish(&mut model).unwrap();
    assert_eq!(bits(&model), bits(&expected));
}

#[test]
fn the_gradient_of_a_score_is_its_slope() {
    let layers = |last: &'static str| {
        layers![
            Input::new([4]),
            Dense::new(5).activation("tanh"),
            BatchNormalization::new(),
            Dense::new(3).activation(last),
        ]
    };
    let scores = Sequential::with_seed(layers("linear"), 1).unwrap();
    let answers = Sequential::with_seed(layers("softmax"), 1).unwrap();
    let x = array(&[3, 4], 2);
    let slopes = regraft::explain::saliency(&scores, &x, 1).unwrap();
    assert_eq!(slopes, regraft::explain::saliency(&answers, &x, 1).unwrap());
    const STEP: f32 = 1e-2;
    for element in 0..12 {
        let at = |by: f32| {
            let mut x = x.clone();
            x.as_slice_mut().unwrap()[element] += by;
            let score = scores.predict(&x).unwrap();
            score.as_slice()[element / 4 * 3 + 1]
        };
        let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let found = slopes.as_slice()[element];
        assert!((slope - found).abs() < 1e-3, "{slope} {found}");
    }
    let error = regraft::explain::saliency(&scores, &x, 3).unwrap_err();
    assert!(error.to_string().contains("0..3"), "{error}");
    assert!(regraft::explain::saliency(&masked().model, &integers(&[2, 5], 4), 0).is_err());
}

// ---- Beside Keras ------------------------------------------------------------------------------

pub(crate) fn golden(name: &str) -> Value {
    let text = include_str!("../../../../fixtures/golden/loops.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let mut cases = golden["cases"].as_array().unwrap().iter();
    cases.find(|case| case["name"] == name).unwrap().clone()
}

fn tensor(value: &Value) -> Tensor {
    let list = |key: &str| value[key].as_array().unwrap().iter();
    let shape: Vec<usize> = list("shape")
        .map(|it| it.as_u64().unwrap() as usize)
        .collect();
    let data = list("data").map(|it| it.as_f64().unwrap() as f32).collect();
    Tensor::new(shape, data).unwrap()
}

pub(crate) fn model(case: &Value, name: &str) -> Model {
    let registry = regraft_layers::Registry::new();
    let config = &case["config"]["models"][name];
    let mut model = Model::from(regraft_layers::Model::from_config(config, &registry).unwrap());
    for weight in case["inputs"]["weights"][name].as_array().unwrap() {
        let path = weight["path"].as_str().unwrap();
        model.set_weight(path, tensor(&weight["value"])).unwrap();
    }
    model
}

pub(crate) fn adam(case: &Value, name: &str) -> Optimizer {
    Optimizer::from_config(&case["config"]["optimizers"][name]).unwrap()
}

fn floats(batch: &Value, name: &str) -> Array2<f32> {
    let tensor = tensor(&batch[name]);
    let array = ArrayD::from_shape_vec(tensor.shape(), tensor.as_slice().to_vec()).unwrap();
    array.into_dimensionality::<Ix2>().unwrap()
}

fn list(batch: &Value, name: &str) -> Array1<f32> {
    Array1::from(tensor(&batch[name]).as_slice().to_vec())
}

fn classes(batch: &Value, name: &str) -> Array1<i32> {
    list(batch, name).mapv(|it| it as i32)
}

/// Compares losses and weights with what Keras ended with.
pub(crate) fn compare(case: &Value, losses: &[Vec<f64>], models: &[(&str, &Model)]) {
    let near = |ours: f64, theirs: f64, what: &str| {
        let tolerance = 2e-5 * theirs.abs().max(1.0);
        assert!(
            (ours - theirs).abs() <= tolerance,
            "{what}: {ours}, expected {theirs}"
        );
    };
    let expected = case["outputs"]["losses"].as_array().unwrap();
    assert_eq!(losses.len(), expected.len());
    for (step, (ours, theirs)) in losses.iter().zip(expected).enumerate() {
        for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
            near(
                *ours,
                theirs.as_f64().unwrap(),
                &format!("loss of step {step}"),
            );
        }
    }
    for (name, model) in models {
        for weight in case["outputs"]["weights"][name].as_array().unwrap() {
            let path = weight["path"].as_str().unwrap();
            let theirs = tensor(&weight["value"]);
            let ours = model.weight(path).unwrap().value();
            for (ours, theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
                near(f64::from(*ours), f64::from(*theirs), path);
            }
        }
    }
}

fn batches(case: &Value) -> Vec<Value> {
    case["inputs"]["batches"].as_array().unwrap().clone()
}

pub(crate) fn labelled(case: &Value) -> Vec<examples::Labelled> {
    let one = |batch: &Value| (floats(batch, "x"), classes(batch, "y"));
    batches(case).iter().map(one).collect()
}

pub(crate) fn singly(losses: Vec<f64>) -> Vec<Vec<f64>> {
    losses.into_iter().map(|loss| vec![loss]).collect()
}

#[test]
fn the_examples_run() {
    examples::main().unwrap();
}

#[test]
fn distillation_is_that_of_keras() {
    let case = golden("distillation");
    let (teacher, mut student) = (model(&case, "teacher"), model(&case, "student"));
    let optimizer = adam(&case, "student");
    let losses = examples::distillation(&teacher, &mut student, optimizer, &labelled(&case));
    compare(
        &case,
        &singly(losses.unwrap()),
        &[("student", &student), ("teacher", &teacher)],
    );
}

#[test]
fn a_gan_is_that_of_keras() {
    let case = golden("gan");
    let (mut generator, mut critic) = (model(&case, "generator"), model(&case, "critic"));
    let optimizers = (adam(&case, "generator"), adam(&case, "critic"));
    let one = |batch: &Value| (floats(batch, "x"), floats(batch, "noise"));
    let data: Vec<_> = batches(&case).iter().map(one).collect();
    let losses = examples::gan((&mut generator, &mut critic), optimizers, &data).unwrap();
    let losses: Vec<_> = losses.into_iter().map(|(a, b)| vec![a, b]).collect();
    compare(
        &case,
        &losses,
        &[("generator", &generator), ("critic", &critic)],
    );
}

#[test]
fn sharpness_aware_minimization_is_that_of_keras() {
    let case = golden("sam");
    let mut model = model(&case, "model");
    let losses = examples::sam(&mut model, adam(&case, "model"), &labelled(&case)).unwrap();
    compare(&case, &singly(losses), &[("model", &model)]);
}

#[test]
fn mixup_is_that_of_keras() {
    let case = golden("mixup");
    let mut model = model(&case, "model");
    let one = |batch: &Value| {
        let own = (floats(batch, "x"), classes(batch, "y"));
        let others = (floats(batch, "other_x"), classes(batch, "other_y"));
        (own, others, list(batch, "share"))
    };
    let data: Vec<_> = batches(&case).iter().map(one).collect();
    let losses = examples::mixup(&mut model, adam(&case, "model"), &data).unwrap();
    compare(&case, &singly(losses), &[("model", &model)]);
}

#[test]
fn adversarial_training_is_that_of_keras() {
    let case = golden("adversarial");
    let mut model = model(&case, "model");
    let losses = examples::adversarial(&mut model, adam(&case, "model"), &labelled(&case));
    compare(&case, &singly(losses.unwrap()), &[("model", &model)]);
}

#[test]
fn a_gradient_penalty_is_that_of_keras() {
    let case = golden("gradient penalty");
    let mut critic = model(&case, "critic");
    let one = |batch: &Value| {
        (
            floats(batch, "x"),
            floats(batch, "fake"),
            list(batch, "share"),
        )
    };
    let data: Vec<_> = batches(&case).iter().map(one).collect();
    let losses = examples::gradient_penalty(&mut critic, adam(&case, "critic"), &data).unwrap();
    compare(&case, &singly(losses), &[("critic", &critic)]);
}

#[test]
fn models_that_are_read_live_must_be_given() {
    let case = golden("gan");
    let (mut generator, mut critic) = (model(&case, "generator"), model(&case, "critic"));
    let mut step = generator
        .train_step(SGD::new(0.0), |step| {
            let made = step.outputs();
            Ok(step.live(&critic, &made)?[0].mean_all())
        })
        .unwrap();
    let noise = floats(&batches(&case)[0], "noise");
    assert!(step.run(&mut generator, &noise).is_err());
    let other = critic.clone();
    assert!(step.run_with(&mut generator, &[&other], &noise).is_err());
    let judged = bits(&critic);
    let first = step.run_with(&mut generator, &[&critic], &noise).unwrap();
    assert_eq!(bits(&critic), judged);
    // Values that another step has trained are seen; what was frozen since is not what was compiled.
    let mut train = critic
        .train_step(SGD::new(0.5), |step| Ok(step.output(0).mean_all()))
        .unwrap();
    train
        .run(&mut critic, &floats(&batches(&case)[0], "x"))
        .unwrap();
    let second = step.run_with(&mut generator, &[&critic], &noise).unwrap();
    assert_ne!(first.loss, second.loss);
    critic.freeze(..1).unwrap();
    assert!(step.run_with(&mut generator, &[&critic], &noise).is_err());
}
