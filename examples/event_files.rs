//! Trains a small network with `TensorBoard` and `CSVLogger`, once in one go and once interrupted and resumed:
//! what `fixtures/tensorboard_check.py` reads with TensorBoard and compares with Keras.
//!
//! `cargo run --release --example event_files -- DIRECTORY`

use std::fs::File;
use std::path::Path;

use ndarray_npy::NpzReader;
use regraft::callbacks::{
    BackupAndRestore, CSVLogger, LambdaCallback, TensorBoard, UpdateFrequency,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array1, Array2};
use regraft::optimizers::SGD;
use regraft::{Error, Fit, History, Model, Result, Verbosity};
use regraft_tensor::Detail;

const EPOCHS: usize = 5;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("give the directory")?;
    let directory = Path::new(&directory);
    let mut arrays = NpzReader::new(File::open(directory.join("data.npz"))?)?;
    let x: Array2<f32> = arrays.by_name("x.npy")?;
    let y: Array1<i32> = arrays.by_name("y.npy")?;
    let other_x: Array2<f32> = arrays.by_name("other_x.npy")?;
    let other_y: Array1<i32> = arrays.by_name("other_y.npy")?;
    let train = |name: &str, until: usize| -> Result<History> {
        let (mut model, _) = Model::open(directory.join("model.keras"))?;
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(SGD::new(0.1), loss, ["accuracy"])?;
        let board = TensorBoard::new(directory.join(name))
            .update_freq(UpdateFrequency::Batches(2))
            .histogram_freq(2);
        let interrupt = LambdaCallback::new().on_batch_end(move |epoch, step, _| {
            match epoch == until && step == 2 {
                true => Err(Error::Model(Detail::new("", "", "an interruption"))),
                false => Ok(()),
            }
        });
        let options = Fit::new()
            .epochs(EPOCHS)
            .batch_size(8)
            .shuffle(false)
            .validation_data(&other_x, &other_y)
            .verbosity(Verbosity::Silent)
            .callback(BackupAndRestore::new(
                directory.join(format!("{name}.backup")),
            ))
            .callback(CSVLogger::new(directory.join(format!("{name}.csv"))))
            .callback(board)
            .callback(interrupt);
        model.fit(&x, &y, options)
    };
    train("whole", EPOCHS)?;
    assert!(
        train("resumed", 3).is_err(),
        "training was to be interrupted"
    );
    train("resumed", EPOCHS)?;
    Ok(())
}
