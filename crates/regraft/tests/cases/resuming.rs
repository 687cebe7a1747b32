//! Training that is killed and resumed ends with the same bytes as training that was not.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use regraft::callbacks::{
    BackupAndRestore, CSVLogger, CallbackState, EarlyStopping, LambdaCallback,
    LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau, SaveFrequency, TerminateOnNaN,
};
use regraft::optimizers::Adam;
use regraft::{Callback, Context, Fit, History, Result, Sequential, Tensor, Verbosity};
use regraft_layers::layers::{BatchNormalization, Dense, Dropout, Input};

/// Where the process that is killed trains; set for that process alone.
const FOLDER: &str = "REGRAFT_RESUMING_FOLDER";

/// A callback of one's own with a memory: a running mean of the loss, which sets the rate.
#[derive(Debug, Default)]
struct RunningMean {
    mean: f64,
    epochs: usize,
    weights: Option<Tensor>,
}

impl Callback for RunningMean {
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        let loss = history.last("loss").unwrap_or_default();
        self.mean += (loss - self.mean) / (self.epochs + 1) as f64;
        self.epochs += 1;
        if self.epochs.is_multiple_of(7) {
            let rate = 0.01 / (1.0 + self.mean);
            context.optimizer_mut()?.set_learning_rate(rate)?;
        }
        let weight = context.model.weights().iter().next();
        self.weights = weight.map(|weight| weight.value().clone());
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new()
            .number("mean", self.mean)
            .value("epochs", self.epochs);
        Some(match &self.weights {
            Some(weights) => state.tensor("weights", weights.clone()),
            None => state,
        })
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        self.mean = state.get_number("mean").unwrap_or_default();
        self.epochs = state.count("epochs")?;
        self.weights = state.get_tensor("weights").cloned();
        Ok(())
    }
}

/// A whole training run in `folder`, which goes on from a backup that is there.
fn train(folder: &Path) {
    let layers = vec![
        Input::new([4]).into(),
        Dense::new(6).activation("relu").into(),
        BatchNormalization::new().into(),
        Dropout::new(0.2).into(),
        Dense::new(1).into(),
    ];
    let mut model = Sequential::with_seed(layers, 5).unwrap();
    model.compile(Adam::new(0.01), "mse", ["mae"]).unwrap();
    let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect();
    let x = Tensor::new([24, 4], wave(96, 0.37)).unwrap();
    let y = Tensor::new([24, 1], wave(24, 1.7)).unwrap();
    let at = |name: &str| folder.join(name);

    let mut own = RunningMean::default();
    let mut stopping = EarlyStopping::new()
        .monitor("val_mae")
        .patience(25)
        .restore_best_weights(true);
    let mut plateau = ReduceLROnPlateau::new().patience(3).factor(0.7).cooldown(1);
    let mut best = ModelCheckpoint::new(at("best.keras")).save_best_only(true);
    let counted = std::cell::Cell::new(0.0);
    let lambda = LambdaCallback::new()
        .on_epoch_end(|epoch, _, _| {
            counted.set(counted.get() + epoch as f64);
            Ok(())
        })
        .state(
            || CallbackState::new().number("counted", counted.get()),
            |state| {
                counted.set(state.get_number("counted").unwrap_or_default());
                Ok(())
            },
        );
    let options = Fit::new()
        .epochs(40)
        .batch_size(8)
        .seed(11)
        .validation_split(0.25)
        .verbosity(Verbosity::Silent)
        .callback(CSVLogger::new(at("log.csv")))
        .callback(&mut plateau)
        .callback(&mut stopping)
        .callback(BackupAndRestore::new(at("backup")))
        .callback(&mut best)
        .callback(
            ModelCheckpoint::new(at("every.weights.h5"))
                .save_weights_only(true)
                .save_freq(SaveFrequency::Batches(5)),
        )
        .callback(LearningRateScheduler::new(|epoch, rate| {
            if epoch == 20 { rate * 0.5 } else { rate }
        }))
        .callback(TerminateOnNaN::new())
        .callback(lambda)
        .callback(&mut own);
    fs::write(at("begun"), "").unwrap();
    let history = model.fit(&x, &y, options).unwrap();
    model.save(at("final.keras")).unwrap();
    let facts = format!(
        "{history:?} {own:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        stopping.stopped_epoch,
        stopping.best.map(f64::to_bits),
        stopping.best_epoch,
        plateau.best.map(f64::to_bits),
        plateau.reduced,
        best.best.map(f64::to_bits),
        counted.get(),
    );
    fs::write(at("facts.txt"), facts).unwrap();
    fs::write(at("done"), "").unwrap();
}

/// What a run has left behind.
fn left(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = [
        "best.keras",
        "every.weights.h5",
        "facts.txt",
        "final.keras",
        "log.csv",
    ];
    let read =
        |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    names
        .iter()
        .map(|name| (name.to_string(), read(name)))
        .collect()
}

/// Not a test of its own: it is the process that is killed.
#[test]
fn a_run_that_may_be_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        train(Path::new(&folder));
    }
}

fn start(folder: &Path) -> std::process::Child {
    let this = std::env::current_exe().unwrap();
    Command::new(this)
        .args(["resuming::a_run_that_may_be_killed", "--exact"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the process trains, and for so long after that; then kills it.
fn kill_after(folder: &Path, time: Duration) {
    let _ = fs::remove_file(folder.join("begun"));
    let mut child = start(folder);
    while !folder.join("begun").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(time);
    // Without warning: nothing of the process runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Fifty times: at instants that are spread over the whole run, some of them while files are written.
#[test]
fn a_run_killed_at_any_instant_ends_with_the_bytes_of_an_undisturbed_one() {
    const KILLS: u32 = 50;
    let undisturbed = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert!(start(undisturbed.path()).wait().unwrap().success());
    let whole = begun.elapsed();
    let expected = left(undisturbed.path());
    let (mut kills, mut resumed, mut instant) = (0, 0, 0.137_f64);
    while kills < KILLS {
        let folder = tempfile::tempdir().unwrap();
        // Several in the same run: a resumed one is killed again.
        for _ in 0..3 {
            // A golden section after the last, so that instants spread evenly.
            instant = (instant + 0.618_034) % 1.0;
            kill_after(folder.path(), whole.mul_f64(instant * 0.5));
            kills += 1;
            resumed += u32::from(folder.path().join("backup/latest.safetensors").exists());
            if folder.path().join("done").exists() {
                break;
            }
        }
        assert!(start(folder.path()).wait().unwrap().success());
        for ((name, ours), (_, theirs)) in left(folder.path()).iter().zip(&expected) {
            assert!(ours == theirs, "{name} differs after {kills} kills");
        }
        assert!(!folder.path().join("backup").exists());
    }
    // Most instants lie inside the run.
    assert!(resumed > KILLS / 2, "{resumed} of {kills}");
}

/// A backup names the callback that it cannot go on without.
#[test]
fn a_resumed_fit_wants_the_same_callbacks() {
    let folder = tempfile::tempdir().unwrap();
    let mut model =
        Sequential::with_seed(vec![Input::new([2]).into(), Dense::new(1).into()], 1).unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    let (x, y) = (Tensor::zeros([4, 2]), Tensor::zeros([4, 1]));
    let options = || {
        let backup = BackupAndRestore::new(folder.path()).delete_checkpoint(false);
        Fit::new()
            .epochs(2)
            .verbosity(Verbosity::Silent)
            .callback(backup)
    };
    let stopping = EarlyStopping::new().monitor("loss").patience(9);
    model.fit(&x, &y, options().callback(stopping)).unwrap();
    let error = model.fit(&x, &y, options()).unwrap_err().to_string();
    assert!(error.contains("EarlyStopping"), "{error}");
}
