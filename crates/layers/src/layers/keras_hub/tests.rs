//! Beside KerasHub itself: results, masks, gradients and configurations.

use crate::golden::cases;
use crate::layers::attention::tests::check;

#[test]
fn every_layer_does_what_keras_hub_does() {
    let cases = cases("keras_hub");
    assert!(cases.len() >= 8);
    cases.iter().for_each(check);
}
