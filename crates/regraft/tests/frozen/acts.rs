//! What can be done with a model through its public calls, in any order, and what must hold after each.

use std::path::Path;

use proptest::prelude::*;
use regraft::callbacks::{EarlyStopping, ModelCheckpoint, ReduceLROnPlateau};
use regraft::layers::{Dense, LayerExt, layers};
use regraft::optimizers::{Adam, AdamW, Optimizer, RMSprop, SGD};
use regraft::{Callback, Context, Data, FeatureCache, Fit, Freezing, IntoData, Model, Verbosity};
use regraft_autograd::Var;
use regraft_layers::WeightKind;

use crate::masks::{self, Bytes, Mask};
use crate::models::{Head, Plan, Samples, Values, registry};

/// Something that is done with a model.
#[derive(Clone, Debug)]
pub enum Act {
    Fit {
        batch_size: usize,
        cache: bool,
        weights: usize,
        callback: usize,
        /// What the callback changes before the second epoch, if it is one that does.
        change: (usize, Freezing),
    },
    /// A loop of one's own, by one of the ways that `train_step` offers.
    Loop(usize),
    Set(usize, Freezing),
    Freeze(usize),
    Unfreeze(usize),
    Save(usize),
    Load,
    Open,
    Optimizer(usize),
    SetWeight(usize),
    Surgery(usize),
}

pub fn act() -> impl Strategy<Value = Act> {
    let fit = (
        1_usize..20,
        any::<bool>(),
        0_usize..3,
        0_usize..5,
        (0_usize..256, masks::state()),
    );
    let fit = fit.prop_map(|(batch_size, cache, weights, callback, change)| Act::Fit {
        batch_size,
        cache,
        weights,
        callback,
        change,
    });
    prop_oneof![
        5 => fit,
        2 => (0_usize..256).prop_map(Act::Loop),
        2 => (0_usize..256, masks::state()).prop_map(|(target, state)| Act::Set(target, state)),
        1 => (0_usize..256).prop_map(Act::Freeze),
        1 => (0_usize..256).prop_map(Act::Unfreeze),
        2 => (0_usize..FILES.len()).prop_map(Act::Save),
        1 => Just(Act::Load),
        1 => Just(Act::Open),
        1 => (0_usize..4).prop_map(Act::Optimizer),
        1 => (0_usize..64).prop_map(Act::SetWeight),
        1 => (0_usize..64).prop_map(Act::Surgery),
    ]
}

const FILES: [&str; 5] = [
    "m.keras",
    "m.h5",
    "m.weights.h5",
    "m.safetensors",
    "m.weights.json",
];

/// Arrays as `fit` takes them.
pub fn data(values: &[Values]) -> Vec<Data<'_>> {
    fn data(values: &Values) -> regraft::Result<Data<'_>> {
        match values {
            Values::Floats(x) => x.into_data(),
            Values::Integers(x) => x.into_data(),
        }
    }
    values.iter().map(|values| data(values).unwrap()).collect()
}

/// The last file, and what was in it.
struct Saved {
    name: &'static str,
    bytes: Bytes,
    mask: Mask,
}

/// A model, and what the test knows of it.
struct Sequence<'p> {
    plan: &'p Plan,
    model: Model,
    mask: Mask,
    samples: Samples,
    saved: Option<Saved>,
    folder: tempfile::TempDir,
    movable: usize,
    still: usize,
}

/// Does all of it, checks after each act, and returns the number of parameters that trainings could move
/// and of those that they did not.
pub fn run(plan: &Plan, choices: &[(usize, Freezing)], acts: &[Act]) -> (usize, usize) {
    let mut model = plan.build(None);
    let mut mask = Mask::of(&model);
    mask.apply(&mut model, choices);
    let mut run = Sequence {
        plan,
        model,
        mask,
        samples: plan.samples(17),
        saved: None,
        folder: tempfile::tempdir().unwrap(),
        movable: 0,
        still: 0,
    };
    run.compile(0);
    for act in acts {
        run.act(act);
    }
    (run.movable, run.still)
}

impl Sequence<'_> {
    fn act(&mut self, act: &Act) {
        let before = Bytes::of(&self.model);
        let what = format!("{act:?}");
        match act {
            Act::Fit { .. } => self.fit(act, &before),
            Act::Loop(number) => {
                self.own_loop(*number);
                before.assert_frozen(&self.model, &self.mask, &what);
            }
            Act::Set(target, state) => {
                let target = self.mask.target(*target);
                self.mask.set(&mut self.model, &target, *state);
                assert_eq!(Bytes::of(&self.model), before, "{what}");
            }
            Act::Freeze(target) => {
                let target = self.mask.target(*target);
                self.mask.set(&mut self.model, &target, Freezing::Frozen);
                assert_eq!(Bytes::of(&self.model), before, "{what}");
            }
            Act::Unfreeze(target) => {
                let target = self.mask.target(*target);
                self.mask.unfreeze(&mut self.model, &target);
                assert_eq!(Bytes::of(&self.model), before, "{what}");
            }
            Act::Save(file) => {
                let name = FILES[*file];
                save(&self.model, &self.folder.path().join(name));
                assert_eq!(Bytes::of(&self.model), before, "{what}");
                let (bytes, mask) = (before, self.mask.clone());
                self.saved = Some(Saved { name, bytes, mask });
            }
            Act::Load => {
                if let Some(saved) = &self.saved {
                    let path = self.folder.path().join(saved.name);
                    let _report = self.model.load_weights(&path).unwrap();
                    assert_eq!(Bytes::of(&self.model), saved.bytes, "{what} {}", saved.name);
                }
            }
            Act::Open => self.open(),
            Act::Optimizer(number) => {
                self.compile(*number);
                assert_eq!(Bytes::of(&self.model), before, "{what}");
            }
            Act::SetWeight(number) => {
                // The one call that may write anything that is frozen, and that weight alone. The sign
                // changes the bits of any number, also where training has made it NaN.
                let number = number % self.model.weights().len();
                let weight = self.model.weights().iter().nth(number).unwrap();
                let (path, mut value) = (weight.path().to_string(), weight.value().clone());
                value
                    .as_mut_slice()
                    .iter_mut()
                    .for_each(|value| *value = -*value);
                self.model.set_weight(&path, value).unwrap();
                assert_eq!(before.moved(&self.model), [path], "{what}");
            }
            Act::Surgery(number) => self.surgery(*number, &before),
        }
        self.assert_states();
    }

    /// The states are those that were given.
    fn assert_states(&self) {
        for path in self.mask.layers.keys() {
            let layer = self.model.get_layer(path.as_str()).unwrap();
            assert_eq!(layer.freezing(), self.mask.shared_state(path), "{path}");
        }
        let trained = self.model.trainable_weights().into_iter();
        let trained: Vec<&str> = trained.map(|weight| weight.path()).collect();
        assert_eq!(trained, self.mask.trained(&self.model));
        let elements = |path: &String| self.model.weight(path).unwrap().value().len();
        let elements: usize = self.mask.trained(&self.model).iter().map(elements).sum();
        assert_eq!(self.model.count_parameters().trainable, elements);
    }

    fn compile(&mut self, number: usize) {
        let optimizer = match number {
            0 => Adam::new(1e-2).build(),
            1 => SGD::new(1e-2).momentum(0.9).build(),
            2 => AdamW::new(1e-2).weight_decay(0.1).use_ema(true).build(),
            _ => RMSprop::new(1e-2).clipnorm(1.0).build(),
        };
        let optimizer: Optimizer = optimizer.unwrap();
        self.model.compile(optimizer, "mse", ()).unwrap();
        self.model.losses(self.plan.losses()).unwrap();
    }

    fn fit(&mut self, act: &Act, before: &Bytes) {
        let Act::Fit {
            batch_size,
            cache,
            weights,
            callback,
            change,
        } = act
        else {
            return;
        };
        let mut switch = Switch {
            target: self.mask.target(change.0),
            state: change.1,
            mask: self.mask.clone(),
            at: None,
        };
        let one_class = matches!(self.plan.heads.as_slice(), [Head::Classes]);
        let one_class = one_class && !self.plan.is_over_time();
        let samples = self.samples.clone();
        let mut options = Fit::new()
            .epochs(2)
            .batch_size(*batch_size)
            .seed(self.plan.seed)
            .feature_cache(match cache {
                true => FeatureCache::Auto,
                false => FeatureCache::Off,
            })
            .verbosity(Verbosity::Silent);
        match weights {
            0 => {}
            1 if one_class => options = options.class_weight([(0, 0.5), (1, 2.0), (2, 1.0)]),
            _ => options = options.sample_weight(&samples.weights),
        }
        let path = self.folder.path().join("checkpoint.keras");
        options = match callback {
            0 => options,
            1 => options
                .validation_split(0.3)
                .callback(EarlyStopping::new().patience(0).restore_best_weights(true)),
            2 => options.callback(&mut switch),
            3 => options.callback(ModelCheckpoint::new(path.display().to_string())),
            _ => options.callback(ReduceLROnPlateau::new().monitor("loss").patience(0)),
        };
        let possible = self.mask.trains_any(&self.model);
        let (x, y) = (data(&samples.inputs), data(&samples.targets));
        let fitted = self.model.fit(x, y, options);
        let what = format!("{act:?}");
        let switched = switch.at.is_some();
        if let Some(at) = &switch.at {
            // Up to the change by the old states, from there by the new ones.
            before.assert_frozen_in(at, &self.model, &self.mask, &what);
            at.assert_frozen(&self.model, &switch.mask, &what);
            self.mask = switch.mask;
        } else {
            before.assert_frozen(&self.model, &self.mask, &what);
        }
        match fitted {
            // What restores weights may put back what moved.
            Ok(_) if possible && !switched && *callback != 1 => {
                let moved = before.moved(&self.model);
                let free = self.model.weights().iter();
                for weight in free.filter(|weight| !self.mask.is_frozen(weight)) {
                    if weight
                        .value()
                        .as_slice()
                        .iter()
                        .any(|value| !value.is_finite())
                    {
                        // Where training has diverged, NaN stays NaN.
                        continue;
                    }
                    let moves = moved.iter().any(|path| path == weight.path());
                    // The direction of a kernel that has been found stays where it is.
                    let may_stay = weight.path().ends_with("vector_u");
                    if weight.kind() == WeightKind::State && !may_stay {
                        assert!(moves, "{} did not move: {what}", weight.path());
                        continue;
                    }
                    self.movable += 1;
                    self.still += usize::from(!moves);
                }
            }
            Ok(_) => {}
            Err(error) => assert!(!possible || !self.mask.trains_any(&self.model), "{error}"),
        }
    }

    /// Steps of one's own, of all that is trained or of one layer, whole, in parts, or on what was kept; and
    /// gradients of a copy in which everything is trained, which must be refused or change nothing frozen.
    fn own_loop(&mut self, number: usize) {
        let possible = self.mask.trains_any(&self.model);
        let (samples, losses) = (&self.samples, self.plan.losses());
        let target = self.mask.target(number / 4);
        let make = |model: &Model, only: bool| {
            model.train_step(SGD::new(1e-2).momentum(0.9), |step| {
                let outputs = step.outputs();
                let mut total = None;
                for (index, (loss, y)) in losses.iter().zip(&samples.targets).enumerate() {
                    let name = format!("y{index}");
                    let y = match y {
                        Values::Floats(y) => step.feed(&name, &y.shape()[1..]),
                        Values::Integers(y) => step.feed_classes(&name, &y.shape()[1..]),
                    };
                    let part = step.loss(loss.clone(), y, outputs[index]);
                    total = Some(total.map_or(part, |total: Var<'_>| total + part));
                }
                if only {
                    step.only(target.as_str())?;
                }
                Ok(total.unwrap())
            })
        };
        let whole = || [data(&samples.inputs), data(&samples.targets)].concat();
        let mut copy = self.model.clone();
        copy.set_freezing(.., Freezing::Trainable).unwrap();
        let of_copy = make(&copy, false).and_then(|mut step| step.gradients(&copy, whole()));
        let mut step = match make(&self.model, number % 4 == 3) {
            Ok(step) => step,
            Err(error) => {
                assert!(!possible || number % 4 == 3, "{error}");
                return;
            }
        };
        let model = &mut self.model;
        if let Ok(of_copy) = of_copy {
            assert!(step.apply(model, &of_copy).is_err());
            assert!(step.shift(model, &of_copy, 1.0).is_err());
        }
        match number % 4 {
            1 => {
                let gradients = step.gradients(model, whole()).unwrap();
                let before = Bytes::of(model);
                let values = step.shift(model, &gradients, 0.1).unwrap();
                let sharp = step.gradients(model, whole()).unwrap();
                step.restore(model, values).unwrap();
                // A kernel that is normalized in each step stays so.
                let moved = before.moved(model);
                let normalized = |path: &String| masks::is_normalized(model, path);
                assert!(moved.iter().all(normalized), "{moved:?}");
                step.apply(model, &sharp).unwrap();
            }
            2 => {
                let kept = step.keep(model, data(&samples.inputs)).unwrap();
                let rows: Vec<usize> = (0..17).collect();
                let batch = kept.batch(&rows, data(&samples.targets)).unwrap();
                step.run(model, batch).unwrap();
            }
            _ => {
                step.run(model, whole()).unwrap();
                step.finish(model).unwrap();
            }
        }
    }

    /// Opens what was saved, where that is a whole model: the same bytes and states.
    fn open(&mut self) {
        let Some(saved) = &self.saved else { return };
        if !matches!(saved.name, "m.keras" | "m.h5") {
            return;
        }
        let path = self.folder.path().join(saved.name);
        let (model, _) = Model::open_with(path, &registry()).unwrap();
        assert_eq!(Bytes::of(&model), saved.bytes, "{}", saved.name);
        self.model = model;
        self.mask = saved.mask.clone();
        self.compile(0);
    }

    /// New models out of this one: bytes and states come along, and this one stays as it is.
    fn surgery(&mut self, number: usize, before: &Bytes) {
        let head = layers![Dense::new(2).named("grafted")];
        let grafted = match number % 2 {
            // Several outputs go into one layer that takes them all, which a dense one does not.
            0 if self.plan.heads.len() == 1 => self.model.with_head(head).unwrap(),
            _ => {
                let layers: Vec<String> = self.mask.layers.keys().cloned().collect();
                let layer = &layers[number % layers.len()];
                match self.model.cut_at(layer.as_str()) {
                    Ok(model) => model,
                    // The shared layer is called twice, and what is wrapped has no place of its own.
                    Err(error) => {
                        const WRAPPED: [&str; 4] =
                            ["/inner", "/forward_inner", "/backward_inner", "_cell"];
                        let is_wrapped = WRAPPED.iter().any(|end| layer.ends_with(end));
                        assert!(layer == "twice" || is_wrapped, "{error}");
                        return;
                    }
                }
            }
        };
        let new = Bytes::of(&grafted);
        for (path, bytes) in new
            .0
            .iter()
            .filter(|(path, _)| !path.starts_with("grafted/"))
        {
            assert_eq!(Some(bytes), before.0.get(path), "{path}");
            let path = masks::layer_of(path);
            let layer = grafted.get_layer(path).unwrap();
            assert_eq!(layer.freezing(), self.mask.shared_state(path), "{path}");
        }
        for weight in grafted.weights().iter() {
            if weight.kind() == WeightKind::Parameter && !weight.path().starts_with("grafted/") {
                let mut trained = grafted.trainable_weights().into_iter();
                let trained = trained.any(|it| it.path() == weight.path());
                assert_eq!(trained, !self.mask.is_frozen(weight), "{}", weight.path());
            }
        }
        assert_eq!(Bytes::of(&self.model), *before);
        let parameter = |weight: &&regraft_layers::Weight| weight.kind() == WeightKind::Parameter;
        let weights = grafted.weights().iter().filter(parameter);
        let known = |path: &str| path.starts_with("grafted/") || before.0.contains_key(path);
        assert!(weights.into_iter().all(|weight| known(weight.path())));
    }
}

fn save(model: &Model, path: &Path) {
    let name = path.to_string_lossy();
    if name.ends_with(".weights.json") {
        model.save_sharded_weights(path, 4096).unwrap();
    } else if name.ends_with("m.keras") || name.ends_with("m.h5") {
        model.save(path).unwrap();
    } else {
        model.save_weights(path).unwrap();
    }
}

/// A callback that gives a layer another state before the second epoch, and remembers the bytes then.
#[derive(Debug)]
struct Switch {
    target: String,
    state: Freezing,
    mask: Mask,
    at: Option<Bytes>,
}

impl Callback for Switch {
    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context<'_>) -> regraft::Result<()> {
        if epoch == 1 {
            self.at = Some(Bytes::of(context.model));
            self.mask.set(context.model, &self.target, self.state);
        }
        Ok(())
    }
}
