//! What adapters compute, against the weights that they stand for.

use super::{check, models, network, stack};
use crate::adapters::{Adapter, Bias, Ia3, Lora, Vera};
use crate::layers::{Conv2D, EinsumDense};
use crate::{Dense, Error, Input, LayerExt, Sequential, layers};

#[test]
fn a_low_rank_product_is_that_of_the_sum_of_kernels() {
    for (name, model, dora) in models() {
        check(name, &model, Lora::rank(2).alpha(3.0));
        check(name, &model, Lora::rank(4).rslora());
        if dora {
            check(&format!("{name}, dora"), &model, Lora::rank(2).dora());
        }
        let biases = model.weights().iter().any(|it| it.name() == "bias");
        if biases {
            let with_bias = Lora::rank(2).bias(Bias::LoraOnly);
            check(&format!("{name}, bias"), &model, with_bias);
            let behind = Lora::rank(2).lora_bias();
            check(&format!("{name}, bias behind B"), &model, behind);
        }
    }
}

#[test]
fn scales_are_those_of_outputs_or_inputs() {
    for (name, model, _) in models() {
        check(&format!("{name}, outputs"), &model, Ia3::new());
        // What is looked up has no factors.
        if !["embedding", "einsum"].contains(&name) {
            let inputs = Ia3::new().feedforward("it");
            check(&format!("{name}, inputs"), &model, inputs);
        }
    }
}

#[test]
fn vera_is_for_dense_layers_that_share_its_matrices() {
    check("dense", &stack(&[6], Dense::new(4)), Vera::rank(3));
    let stack = layers![
        Input::new([6]),
        Dense::new(8).named("a"),
        Dense::new(5).named("b"),
        Dense::new(2).named("head"),
    ];
    let mut model = Sequential::with_seed(stack, 5).unwrap();
    model.adapt(["a", "b"], Vera::rank(3)).unwrap();
    let value = |path: &str| model.weight(path).unwrap().value();
    let [a, b] = ["a", "b"].map(|layer| value(&format!("{layer}/default/vera_kernel_a")));
    assert_eq!((a.shape(), b.shape()), (&[6, 3][..], &[8, 3][..]));
    assert_eq!(a.as_slice(), &b.as_slice()[..18]);
    let [a, b] = ["a", "b"].map(|layer| value(&format!("{layer}/default/vera_kernel_b")));
    for row in 0..3 {
        assert_eq!(
            a.as_slice()[row * 8..row * 8 + 5],
            b.as_slice()[row * 5..row * 5 + 5]
        );
    }
    // Only the vectors are trained.
    assert_eq!(model.count_parameters().trainable, 8 + 3 + 5 + 3);
    let text = self::stack(&[6, 6, 4], Conv2D::new(6, 3))
        .adapt("it", Vera::rank(2))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("it/kernel") && text.contains("dense"),
        "{text}"
    );
}

#[test]
fn ranks_and_strengths_follow_the_first_selector_that_picks() {
    let mut model = network();
    let adapter = Lora::rank(2)
        .rank_of("hid*", 3)
        .rank_of("hidden", 5)
        .alpha_of("conv", 1.0);
    model.adapt(["conv", "hidden"], adapter).unwrap();
    let shape = |path: &str| model.weight(path).unwrap().value().shape().to_vec();
    assert_eq!(shape("hidden/default/lora_kernel_b"), [3, 5]);
    assert_eq!(shape("conv/default/lora_kernel_a"), [3, 3, 3, 2]);
    let state = model.adapter_state("default").unwrap();
    let text = format!("{:?}", state.layers[0].updates[0].form);
    assert!(text.contains("alpha: 1.0"), "{text}");
}

#[test]
fn equations_whose_kernel_has_no_features_are_not_adapted() {
    let einsum = |equation: &str, output: &[usize]| {
        stack(&[3, 6], EinsumDense::new(equation, output.to_vec()))
    };
    for (equation, output) in [
        ("abc,dc->abd", &[3, 6][..]),
        ("abc,cd->adb", &[3, 3]),
        ("abc,c->abc", &[3, 6]),
    ] {
        for adapter in [Adapter::from(Lora::rank(6)), Ia3::new().into()] {
            let error = einsum(equation, output).adapt("it", adapter).unwrap_err();
            assert!(matches!(error, Error::NoMatch(_)), "{equation}: {error}");
        }
    }
    let inputs = Ia3::new().feedforward("it");
    let error = einsum("abc,cd->abd", &[3, 5]).adapt("it", inputs);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("summed over"), "{text}");
    let adapters = [Adapter::from(Lora::rank(2)), Ia3::new().into()];
    for adapter in adapters {
        check("abc,cd->abd", &einsum("abc,cd->abd", &[3, 6]), adapter);
    }
}
