//! Names with `/` and adapted statistics in Keras 2's SavedModels and checkpoints; names in the weight files of
//! subclassed models.

use regraft::{Error, Load, Model, Sequential};
use regraft_layers::layers::{BatchNormalization, Conv1D, Dense, Input, Normalization};
use regraft_layers::{LayerExt, layers};

use crate::common::{assert_close, case, npz};

#[test]
fn names_with_slashes_are_found_in_a_saved_model() {
    let (model, report) = Model::open(case("slash-names/k2_slash_names_sm")).unwrap();
    assert_eq!(report.loaded.len(), 8, "{report}");
    let of = |key| npz::<f32>("slash-names/k2_slash_names.npz", key);
    assert_close(
        model.predict(&of("x0")).unwrap().as_slice(),
        &of("y0"),
        1e-5,
    );
}

#[test]
fn adapted_statistics_are_found_by_their_place() {
    let stack = |first: &str| {
        layers![
            Input::new([6]),
            Normalization::new().named(first),
            Dense::new(4).activation("elu"),
            Dense::new(1).named("a"),
        ]
    };
    let of = |key| npz::<f32>("normalization/k2_norm.npz", key);
    for name in ["normalization", "normalization_7", "statistics"] {
        let mut model = Sequential::new(stack(name)).unwrap();
        let report = model
            .load_weights(case("normalization/k2_norm_ck"))
            .unwrap();
        assert_eq!(report.loaded.len(), 7, "{report}");
        assert_close(
            model.predict(&of("x0")).unwrap().as_slice(),
            &of("y0"),
            1e-5,
        );
    }
}

/// The model of `fixtures/subclassed_files.py`, whose blocks are those of nobody else.
fn flat() -> Model {
    let conv = |name: &str| Conv1D::new(3, 2).padding("same").named(name);
    let norm = |name: &str| BatchNormalization::new().named(name);
    let stack = layers![
        Input::new([4, 3]),
        Dense::new(3).activation("tanh").named("entry"),
        conv("conv_1"),
        norm("norm_1"),
        conv("conv_2"),
        norm("norm_2"),
        Dense::new(3).named("middle"),
        conv("conv_3"),
        norm("norm_3"),
        Dense::new(2).named("head"),
    ];
    Sequential::new(stack).unwrap()
}

#[test]
fn the_names_of_a_subclassed_model_are_shown_as_the_map_takes_them() {
    let keras_3 = [
        ("stem/", "entry"),
        ("first/conv1d/", "conv_1"),
        ("first/batch_normalization/", "norm_1"),
        ("second/conv1d_1/", "conv_2"),
        ("second/batch_normalization_1/", "norm_2"),
        ("sequential/middle/", "middle"),
        ("third/conv1d_2/", "conv_3"),
        ("third/batch_normalization_2/", "norm_3"),
        ("dense/", "head"),
    ];
    // Without names, and two blocks of the same key: their addresses tell them apart.
    let keras_2 = [
        ("stem/", "entry"),
        ("layers/block/conv/vars/", "conv_1"),
        ("layers/block/norm/vars/", "norm_1"),
        ("block_1/conv/", "conv_2"),
        ("block_1/norm/", "norm_2"),
        ("sequential/dense/", "middle"),
        ("up/block/conv/vars/", "conv_3"),
        ("up/block/norm/vars/", "norm_3"),
        ("dense/", "head"),
    ];
    for (file, layers) in [("k3", keras_3), ("k2", keras_2)] {
        let path = case(&format!("subclassed/{file}.weights.h5"));
        let mut model = flat();
        let Err(Error::Load(error)) = model.load_weights(&path) else {
            panic!("{file} is of another model");
        };
        let text = error.to_string();
        let mut shown = error.0.unexpected.clone();
        shown.sort();
        let count = |layer: &str| if layer.starts_with("norm") { 4 } else { 2 };
        let of = |(name, layer): &(&str, &str)| {
            let name = name.to_string();
            (0..count(layer)).map(move |at| format!("{name}{at}"))
        };
        let mut names: Vec<String> = layers.iter().flat_map(of).collect();
        names.sort();
        assert_eq!(shown, names, "{text}");
        assert!(text.contains(&format!(" {} ", shown[0])), "{text}");
        let patterns = layers.map(|(name, to)| (format!("{name}*"), format!("{to}/$1")));
        let report = model.load_weights_with(&path, Load::map(patterns)).unwrap();
        assert_eq!(report.loaded.len(), 24, "{report}");
        let of = |key| npz::<f32>(&format!("subclassed/{file}.npz"), key);
        assert_close(model.predict(&of("x")).unwrap().as_slice(), &of("y"), 1e-5);
        // The addresses that reports have of what was loaded are names, too.
        let mut again = flat();
        let sources = report
            .loaded
            .iter()
            .map(|it| (it.source.clone(), it.weight.clone()));
        let _ = again.load_weights_with(&path, Load::map(sources)).unwrap();
        assert_close(again.predict(&of("x")).unwrap().as_slice(), &of("y"), 1e-5);
    }
}
