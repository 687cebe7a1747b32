//! Callbacks in real training, on a small problem.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regraft_layers::layers as stack;
use regraft_layers::layers::{Dense, Input};
use regraft_layers::losses::SparseCategoricalCrossentropy;
use regraft_optimizers::Adam;
use regraft_tensor::Detail;

use super::*;
use crate::{Error, FeatureCache, Fit, Model, Sequential, Verbosity};

/// Two classes of points that overlap.
static SAMPLES: LazyLock<(ndarray::Array2<f32>, Vec<i32>)> = LazyLock::new(|| {
    let x = ndarray::Array2::from_shape_fn((24, 3), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 11.0);
    let y = (0..24)
        .map(|i| i32::from((i * i + i / 3) % 5 < 2))
        .collect();
    (x, y)
});

fn model() -> Model {
    let layers = stack![
        Input::new([3]),
        Dense::new(5).activation("relu"),
        Dense::new(4).activation("relu"),
        Dense::new(2),
    ];
    let mut model = Sequential::with_seed(layers, 3).unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(Adam::new(0.05), loss, ["accuracy"]).unwrap();
    model
}

fn options<'a>(epochs: usize) -> Fit<'a> {
    Fit::new()
        .epochs(epochs)
        .batch_size(5)
        .validation_split(0.25)
        .verbosity(Verbosity::Silent)
}

fn fit(model: &mut Model, options: Fit<'_>) -> Result<History> {
    let (x, y) = &*SAMPLES;
    model.fit(x, y, options)
}

fn bits(model: &Model) -> Vec<(String, Vec<u32>)> {
    let bits = |value: &[f32]| value.iter().map(|value| value.to_bits()).collect();
    let weights = model.weights().iter();
    weights
        .map(|weight| (weight.path().to_string(), bits(weight.value().as_slice())))
        .collect()
}

/// Fails before an epoch, as if the program had been killed.
#[derive(Debug)]
struct Interrupt(usize);

impl Callback for Interrupt {
    fn on_epoch_begin(&mut self, epoch: usize, _context: &mut Context<'_>) -> Result<()> {
        match epoch == self.0 {
            true => Err(Error::Model(Detail::new("test", "no interruption", "one"))),
            false => Ok(()),
        }
    }
}

#[test]
fn early_stopping_restores_the_best_weights() {
    let mut kept = Vec::new();
    let mut stopping = EarlyStopping::new().patience(2).restore_best_weights(true);
    let mut model = model();
    let watch = LambdaCallback::new().on_epoch_end(|_, context, _| {
        kept.push(bits(context.model));
        Ok(())
    });
    let history = fit(
        &mut model,
        options(60).callback(&mut stopping).callback(watch),
    )
    .unwrap();
    let values = history.get("val_loss").unwrap();
    let best = (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b]));
    assert_eq!(stopping.best_epoch, best);
    assert_eq!(stopping.best, best.map(|epoch| values[epoch]));
    assert_eq!(stopping.stopped_epoch, Some(best.unwrap() + 2));
    assert_eq!(values.len(), best.unwrap() + 3);
    assert_eq!(bits(&model), kept[best.unwrap()]);
    assert_ne!(bits(&model), *kept.last().unwrap());
}

#[test]
fn an_unknown_quantity_is_an_error_before_the_first_step() {
    let mut model = model();
    let before = bits(&model);
    let stopping = EarlyStopping::new().monitor("val_f1");
    let error = fit(&mut model, options(2).callback(stopping)).unwrap_err();
    assert!(matches!(error, Error::Setting(_)));
    let text = error.to_string();
    assert!(
        text.contains("loss, accuracy, val_loss, val_accuracy"),
        "{text}"
    );
    assert_eq!(bits(&model), before);
    // The direction of an accuracy is known.
    let mut checkpoint = EarlyStopping::new().monitor("val_accuracy").patience(9);
    let history = fit(&mut model, options(3).callback(&mut checkpoint)).unwrap();
    let values = history.get("val_accuracy").unwrap();
    assert_eq!(checkpoint.best, values.iter().copied().reduce(f64::max));
}

#[test]
fn a_resumed_fit_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backup");
    // The first layer is trained from epoch 2 on, so the backup has a parameter that was updated
    // less often, and a state of freezing.
    fn gradual<'a>(epochs: usize, reduce: &'a mut ReduceLROnPlateau) -> Fit<'a> {
        let unfreeze = LambdaCallback::new().on_epoch_begin(|epoch, context| {
            if epoch == 2 {
                context.model.unfreeze(..1)?;
            }
            Ok(())
        });
        options(epochs).callback(unfreeze).callback(reduce)
    }
    let plateau = || {
        ReduceLROnPlateau::new()
            .patience(1)
            .min_delta(0.05)
            .factor(0.5)
    };
    let start = || {
        let mut model = model();
        model.freeze(..1).unwrap();
        model
    };
    let (mut whole, mut reduced) = (start(), plateau());
    let expected = fit(&mut whole, gradual(6, &mut reduced)).unwrap();
    assert!(!reduced.reduced.is_empty());

    for interrupted in [1, 3, 5] {
        let (mut first, mut unused) = (start(), plateau());
        let backup = BackupAndRestore::new(&backups);
        let mut run = options(6).callback(backup);
        run.callbacks.extend(gradual(6, &mut unused).callbacks);
        fit(&mut first, run.callback(Interrupt(interrupted))).unwrap_err();
        assert!(backups.join("latest.safetensors").exists());

        let (mut second, mut again) = (start(), plateau());
        let mut backup = BackupAndRestore::new(&backups);
        let mut run = options(6).callback(&mut backup);
        run.callbacks.extend(gradual(6, &mut again).callbacks);
        let history = fit(&mut second, run).unwrap();
        assert_eq!(backup.resumed_at, Some(interrupted));
        assert_eq!(bits(&second), bits(&whole), "after {interrupted}");
        assert_eq!(history, expected);
        assert_eq!(again.reduced, reduced.reduced);
        let (ours, theirs) = (second.optimizer().unwrap(), whole.optimizer().unwrap());
        assert_eq!(ours.parameters().len(), theirs.parameters().len());
        for parameter in theirs.parameters() {
            let path = &parameter.path;
            assert_eq!(ours.updates(path), theirs.updates(path));
        }
        assert!(!backups.exists());
    }
}

#[test]
fn a_backup_of_another_run_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backup = || BackupAndRestore::new(folder.path()).delete_checkpoint(false);
    fit(&mut model(), options(2).callback(backup())).unwrap();
    let mut other = model();
    let before = bits(&other);
    let error = fit(&mut other, options(3).seed(9).callback(backup())).unwrap_err();
    assert!(matches!(error, Error::File(_)), "{error}");
    assert!(error.to_string().contains("seed"), "{error}");
    assert_eq!(bits(&other), before);
    // Training that is to be longer goes on.
    let history = fit(&mut other, options(3).callback(backup())).unwrap();
    assert_eq!(history.epochs(), [0, 1, 2]);
}

#[test]
fn a_checkpoint_is_the_model_of_its_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut best = ModelCheckpoint::new(path("best.weights.h5"))
        .save_weights_only(true)
        .save_best_only(true);
    let each = ModelCheckpoint::new(path("each/{epoch:02}-{val_loss:.3f}.safetensors"))
        .save_weights_only(true);
    let mut whole =
        ModelCheckpoint::new(path("{epoch}-{batch}.keras")).save_freq(SaveFrequency::Batches(6));
    let mut kept = Vec::new();
    let watch = LambdaCallback::new().on_epoch_end(|_, context, _| {
        kept.push(bits(context.model));
        Ok(())
    });
    let run = options(4).callback(&mut best).callback(each);
    let run = run.callback(&mut whole).callback(watch);
    let history = fit(&mut model(), run).unwrap();
    let losses = history.get("val_loss").unwrap();
    for (epoch, loss) in losses.iter().enumerate() {
        let file = path(&format!("each/{:02}-{loss:.3}.safetensors", epoch + 1));
        let mut loaded = model();
        assert_eq!(loaded.load_weights(file).unwrap().missing.len(), 0);
        assert_eq!(bits(&loaded), kept[epoch]);
    }
    let mut loaded = model();
    let _report = loaded.load_weights(path("best.weights.h5")).unwrap();
    let first = (0..4)
        .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
        .unwrap();
    assert_eq!(bits(&loaded), kept[first]);
    assert_eq!(best.best, Some(losses[first]));
    // 18 samples are 4 steps an epoch: step 6 is the second of the second epoch.
    assert!(path("2-2.keras").exists());
    assert_eq!(whole.last_path, Some(path("3-4.keras")));
}

#[test]
fn a_checkpoint_that_cannot_work_is_refused_before_the_first_step() {
    let refused = |checkpoint: ModelCheckpoint| {
        let error = fit(&mut model(), options(1).callback(checkpoint)).unwrap_err();
        assert!(
            matches!(error, Error::Setting(_) | Error::File(_)),
            "{error}"
        );
    };
    refused(ModelCheckpoint::new("model.txt"));
    refused(ModelCheckpoint::new("model.weights.h5"));
    refused(ModelCheckpoint::new("{val_f1}.keras"));
    refused(ModelCheckpoint::new("{batch}.keras"));
    refused(ModelCheckpoint::new("m.keras").save_freq(SaveFrequency::Batches(0)));
    let batches = ModelCheckpoint::new("m.keras").save_freq(SaveFrequency::Batches(2));
    refused(batches.save_best_only(true));
}

#[test]
fn rates_follow_the_scheduler_and_the_plateau() {
    let mut model = model();
    let mut rates = Vec::new();
    let watch = LambdaCallback::new().on_epoch_end(|_, context, _| {
        rates.push(context.optimizer()?.learning_rate());
        Ok(())
    });
    let halve = LearningRateScheduler::new(|epoch, rate| if epoch == 0 { 0.5 } else { rate / 2.0 });
    fit(&mut model, options(3).callback(halve).callback(watch)).unwrap();
    assert_eq!(rates, [0.5, 0.25, 0.125]);

    let mut reduce = ReduceLROnPlateau::new()
        .factor(0.5)
        .patience(1)
        .cooldown(2)
        .min_delta(1e9)
        .min_lr(0.02);
    fit(&mut model, options(7).callback(&mut reduce)).unwrap();
    // No epoch is better than the first. The last epoch of cooling down counts again, as in Keras,
    // and nothing is reduced below the smallest rate.
    assert_eq!(reduce.reduced, [1, 3, 5]);
    assert_eq!(model.optimizer().unwrap().learning_rate(), 0.02);
}

#[test]
fn the_log_has_a_line_per_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let mut model = model();
    let history = fit(&mut model, options(2).callback(CSVLogger::new(&path))).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), history.to_csv());
    let log = CSVLogger::new(&path).append(true);
    fit(&mut model, options(3).initial_epoch(2).callback(log)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().last().unwrap().starts_with("2,"));
    let other = CSVLogger::new(&path).append(true).separator(';');
    assert!(fit(&mut model, options(1).callback(other)).is_err());
    let nowhere = CSVLogger::new(Path::new("/nowhere/log.csv"));
    let error = fit(&mut model, options(1).callback(nowhere)).unwrap_err();
    assert!(matches!(error, Error::File(_)));
}

#[test]
fn a_loss_that_is_no_number_ends_training_at_once() {
    let break_model = || {
        LambdaCallback::new().on_batch_end(|epoch, step, context| {
            if (epoch, step) == (1, 1) {
                let bias = regraft_tensor::Tensor::full([2], f32::NAN);
                context.model.set_weight("dense_2/bias", bias)?;
            }
            Ok(())
        })
    };
    let mut stop = TerminateOnNaN::new();
    let run = options(4).callback(break_model()).callback(&mut stop);
    let history = fit(&mut model(), run).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(stop.stopped_at, Some((1, 2)));
    let run = options(4).callback(break_model());
    let error = fit(
        &mut model(),
        run.callback(TerminateOnNaN::new().raise_error(true)),
    );
    assert!(matches!(error, Err(Error::Diverged(_))));
}

#[test]
fn layers_can_be_unfrozen_gradually() {
    let train = |cache: FeatureCache| {
        let mut model = model();
        model.freeze(..-1).unwrap();
        let mut states = vec![bits(&model)];
        let watch = LambdaCallback::new()
            .on_epoch_begin(|epoch, context| {
                match epoch {
                    2 => context.model.unfreeze(1..2)?,
                    4 => context.model.unfreeze(..1)?,
                    _ => {}
                }
                Ok(())
            })
            .on_epoch_end(|_, context, _| {
                states.push(bits(context.model));
                Ok(())
            });
        let history = fit(&mut model, options(5).feature_cache(cache).callback(watch)).unwrap();
        (states, history)
    };
    let (states, history) = train(FeatureCache::Auto);
    // Layer by layer: the first epoch after which its weights are not what they were.
    for (path, from) in [
        ("dense/kernel", 5),
        ("dense_1/kernel", 3),
        ("dense_2/kernel", 1),
    ] {
        let index = states[0].iter().position(|(at, _)| at == path).unwrap();
        let moved = states
            .iter()
            .position(|state| state[index] != states[0][index]);
        assert_eq!(moved, Some(from), "{path}");
    }
    // Training and validation see the weights as they are: without the cache they give the same.
    assert_eq!((states, history), train(FeatureCache::Off));
}
