//! Names with `/` and adapted statistics in Keras 2's SavedModels and checkpoints.

use regraft::{Model, Sequential};
use regraft_layers::layers::{Dense, Input, Normalization};
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
