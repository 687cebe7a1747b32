//! Trains adapters of every kind on the network of `fixtures/peft_files.py` and writes them as folders for
//! PEFT, each with the answer to the script's input: `fixtures/peft_interop.py` compares.

use std::path::{Path, PathBuf};

use ndarray_npy::ReadNpyExt;
use regraft::adapters::{Adapter, Bias, Ia3, Lora, Vera};
use regraft::prelude::*;

fn network(cases: &Path) -> regraft::Result<Model> {
    let mut model = Sequential::new(layers![
        Input::new([9, 9, 3]),
        Conv2D::new(6, 3).strides(2).use_bias(false).named("stem"),
        BatchNormalization::new().epsilon(1e-5).named("norm"),
        ReLU::new(),
        Conv2D::new(4, 2).groups(2_usize).named("grouped"),
        DepthwiseConv2D::new(2).named("depthwise"),
        Conv2D::new(5, 1).named("pointwise"),
        Flatten::new(),
        Dense::new(12).activation("tanh").named("hidden"),
        Dense::new(3).named("head"),
    ])?;
    let names = Load::map([("body.*.*", "$1/$2")]).layout(Layout::PyTorch);
    let _report = model.load_weights_with(cases.join("base.safetensors"), names)?;
    Ok(model)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("a folder to write into")?;
    let folder = PathBuf::from(folder);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases/peft");
    let array = |name: &str| std::fs::File::open(cases.join(name));
    let x = ArrayD::<f32>::read_npy(array("x.npy")?)?;
    let labels = ArrayD::<i32>::read_npy(array("labels.npy")?)?;
    let all = ["stem", "grouped", "depthwise", "pointwise", "hidden"];
    let dense = ["stem", "pointwise", "hidden"];
    let kinds: [(&str, &[&str], Adapter); 8] = [
        (
            "lora",
            &all,
            Lora::rank(2)
                .alpha(5.0)
                .modules_to_save(["norm", "head"])
                .into(),
        ),
        (
            "rslora",
            &all,
            Lora::rank(4).rslora().bias(Bias::All).into(),
        ),
        (
            "patterns",
            &dense,
            Lora::rank(2)
                .rank_of("hidden", 5)
                .alpha_of("stem", 3.0)
                .into(),
        ),
        (
            "dora",
            &dense,
            Lora::rank(2).dora().bias(Bias::LoraOnly).into(),
        ),
        (
            "behind",
            &["pointwise", "hidden"],
            Lora::rank(2).lora_bias().into(),
        ),
        ("vera", &["hidden", "head"], Vera::rank(3).into()),
        (
            "ia3",
            &["grouped", "depthwise", "hidden"],
            Ia3::new().into(),
        ),
        (
            "ia3_inputs",
            &["pointwise", "hidden"],
            Ia3::new().feedforward("hidden").into(),
        ),
    ];
    for (name, layers, adapter) in kinds {
        let mut model = network(&cases)?;
        model.adapt(layers.to_vec(), adapter)?;
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(SGD::new(0.3), loss, ())?;
        let fit = Fit::new().epochs(5).batch_size(6).shuffle(false);
        model.fit(&x, &labels, fit.verbosity(Verbosity::Silent))?;
        let place = folder.join(name);
        model.save_adapter(&place, "default")?;
        let answer = model.predict(&x)?;
        let answer = serde_json::to_string(answer.as_slice())?;
        std::fs::write(place.join("answer.json"), answer)?;
        println!("{name}");
    }
    Ok(())
}
