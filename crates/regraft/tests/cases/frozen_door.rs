//! Nothing public, and nothing that a callback is given, writes a frozen value, but loading and setting,
//! which are changes of the model. The test knows itself what is frozen, and keeps its own bytes.

use std::path::Path;

use regraft::callbacks::{Callback, Context};
use regraft::layers::{BatchNormalization, Dense, Dropout, Input, LayerExt};
use regraft::ndarray::Array2;
use regraft::optimizers::Adam;
use regraft::{Fit, Freezing, Load, Model, Result, Sequential, Tensor, Verbosity};
use regraft_autograd::{Graph, Shape, Var};
use regraft_layers::{Call, Configured, Initializer, Layer, Mode, Weights, layers};
use regraft_tensor::Detail;

/// The weights of `model()` that no training may touch.
const FROZEN: [&str; 6] = [
    "stem/kernel",
    "stem/bias",
    "norm/gamma",
    "norm/beta",
    "norm/moving_mean",
    "norm/moving_variance",
];

fn model() -> Model {
    let mut model = Sequential::with_seed(
        layers![
            Input::new([3]),
            Dense::new(4).named("stem"),
            BatchNormalization::new().named("norm"),
            Dropout::new(0.2).named("drop"),
            Dense::new(4).named("middle"),
            BatchNormalization::new().named("moving"),
            Dense::new(2).named("head"),
        ],
        5,
    )
    .unwrap();
    model.freeze("stem").unwrap();
    model.freeze("norm").unwrap();
    model.compile(Adam::new(0.1), "mse", ["mae"]).unwrap();
    model
}

type Bytes = Vec<Vec<u32>>;

fn bytes(model: &Model) -> Bytes {
    let of = |path: &&str| {
        let weight = model.weight(path).unwrap();
        let values = weight.value().as_slice().iter();
        values.map(|value| value.to_bits()).collect()
    };
    FROZEN.iter().map(of).collect()
}

fn data() -> (Array2<f32>, Array2<f32>) {
    let x = Array2::from_shape_fn((12, 3), |(i, j)| (i as f32 * 0.7 + j as f32).sin());
    let y = Array2::from_shape_fn((12, 2), |(i, j)| (i + j) as f32 * 0.3);
    (x, y)
}

fn one_hot() -> Array2<f32> {
    Array2::from_shape_fn((12, 2), |(i, j)| if i % 2 == j { 1.0 } else { 0.0 })
}

fn options<'a>() -> Fit<'a> {
    Fit::new()
        .epochs(2)
        .batch_size(4)
        .verbosity(Verbosity::Silent)
}

fn fit(model: &mut Model, options: Fit<'_>) {
    let (x, y) = data();
    model.fit(&x, &y, options).unwrap();
}

/// The methods of these types that take `&mut self`, as the source has them.
fn surface() -> Vec<(String, String)> {
    const FILES: [&str; 15] = [
        "../layers/src/models/build.rs",
        "../layers/src/models/info.rs",
        "../layers/src/models/model.rs",
        "../layers/src/models/selector.rs",
        "../layers/src/models/sequential.rs",
        "../layers/src/models/surgery.rs",
        "../layers/src/models/trained_weights.rs",
        "../layers/src",
        "src",
        "src/training",
        "src/training/callbacks",
        "src/training/train_step",
        "src/files",
        "src/parity",
        "src/applications",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for place in FILES {
        match root.join(place) {
            path if path.is_dir() => {
                let entries = std::fs::read_dir(path).unwrap();
                files.extend(entries.map(|entry| entry.unwrap().path()));
            }
            path => files.push(path),
        }
    }
    files.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.sort();
    files.dedup();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let mut owner = String::new();
        let mut lines = code.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("impl") {
                let name = line.trim_end_matches(" {").rsplit(' ').next().unwrap();
                owner = name.split('<').next().unwrap().to_string();
                continue;
            }
            let Some(signature) = line.strip_prefix("    pub fn ") else {
                continue;
            };
            // Up to the receiver, which may stand on the next line.
            let mut whole = signature.to_string();
            if whole.ends_with('(') {
                whole.push_str(lines.peek().unwrap().trim());
            }
            let receiver = whole.split_once('(').unwrap().1;
            let changes = receiver.starts_with("&mut self") || receiver.contains("mut self)");
            let known = ["Model", "Context", "TrainedWeights", "TrainStep"];
            if changes && known.contains(&owner.as_str()) {
                let end = whole.find(['(', '<']).unwrap();
                found.push((owner.clone(), whole[..end].to_string()));
            }
        }
    }
    found
}

/// Calls a method on `model`, and says whether it is one that sets frozen values on purpose.
fn call(owner: &str, method: &str, model: &mut Model) -> bool {
    let ones = |model: &Model, path: &str| {
        let shape = model.weight(path).unwrap().value().shape().to_vec();
        let length = shape.iter().product();
        Tensor::new(&shape, vec![0.5; length]).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.weights.h5");
    let saved = |path: &Path| {
        let layers = model_of_another_seed();
        layers.save_weights(path).unwrap();
    };
    let context = |act: fn(&mut Context<'_>)| Told { act };
    match (owner, method) {
        // Setting and loading.
        ("Model", "set_weight") => {
            let value = ones(model, "stem/kernel");
            model.set_weight("stem/kernel", value).unwrap();
            return true;
        }
        ("Model", "set_weights") => {
            let value = ones(model, "norm/moving_mean");
            let id = model.weight("norm/moving_mean").unwrap().id();
            model.set_weights([(id, value)]).unwrap();
            return true;
        }
        ("Model", "set_layer_weights") => {
            let values = ["stem/kernel", "stem/bias"].map(|path| ones(model, path));
            model.set_layer_weights("stem", values.into()).unwrap();
            return true;
        }
        ("Model", "load_weights") => {
            saved(&path);
            let _ = model.load_weights(&path).unwrap();
            return true;
        }
        ("Model", "load_weights_with") => {
            saved(&path);
            let _ = model.load_weights_with(&path, Load::new()).unwrap();
            return true;
        }
        ("Model", "load_checkpoint") => {
            saved(&path);
            let checkpoint = regraft_io::read(&path).unwrap();
            let load = Load::new();
            let _ = model.load_checkpoint(&checkpoint, "memory", load).unwrap();
            return true;
        }
        // Everything else.
        ("Model", "set_name") => model.set_name("other"),
        ("Model", "freeze") => model.freeze(..).unwrap(),
        ("Model", "unfreeze") => model.unfreeze("head").unwrap(),
        ("Model", "set_freezing") => {
            model.set_freezing("norm", Freezing::Frozen).unwrap();
            model
                .set_freezing("middle", Freezing::FrozenParams)
                .unwrap();
        }
        ("Model", "set_regularizer") => model.set_regularizer(.., "l2").unwrap(),
        ("Model", "set_constraint") => {
            model.set_constraint("**/kernel", "unit_norm").unwrap();
        }
        ("Model", "share_layers") => model.share_layers(&["moving", "norm"]).unwrap(),
        ("Model", "trained_weights") | ("TrainedWeights", "values_mut" | "constrain") => {
            write_through_the_door(model.as_mut());
        }
        ("Model", "add") => model.add(Dense::new(2)).unwrap(),
        ("Model", "build") => model.build(&[3]).unwrap(),
        ("Model", "pop") => {
            model.pop().unwrap();
            model.add(Dense::new(2)).unwrap();
        }
        ("Model", "compile") => {
            model.compile("sgd", "mae", ()).unwrap();
        }
        ("Model", "losses") => {
            model.losses(["mse"]).unwrap();
        }
        ("Model", "named_losses") => {
            let names = model.output_names();
            model.named_losses([(names[0].as_str(), "mse")]).unwrap();
        }
        ("Model", "named_loss_weights") => {
            let names = model.output_names();
            model
                .named_loss_weights([(names[0].as_str(), 2.0)])
                .unwrap();
        }
        ("Model", "without_loss") => {
            let name = model.output_names()[0].clone();
            model.without_loss(&name).unwrap().losses(["mse"]).unwrap();
        }
        ("Model", "loss_weights") => {
            model.loss_weights([2.0]).unwrap();
        }
        ("Model", "weighted_metrics") => {
            model.weighted_metrics(["mae"]).unwrap();
        }
        ("Model", "set_optimizer") => {
            model.set_optimizer("sgd").unwrap();
        }
        ("Model", "classification_report") => {
            let (x, y) = (data().0, one_hot());
            model.classification_report(&x, &y).unwrap();
        }
        ("Model", "confusion_matrix") => {
            let (x, y) = (data().0, one_hot());
            model.confusion_matrix(&x, &y).unwrap();
        }
        ("Model", "optimizer_mut") => {
            let optimizer = model.optimizer_mut().unwrap();
            optimizer.set_learning_rate(0.5).unwrap();
        }
        ("Model", "set_frozen_precision") => {
            model.freeze(..).unwrap();
            let int8 = regraft::FrozenPrecision::int8().least_similarity(-1.0);
            model.set_frozen_precision(int8, &data().0).unwrap();
            model.predict(&data().0).unwrap();
            for trained in ["middle", "moving", "head"] {
                model.unfreeze(trained).unwrap();
            }
        }
        ("Model", "reset_frozen_precision") => model.reset_frozen_precision(),
        ("Model", "set_class_names") => model.set_class_names(["a", "b"]),
        ("Model", "evaluate") => {
            let (x, y) = data();
            model.evaluate(&x, &y).unwrap();
        }
        ("Model", "evaluate_weighted") => {
            let (x, y) = data();
            let weights = vec![0.5; x.shape()[0]];
            model.evaluate_weighted(&x, &y, &weights).unwrap();
        }
        ("Model", "evaluate_dataset") => {
            let (x, y) = data();
            let data = regraft::data::Arrays::new(&x, &y).unwrap();
            model.evaluate_dataset(&data).unwrap();
        }
        ("Model", "fit_dataset") => {
            let (x, y) = data();
            let data = regraft::data::Arrays::new(&x, &y).unwrap();
            model.fit_dataset(&data, options()).unwrap();
        }
        ("Model", "fit") => {}
        ("Context", "optimizer_mut") => {
            let slower = context(|it| {
                let optimizer = it.optimizer_mut().unwrap();
                optimizer.set_learning_rate(0.05).unwrap();
            });
            fit(model, options().callback(slower));
        }
        ("Context", "stop") => fit(model, options().callback(context(|it| it.stop()))),
        ("Context", "resume_at") => {
            fit(model, options().callback(context(|it| it.resume_at(1))));
        }
        ("TrainStep", method) => own_step(method, model),
        ("Context", "resume_with") => {
            let resumed = context(|it| it.resume_with(Default::default()));
            fit(model, options().callback(resumed));
        }
        (owner, method) => panic!(
            "`{owner}::{method}` takes `&mut self` and is not classified: say here that it sets \
             values, or call it to show that it moves no frozen byte"
        ),
    }
    false
}

/// A step of one's own, and one of a copy in which all is trained.
fn own_step(method: &str, model: &mut Model) {
    let make = |model: &Model| {
        let step = model.train_step(Adam::new(0.1), |step| {
            let (y, output) = (step.feed("y", &[2]), step.output(0));
            let factor = step.number("factor", 1.0);
            Ok(step.loss("mse", y, output) * factor)
        });
        step.unwrap()
    };
    let (x, y) = data();
    let (x, y) = (&x, &y);
    let mut copy = model.clone();
    copy.unfreeze(..).unwrap();
    let of_copy = make(&copy).gradients(&copy, (x, y)).unwrap();
    let mut step = make(model);
    let gradients = step.gradients(model, (x, y)).unwrap();
    match method {
        "run" => {
            step.run(model, (x, y)).unwrap();
        }
        "run_with" => {
            step.run_with(model, &[], (x, y)).unwrap();
        }
        "gradients" => {
            step.gradients(model, (x, y)).unwrap();
        }
        "gradients_with" => {
            step.gradients_with(model, &[], (x, y)).unwrap();
        }
        "apply" => {
            assert!(step.apply(model, &of_copy).is_err());
            step.apply(model, &gradients).unwrap();
        }
        "shift" | "restore" => {
            assert!(step.shift(model, &of_copy, 1.0).is_err());
            let before = step.shift(model, &gradients, 1.0).unwrap();
            step.restore(model, before).unwrap();
        }
        "keep" => {
            let kept = step.keep(model, x).unwrap();
            let some = y.slice(regraft::ndarray::s![..2, ..]);
            step.run(model, kept.batch(&[0, 1], &some).unwrap())
                .unwrap();
        }
        "set" => step.set("factor", 2.0).unwrap(),
        "optimizer_mut" => step.optimizer_mut().set_learning_rate(0.5).unwrap(),
        "finish" => step.finish(model).unwrap(),
        method => panic!("`TrainStep::{method}` takes `&mut self` and is not classified"),
    }
}

fn model_of_another_seed() -> Model {
    let mut other = model();
    for (path, value) in [("stem/kernel", 0.25), ("norm/moving_variance", 3.0)] {
        let shape = other.weight(path).unwrap().value().shape().to_vec();
        let length = shape.iter().product();
        let value = Tensor::new(&shape, vec![value; length]).unwrap();
        other.set_weight(path, value).unwrap();
    }
    other
}

/// Does something with what it is given, when training begins.
#[derive(Debug)]
struct Told {
    act: fn(&mut Context<'_>),
}

impl Callback for Told {
    fn on_train_begin(
        &mut self,
        context: &mut Context<'_>,
        _history: &mut regraft::History,
    ) -> Result<()> {
        (self.act)(context);
        Ok(())
    }
}

/// Tries to write every weight through what writing the model into a graph gives.
fn write_through_the_door(model: &mut regraft_layers::Model) {
    let graph = Graph::new();
    let x = graph.samples("x", &[3]);
    // Of this model, but with more in the lists than it trains; of a copy in which all is trained; and
    // of this model when more of it was trained.
    let (_, mut own) = model.emit(&graph, &[x], Mode::Training).unwrap();
    let all: Vec<_> = model.weights().iter().map(|weight| weight.id()).collect();
    own.trainable.extend(all.iter().map(|id| (*id, x)));
    own.updates.extend(all.iter().map(|id| (*id, x)));
    let own = own.trained();
    let mut copy = model.clone();
    copy.unfreeze(..).unwrap();
    let of_copy = copy.emit(&graph, &[x], Mode::Training).unwrap().1.trained();
    assert!(model.trained_weights(&of_copy).is_err());
    let mut written = 0;
    let mut weights = model.trained_weights(&own).unwrap();
    for id in &all {
        if let Some(values) = weights.values_mut(*id) {
            values.fill(7.0);
            written += 1;
        }
        weights.constrain(*id).unwrap();
    }
    assert!(written > 0 && written < all.len());
    model.freeze("middle").unwrap();
    assert!(model.trained_weights(&own).is_err());
    model.unfreeze("middle").unwrap();
}

#[test]
fn the_whole_surface_leaves_frozen_bytes_alone() {
    let surface = surface();
    for known in [
        ("Model", "set_weight"),
        ("Model", "pop"),
        ("Model", "fit"),
        ("Model", "load_checkpoint"),
        ("Context", "stop"),
        ("TrainStep", "apply"),
    ] {
        let known = (known.0.to_string(), known.1.to_string());
        assert!(surface.contains(&known), "{known:?} is not found");
    }
    for (owner, method) in surface {
        let mut model = model();
        fit(&mut model, options());
        let (before, revision) = (bytes(&model), model.revision());
        let sets = call(&owner, &method, &mut model);
        let after = bytes(&model);
        assert_eq!(after != before, sets, "{owner}::{method}");
        if sets {
            assert_ne!(model.revision(), revision, "{owner}::{method}");
        }
        // Whatever was done: training after it moves what is trained, and nothing else.
        if model.count_parameters().trainable > 0 {
            if model.optimizer().is_none() {
                model.compile("sgd", "mse", ()).unwrap();
            }
            fit(&mut model, options());
        }
        assert_eq!(bytes(&model), after, "training after {owner}::{method}");
    }
}

/// Tries to write frozen values after a step, by all that it is given.
#[derive(Debug)]
struct Burglar;

impl Callback for Burglar {
    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(&mut self, _: usize, _: usize, context: &mut Context<'_>) -> Result<()> {
        write_through_the_door(context.model.as_mut());
        Ok(())
    }
}

#[test]
fn a_callback_cannot_write_what_is_frozen() {
    let mut model = model();
    let before = bytes(&model);
    fit(&mut model, options().callback(Burglar));
    assert_eq!(bytes(&model), before);
}

/// After the second step, sets a frozen weight and freezes all but the head.
#[derive(Debug, Default)]
struct Changes(Option<(Bytes, Vec<f32>)>);

impl Callback for Changes {
    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(&mut self, epoch: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        if (epoch, step) == (0, 1) {
            let shape = [3, 4];
            let value = Tensor::new(shape, vec![0.125; 12]).unwrap();
            context.model.set_weight("stem/kernel", value)?;
            context.model.freeze(..-1)?;
            let middle = context.model.weight("middle/kernel").unwrap();
            self.0 = Some((bytes(context.model), middle.value().as_slice().to_vec()));
        }
        Ok(())
    }
}

#[test]
fn what_a_callback_freezes_between_steps_is_frozen_from_then_on() {
    let (mut model, mut changes) = (model(), Changes::default());
    fit(&mut model, options().shuffle(false).callback(&mut changes));
    let (frozen, middle) = changes.0.unwrap();
    assert_eq!(bytes(&model), frozen);
    assert_eq!(
        model.weight("stem/kernel").unwrap().value().as_slice(),
        [0.125; 12]
    );
    let after = model.weight("middle/kernel").unwrap().value();
    assert_eq!(after.as_slice(), middle);
}

/// Puts another model in the place of the one that is trained.
#[derive(Debug)]
struct Swaps(Option<Model>);

impl Callback for Swaps {
    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(&mut self, _: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        if step == 1
            && let Some(other) = self.0.take()
        {
            *context.model = other;
        }
        Ok(())
    }
}

#[test]
fn a_model_put_in_the_place_of_another_is_trained_as_it_is() {
    let mut trained = model();
    let other = model_of_another_seed();
    let expected = bytes(&other);
    fit(&mut trained, options().callback(Swaps(Some(other))));
    assert_eq!(bytes(&trained), expected);
}

/// A layer that tries to update a parameter while it behaves as in training.
#[derive(Debug)]
struct Sneaks;

impl Configured for Sneaks {}

impl Layer for Sneaks {
    fn build(&self, _inputs: &[Shape], weights: &mut Weights) -> std::result::Result<(), Detail> {
        weights.parameter("scale", [3], &Initializer::ones());
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let scale = call.weight("scale");
        call.update("scale", scale * 2.0);
        inputs[0] * scale
    }
}

#[test]
fn a_layer_cannot_update_its_own_frozen_parameter() {
    let stack = layers![Input::new([3]), Sneaks, Dense::new(2)];
    let mut model = Sequential::new(stack).unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    for state in [Freezing::FrozenParams, Freezing::Trainable] {
        model.set_freezing("sneaks", state).unwrap();
        let (x, y) = data();
        let error = model.fit(&x, &y, options()).unwrap_err().to_string();
        for word in ["sneaks", "update", "scale", "Weights::state"] {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
    }
}
