//! Loading an adapter onto a network: any bytes of a folder of PEFT's, of a `.lora.h5` and of a state dict give an adapter
//! or an error that leaves the network as it was, and an adapter can be computed with, merged, taken off and saved.

#![no_main]

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use regraft::layers::{
    BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten, Input, LayerExt, layers,
};
use regraft::{LoadAdapter, Model, Sequential, Tensor};

/// The networks that the seeds are adapters of.
fn network(kind: u8) -> Model {
    match kind % 3 {
        0 => {
            let mut model = Sequential::new(layers![
                Input::new([9, 9, 3]),
                Conv2D::new(6, 3).strides(2).use_bias(false).named("stem"),
                BatchNormalization::new().named("norm"),
                Conv2D::new(4, 2).groups(2_usize).named("grouped"),
                DepthwiseConv2D::new(2).named("depthwise"),
                Conv2D::new(5, 1).named("pointwise"),
                Flatten::new(),
                Dense::new(12).named("hidden"),
                Dense::new(3).named("head"),
            ])
            .expect("the layers go together");
            let of_body = ["stem", "norm", "grouped", "depthwise", "pointwise"];
            let names = of_body.map(|name| (name, format!("body.{name}")));
            model.set_module_names(names).expect("they are its layers");
            model
        }
        1 => {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../fixtures/cases/keras-hub/base.keras"
            );
            Model::open(path).expect("it is in the repository").0
        }
        _ => {
            let grouped = Conv2D::new(4, 3).groups(2_usize).padding("same");
            let wide = Conv2D::new(6, 2).groups(2_usize).dilation_rate(2);
            Sequential::new(layers![
                Input::new([9, 9, 3]),
                Conv2D::new(6, 3).strides(2).named("stem"),
                grouped.named("grouped"),
                wide.named("wide"),
                BatchNormalization::new().named("norm"),
                Flatten::new(),
                Dense::new(7).named("hidden"),
                Dense::new(3).named("head"),
            ])
            .expect("the layers go together")
        }
    }
}

thread_local! {
    static MODELS: RefCell<[Model; 3]> = RefCell::new([0, 1, 2].map(network));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let folder = std::env::temp_dir().join(format!("regraft-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder that can be made");
    let path: PathBuf = match kind % 3 {
        0 => {
            let Some((&[low, high], rest)) = rest.split_first_chunk() else {
                return;
            };
            let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
            let (config, weights) = rest.split_at(length);
            fs::write(folder.join("adapter_config.json"), config).expect("it can be written");
            fs::write(folder.join("adapter_model.safetensors"), weights)
                .expect("it can be written");
            folder.clone()
        }
        1 => folder.join("x.lora.h5"),
        _ => folder.join("x.safetensors"),
    };
    if kind % 3 != 0 {
        fs::write(&path, rest).expect("it can be written");
    }
    MODELS.with_borrow_mut(|models| {
        let model = &mut models[usize::from(kind % 3)];
        let bits = |model: &Model| -> Vec<u32> {
            let own = model.weights().iter().filter(|it| !it.name().contains('/'));
            let values = own.flat_map(|it| it.value().as_slice().to_vec());
            values.map(f32::to_bits).collect()
        };
        let (revision, before) = (model.revision(), bits(model));
        let load = LoadAdapter::new().alpha(2.0).any_base();
        if model.load_adapter_with(&path, load).is_err() {
            assert_eq!(model.revision(), revision);
            assert!(model.adapters().is_empty());
            return;
        }
        let sample = model.input_shapes()[0].concrete(1);
        let x = Tensor::zeros(&sample);
        model
            .predict(&x)
            .expect("what was loaded can be computed with");
        let again = folder.join("again");
        if model.save_adapter(&again, "default").is_ok() {
            let load = LoadAdapter::new().named("again");
            let loaded = model.load_adapter_with(&again, load);
            loaded.expect("what was saved can be loaded");
            model.delete_adapter("again").expect("it is there");
            model.set_adapter("default").expect("it is there");
        }
        let _ = model.save_adapter(folder.join("again.lora.h5"), "default");
        if model.merge_adapter().is_ok() {
            model.unmerge_adapter().expect("it is merged");
        }
        assert_eq!(bits(model), before, "the base has moved");
        *model = network(kind);
    });
});
