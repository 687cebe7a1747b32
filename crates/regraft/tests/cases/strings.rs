//! Models of strings: vocabularies beside the configuration, strings as data, and strings as results.

use regraft::callbacks::LambdaCallback;
use regraft::layers::{Dense, Embedding, GlobalAveragePooling1D, Input, StringLookup, layers};
use regraft::ndarray::{Array2, array};
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Sequential, Verbosity};

use crate::common::{assert_close, case, npz};

fn words() -> Array2<&'static str> {
    array![
        ["good", "film"],
        ["bad", "film"],
        ["unheard", "good"],
        ["bad", "bad"]
    ]
}

#[test]
fn vocabularies_in_the_archive_are_used_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["embedding", "weighted"] {
        let expected = npz("strings/y.npz", name);
        let (model, _) = Model::open(case(&format!("strings/{name}.keras"))).unwrap();
        let y = model.predict(&words()).unwrap();
        assert_close(y.as_slice(), &expected, 1e-6);
        let file = folder.path().join("again.keras");
        model.save(&file).unwrap();
        let (again, _) = Model::open(&file).unwrap();
        assert_eq!(again.predict(&words()).unwrap().as_slice(), y.as_slice());
    }
}

#[test]
fn a_model_that_gives_strings_gives_strings() {
    let (model, _) = Model::open(case("strings/inverted.keras")).unwrap();
    let strings = model.predict_strings(&array![[1, 2], [0, 9]]).unwrap();
    assert_eq!(strings, ["bad", "good", "[UNK]", "[UNK]"]);
}

#[test]
fn strings_are_trained_on_and_wrong_data_are_said() {
    let lookup = StringLookup::new().adapt(words().outer_iter().map(|row| row.to_vec()));
    let mut model = Sequential::new(layers![
        Input::strings([2]),
        lookup,
        Embedding::new(6, 3),
        GlobalAveragePooling1D::new(),
        Dense::new(1),
    ])
    .unwrap();
    model.compile(SGD::new(0.5), "mse", ()).unwrap();
    let y = array![[1.0_f32], [-1.0], [0.5], [-2.0]];
    let fit = Fit::new().epochs(30).verbosity(Verbosity::Silent);
    let history = model.fit(&words(), &y, fit).unwrap();
    let losses = history.get("loss").unwrap();
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    let error = model.predict(&array![[1, 2]]).unwrap_err().to_string();
    assert!(error.contains("expected strings"), "{error}");
    let mut numbers = Sequential::new(layers![Input::new([2]), Dense::new(1)]).unwrap();
    numbers.compile(SGD::new(0.5), "mse", ()).unwrap();
    let error = numbers.predict(&words()).unwrap_err().to_string();
    assert!(error.contains("StringLookup"), "{error}");
}

/// What callbacks change lets data be checked again: they have been looked up by then.
#[test]
fn training_on_strings_goes_on_when_a_callback_unfreezes() {
    let lookup = StringLookup::new().adapt(words().outer_iter().map(|row| row.to_vec()));
    let mut model = Sequential::new(layers![
        Input::strings([2]),
        lookup,
        Embedding::new(6, 3),
        GlobalAveragePooling1D::new(),
        Dense::new(1),
    ])
    .unwrap();
    model.freeze("embedding").unwrap();
    model.compile(SGD::new(0.5), "mse", ()).unwrap();
    let before = model
        .weight("embedding/embeddings")
        .unwrap()
        .value()
        .clone();
    let y = array![[1.0_f32], [-1.0], [0.5], [-2.0]];
    let thaw = LambdaCallback::new().on_epoch_begin(|epoch, context| {
        if epoch == 1 {
            context.model.unfreeze("embedding")?;
        }
        Ok(())
    });
    let fit = Fit::new().epochs(3).callback(thaw);
    let fit = fit.verbosity(Verbosity::Silent);
    model.fit(&words(), &y, fit).unwrap();
    let after = model.weight("embedding/embeddings").unwrap().value();
    assert_ne!(*after, before);
}
