//! What is trained with adapters, which of them count, and what is merged.

use regraft_tensor::Tensor;

use super::{bits, close, models, network, run, stir, trained};
use crate::adapters::{Bias, Lora};
use crate::{Dense, Freezing, Model, Selector};

#[test]
fn what_an_adapter_has_is_trained_and_nothing_else() {
    let mut model = network();
    let adapter = Lora::rank(2).modules_to_save(["norm", "head"]);
    model.adapt(.., adapter).unwrap();
    let expected = [
        "conv/default/lora_kernel_a",
        "conv/default/lora_kernel_b",
        "norm/default/gamma",
        "norm/default/beta",
        "hidden/default/lora_kernel_a",
        "hidden/default/lora_kernel_b",
        "head/default/kernel",
        "head/default/bias",
        "norm/default/moving_mean",
        "norm/default/moving_variance",
    ];
    let mut found = trained(&model);
    let mut wanted = expected.map(String::from).to_vec();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    let shown = model.trainable_weights();
    assert_eq!(shown.len(), 8, "{shown:?}");
    let counted: usize = shown.iter().map(|weight| weight.value().len()).sum();
    assert_eq!(model.count_parameters().trainable, counted);
    assert!(model.summary().to_string().contains("part"));
    // The other adapter is trained alone, and the normalization stands still with it.
    model.add_adapter("other", "conv", Lora::rank(1)).unwrap();
    assert_eq!(model.active_adapters(), ["default"]);
    model.set_adapter("other").unwrap();
    assert_eq!(
        trained(&model),
        ["conv/other/lora_kernel_a", "conv/other/lora_kernel_b"]
    );
    assert_eq!(
        model.get_layer("norm").unwrap().freezing(),
        Freezing::Frozen
    );
    model.set_adapters(&["default", "other"]).unwrap();
    assert_eq!(trained(&model).len(), 12);
    // Frozen as a whole, adapters are, too; and unfrozen by name.
    model.freeze(..).unwrap();
    assert!(trained(&model).is_empty());
    model.unfreeze("**/default/lora_*").unwrap();
    assert_eq!(trained(&model).len(), 4);
    // While they are merged nothing of them moves.
    model.merge_adapter().unwrap();
    assert!(trained(&model).is_empty());
    model.unmerge_adapter().unwrap();
    model.delete_adapter("default").unwrap();
    assert_eq!(model.adapters(), ["other"]);
    model.delete_adapter("other").unwrap();
    assert_eq!(bits(&model), bits(&network()));
    assert_eq!(model.weights().len(), network().weights().len());
}

#[test]
fn biases_are_copied() {
    let mut model = network();
    model
        .adapt("hidden", Lora::rank(2).bias(Bias::All))
        .unwrap();
    let found = trained(&model);
    for path in [
        "conv/default/bias",
        "norm/default/beta",
        "hidden/default/bias",
        "head/default/bias",
    ] {
        assert!(found.iter().any(|it| it == path), "{found:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
    // Biases alone, and normalizations alone, are selectors.
    let mut model = network();
    model.freeze(..).unwrap();
    model
        .unfreeze(Selector::weights("bias") | Selector::weights("beta"))
        .unwrap();
    assert_eq!(
        trained(&model),
        ["conv/bias", "norm/beta", "hidden/bias", "head/bias"]
    );
    model.freeze(..).unwrap();
    model
        .unfreeze(Selector::kind("BatchNormalization"))
        .unwrap();
    assert_eq!(trained(&model), ["norm/gamma", "norm/beta"]);
}

#[test]
fn adapters_that_have_a_layer_as_a_whole_take_turns() {
    let mut model = network();
    let whole = || Lora::rank(2).modules_to_save("norm");
    model.adapt("hidden", whole()).unwrap();
    model.add_adapter("b", "hidden", whole()).unwrap();
    let freezing = |model: &Model| model.get_layer("norm").unwrap().freezing();
    for name in ["b", "default", "b", "default"] {
        model.set_adapter(name).unwrap();
        assert_eq!(freezing(&model), Freezing::Trainable, "{name}");
        let found = trained(&model);
        assert_eq!(found.len(), 6, "{found:?}");
        let path = format!("norm/{name}/gamma");
        assert!(found.contains(&path), "{name}: {found:?}");
    }
    model.set_adapters(&[]).unwrap();
    assert_eq!(freezing(&model), Freezing::Frozen);
    assert!(trained(&model).is_empty());
    // What was frozen while another counted is trained once it counts.
    model.set_adapter("default").unwrap();
    model.freeze(..).unwrap();
    model.set_adapter("b").unwrap();
    let found = trained(&model);
    assert!(
        found.contains(&"hidden/b/lora_kernel_a".to_string()),
        "{found:?}"
    );
}

#[test]
fn several_adapters_are_merged_once_each() {
    for (name, mut model, _) in models() {
        model.adapt("it", Lora::rank(2)).unwrap();
        model.add_adapter("b", "it", Lora::rank(2)).unwrap();
        model.set_adapters(&["default", "b"]).unwrap();
        stir(&mut model);
        let adapted = run(&model);
        model.merge_adapter().unwrap();
        close(&adapted, &run(&model), name);
    }
}

#[test]
fn weights_with_adapters_in_them_stay_as_they_are() {
    let mut model = network();
    model.adapt("hidden", Lora::rank(2)).unwrap();
    stir(&mut model);
    let output = run(&model);
    let other = model.replace_layer("hidden", Dense::new(5)).unwrap();
    close(&output, &run(&other), "replaced");
    model.merge_adapter().unwrap();
    let value = model.weight("hidden/kernel").unwrap().value().clone();
    let bias = model.weight("hidden/bias").unwrap().value().clone();
    let ones = Tensor::full(value.shape(), 1.0);
    let mut all = model.get_layer("hidden").unwrap().get_weights();
    all[0] = ones.clone();
    for error in [
        model.set_weight("hidden/kernel", ones.clone()),
        model.set_layer_weights("hidden", all),
        model.share_layers(&["hidden"]),
    ] {
        assert!(error.unwrap_err().to_string().contains("unmerge_adapter"));
    }
    // The values that it has, and those of other weights, may be set.
    model.set_weight("hidden/kernel", value).unwrap();
    model.set_weight("hidden/bias", bias).unwrap();
    let other = model.replace_layer("hidden", Dense::new(5)).unwrap();
    close(&output, &run(&other), "replaced while merged");
}
