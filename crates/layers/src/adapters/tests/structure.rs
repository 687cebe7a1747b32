//! Adapters on models that are copied, cut, nested, and that have a layer twice.

use super::{close, network, run, stir, trained};
use crate::adapters::Lora;
use crate::layers::TimeDistributed;
use crate::{Dense, Functional, Input, LayerExt, Selector, Sequential, layers};

#[test]
fn copies_surgery_and_nesting_take_adapters_along() {
    let mut model = network();
    model
        .adapt(["conv", "hidden"], Lora::rank(2).modules_to_save("norm"))
        .unwrap();
    stir(&mut model);
    let output = run(&model);
    let mut copy = model.clone();
    assert_eq!(run(&copy), output);
    stir(&mut copy);
    assert_eq!(run(&model), output, "the copy is another model");
    let cut = model.cut_at("hidden").unwrap();
    assert!(cut.weight("conv/default/lora_kernel_a").is_some());
    assert_eq!(trained(&cut), trained(&model));
    let replaced = model.replace_layer("hidden", Dense::new(5)).unwrap();
    assert!(replaced.weight("hidden/default/lora_kernel_a").is_none());
    assert_eq!(replaced.adapters(), ["default"]);
    // As a layer of another model.
    let mut f = Functional::new();
    let x = f.input([6, 6, 3]);
    let y = f.apply(model.named("base"), &[x]).unwrap();
    let mut outer = f.model(&[x], &[y]).unwrap();
    assert_eq!(run(&outer), output);
    outer.merge_adapter().unwrap();
    close(&run(&outer), &output, "nested");
    outer.unmerge_adapter().unwrap();
    assert_eq!(run(&outer), output);
    outer.set_adapters(&[]).unwrap();
    assert_eq!(run(&outer), run(&network()));
}

#[test]
fn shared_layers_and_wrappers_have_one_adapter() {
    let frame = Sequential::with_seed(layers![Input::new([4]), Dense::new(4).named("in")], 2);
    let wrapper = TimeDistributed::new(frame.unwrap().named("frame"));
    let stack = layers![Input::new([3, 4]), wrapper.named("td")];
    let mut model = Sequential::new(stack).unwrap();
    let before = run(&model);
    model.adapt("td", Lora::rank(2)).unwrap();
    assert!(model.weight("td/frame/in/default/lora_kernel_b").is_some());
    stir(&mut model);
    let adapted = run(&model);
    assert_ne!(adapted, before);
    model.merge_adapter().unwrap();
    close(&adapted, &run(&model), "wrapped");

    let mut f = Functional::with_seed(3);
    let x = f.input([4]);
    let sub = Sequential::new(layers![Input::new([4]), Dense::new(4).named("twin")]).unwrap();
    let y = f
        .chain(layers![sub.named("sub"), Dense::new(4).named("twin")], x)
        .unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    model.share_layers(&["sub/twin", "twin"]).unwrap();
    let mut by_its_place = model.clone();
    let second = Selector::when(|layer| layer.path() == "twin");
    let adapter = Lora::rank(2).rank_of(second, 3);
    by_its_place.adapt("twin", adapter).unwrap();
    assert_eq!(by_its_place.count_parameters().trainable, 24);
    model.adapt("twin", Lora::rank(2)).unwrap();
    assert_eq!(model.count_parameters().trainable, 16);
    assert_eq!(model.weights().len(), 4);
    stir(&mut model);
    let adapted = run(&model);
    model.merge_adapter().unwrap();
    close(&adapted, &run(&model), "shared");
    model.unmerge_adapter().unwrap();
    assert_eq!(run(&model), adapted);
}
