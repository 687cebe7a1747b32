//! Adapters that PEFT saved (`cases/peft`, by `fixtures/peft_files.py`): what the network answers with each,
//! how one is trained, and what is written again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regraft::adapters::{Adapter, AdapterState, Bias, Ia3, Lora, Vera};
use regraft::callbacks::BackupAndRestore;
use regraft::io::{TensorData, peft};
use regraft::layers::{
    BatchNormalization, Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Embedding,
    Flatten, Input, LayerExt, ReLU, layers,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{FeatureCache, Fit, Layout, Load, LoadAdapter, Model, Sequential, Tensor, Verbosity};

use crate::common::{assert_close, case, npy};

/// The network of `fixtures/peft_files.py`, with the channels last.
fn network() -> Model {
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
    ])
    .unwrap();
    let names = Load::map([("body.*.*", "$1/$2")]).layout(Layout::PyTorch);
    let base = case("peft/base.safetensors");
    let _report = model.load_weights_with(base, names).unwrap();
    model
}

fn x() -> ArrayD<f32> {
    npy("peft/x.npy")
}

fn answer(model: &Model) -> Vec<f32> {
    model.predict(&x()).unwrap().as_slice().to_vec()
}

/// The bits of the layers' own weights.
fn base(model: &Model) -> BTreeMap<String, Vec<u32>> {
    let own = model.weights().iter().filter(|it| !it.name().contains('/'));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    own.map(|it| (it.path().to_string(), bits(it.value().as_slice())))
        .collect()
}

fn silent<'a>(epochs: usize) -> Fit<'a> {
    let fit = Fit::new().epochs(epochs).batch_size(6).shuffle(false);
    fit.verbosity(Verbosity::Silent)
}

const FOLDERS: [&str; 14] = [
    "lora",
    "rslora",
    "lora_only",
    "bias_all",
    "lora_bias",
    "norm",
    "grouped",
    "patterns",
    "dora",
    "vera",
    "ia3",
    "ia3_inputs",
    "adalora",
    "trained",
];

#[test]
fn every_kind_answers_what_peft_answers() {
    let bare = network();
    assert_close(&answer(&bare), &npy("peft/y.npy"), 1e-5);
    for name in FOLDERS {
        let mut model = network();
        let report = model.load_adapter(case(&format!("peft/{name}")));
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.unknown.is_empty(), "{name}: {report}");
        let expected: ArrayD<f32> = npy(&format!("peft/{name}/y.npy"));
        let adapted = answer(&model);
        assert_close(&adapted, &expected, 1e-5);
        // Nothing of the base has moved.
        assert_eq!(base(&model), base(&bare), "{name}");
        model.set_adapters(&[]).unwrap();
        assert_eq!(answer(&model), answer(&bare), "{name}");
        model.set_adapter("default").unwrap();
        assert_eq!(answer(&model), adapted, "{name}");
        // Merged, the model answers the same, and in a file of Keras; PEFT cannot merge groups either.
        if name == "grouped" {
            let text = model.merge_adapter().unwrap_err().to_string();
            assert!(
                text.contains("grouped") && text.contains("groups"),
                "{text}"
            );
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("merged.keras");
        model.save(&path).unwrap();
        let (opened, _report) = Model::open(&path).unwrap();
        assert_close(&answer(&opened), &expected, 1e-5);
        model.merge_adapter().unwrap();
        assert_close(&answer(&model), &expected, 1e-5);
        assert_eq!(answer(&opened), answer(&model), "{name}");
        model.unmerge_adapter().unwrap();
        assert_eq!(base(&model), base(&bare), "{name}");
        assert_eq!(answer(&model), adapted, "{name}");
    }
}

#[test]
fn what_was_read_is_written_as_peft_wrote_it() {
    for name in FOLDERS.into_iter().filter(|name| *name != "adalora") {
        let mut model = network();
        let theirs = case(&format!("peft/{name}"));
        let _report = model.load_adapter(&theirs).unwrap();
        let folder = tempfile::tempdir().unwrap();
        model.save_adapter(folder.path(), "default").unwrap();
        let (ours, theirs) = (peft::read(folder.path()), peft::read(theirs).unwrap());
        let ours = ours.unwrap();
        assert_eq!(ours.config, theirs.config, "{name}");
        let sorted = |folder: peft::PeftFolder| {
            let tensors = folder.tensors.into_iter();
            // How many batches a normalization has seen has no place here.
            let tensors = tensors.filter(|(name, _)| !name.ends_with("num_batches_tracked"));
            tensors
                .map(|(name, it)| (name, (it.shape().to_vec(), it.bytes().to_vec())))
                .collect::<BTreeMap<_, _>>()
        };
        let (ours, theirs) = (sorted(ours), sorted(theirs));
        let names = |tensors: &BTreeMap<String, _>| tensors.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{name}");
        for (tensor, value) in &theirs {
            assert_eq!(&ours[tensor], value, "{name}: {tensor}");
        }
    }
}

#[test]
fn training_goes_as_in_peft() {
    let text = std::fs::read_to_string(case("peft/losses.json")).unwrap();
    let expected: Vec<f64> = serde_json::from_str(&text).unwrap();
    let labels: ArrayD<i32> = npy("peft/labels.npy");
    let mut answers = Vec::new();
    for cache in [FeatureCache::Auto, FeatureCache::Off] {
        let mut model = network();
        let _report = model.load_adapter(case("peft/start")).unwrap();
        let before = base(&model);
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(SGD::new(0.2), loss, ()).unwrap();
        let fit = silent(20).feature_cache(cache);
        let history = model.fit(&x(), &labels, fit).unwrap();
        let losses = history.get("loss").unwrap();
        for (ours, theirs) in losses.iter().zip(&expected) {
            assert!((ours - theirs).abs() <= 1e-4, "{ours} {theirs}");
        }
        assert_close(&answer(&model), &npy("peft/trained/y.npy"), 1e-4);
        assert_eq!(base(&model), before);
        answers.push(answer(&model));
    }
    assert_eq!(answers[0], answers[1], "with and without kept features");
}

#[test]
fn no_adapter_moves_the_base_and_each_comes_back_from_its_file() {
    let labels: ArrayD<i32> = npy("peft/labels.npy");
    let layers = ["stem", "grouped", "depthwise", "pointwise", "hidden"];
    let dense = ["stem", "pointwise", "hidden"];
    let whole = Lora::rank(2).modules_to_save(["norm", "head"]);
    let kinds: [(Adapter, &[&str]); 8] = [
        (whole.into(), &layers),
        (Lora::rank(4).rslora().bias(Bias::All).into(), &layers),
        (
            Lora::rank(2)
                .lora_bias()
                .rank_of("hidden", 5)
                .alpha_of("pointwise", 3.0)
                .into(),
            &["pointwise", "hidden"],
        ),
        (Lora::rank(2).dora().bias(Bias::LoraOnly).into(), &dense),
        (Lora::rank(2).dropout(0.5).into(), &dense),
        (Vera::rank(3).into(), &["hidden", "head"]),
        (Ia3::new().into(), &["grouped", "depthwise", "hidden"]),
        (
            Ia3::new().feedforward(["grouped", "hidden"]).into(),
            &["grouped", "stem", "hidden"],
        ),
    ];
    for (number, (adapter, layers)) in kinds.into_iter().enumerate() {
        let mut model = network();
        let before = base(&model);
        model.adapt(layers.to_vec(), adapter).unwrap();
        let first = answer(&model);
        model.add_adapter("other", "hidden", Lora::rank(1)).unwrap();
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(SGD::new(0.3), loss, ()).unwrap();
        model.fit(&x(), &labels, silent(5)).unwrap();
        let trained = answer(&model);
        assert_ne!(trained, first, "{number}");
        assert_eq!(base(&model), before, "{number}");
        model.set_adapter("other").unwrap();
        model.fit(&x(), &labels, silent(2)).unwrap();
        assert_eq!(base(&model), before, "{number}");
        model.set_adapter("default").unwrap();
        assert_eq!(answer(&model), trained, "{number}");

        let folder = tempfile::tempdir().unwrap();
        model.save_adapter(folder.path(), "default").unwrap();
        let mut again = network();
        let report = again.load_adapter_with(folder.path(), LoadAdapter::new().named("again"));
        assert_eq!(report.unwrap().name, "again");
        assert_close(
            &answer(&again),
            &ArrayD::from_shape_vec(vec![6, 3], trained).unwrap(),
            1e-5,
        );
    }
}

/// A folder of PEFT's, changed.
fn changed(name: &str, change: impl Fn(&mut peft::PeftFolder)) -> tempfile::TempDir {
    let mut folder = peft::read(case(&format!("peft/{name}"))).unwrap();
    change(&mut folder);
    let place = tempfile::tempdir().unwrap();
    peft::write(place.path(), &folder).unwrap();
    place
}

#[test]
fn what_does_not_fit_is_said_and_changes_nothing() {
    let without = |part: &'static str| {
        changed("lora", move |folder| {
            folder.tensors.retain(|(name, _)| !name.contains(part))
        })
    };
    let setting = |key: &'static str, value: serde_json::Value| {
        changed("lora", move |folder| {
            folder.config.insert(key.to_string(), value.clone());
        })
    };
    let renamed = changed("lora", |folder| {
        for (name, _) in &mut folder.tensors {
            *name = name.replace("hidden", "hiden");
        }
    });
    let cases: [(tempfile::TempDir, &[&str]); 8] = [
        (without("stem.lora_B"), &["body.stem", "lora_B"]),
        (without("hidden.lora_A"), &["hidden", "lora_A"]),
        (without("head.bias"), &["head", "head/bias"]),
        (setting("peft_type", "LOHA".into()), &["LOHA", "LORA"]),
        (setting("use_dora", true.into()), &["lora_magnitude_vector"]),
        (
            setting("trainable_token_indices", vec![1].into()),
            &["trainable_token_indices"],
        ),
        (
            setting("lora_alpha", serde_json::Value::Null),
            &["lora_alpha"],
        ),
        (renamed, &["hiden", "\"hidden\"", "set_module_names"]),
    ];
    let mut model = network();
    let before = (base(&model), model.revision());
    let load = |model: &mut Model, folder: &Path| {
        let error = model.load_adapter(folder).unwrap_err().to_string();
        assert_eq!(model.revision(), before.1);
        error
    };
    for (folder, parts) in &cases {
        let text = load(&mut model, folder.path());
        for part in *parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(load(&mut model, Path::new("/nowhere")).contains("adapter_config.json"));
    let text = load(&mut model, &case("peft"));
    assert!(text.contains("adapter_config.json"), "{text}");
    assert_eq!(base(&model), before.0);

    // Of a network with other sizes.
    let stack = layers![
        Input::new([20]),
        Dense::new(11).named("hidden"),
        Dense::new(3).named("head")
    ];
    let mut other = Sequential::new(stack).unwrap();
    let text = other
        .load_adapter(case("peft/adalora"))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("hidden") && text.contains("[12, 4]") && text.contains("11"),
        "{text}"
    );

    // Of the same sizes and with other weights: the file tells, unless it is told not to look.
    model.adapt("hidden", Lora::rank(2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), "default").unwrap();
    let mut other = network();
    let value = other.weight("hidden/kernel").unwrap().value();
    let mut value = value.clone();
    value.as_mut_slice()[0] += 1.0;
    other.set_weight("hidden/kernel", value).unwrap();
    let text = other.load_adapter(folder.path()).unwrap_err().to_string();
    for part in ["hash", "hidden/kernel [20, 12]", "any_base"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(other.adapters().is_empty());
    other
        .load_adapter_with(folder.path(), LoadAdapter::new().any_base())
        .unwrap();
    // A merged model is no base for files.
    other.merge_adapter().unwrap();
    let text = other
        .save_adapter(folder.path(), "default")
        .unwrap_err()
        .to_string();
    assert!(text.contains("unmerge_adapter"), "{text}");
    let load = Load::map([("body.*.*", "$1/$2")]).layout(Layout::PyTorch);
    let loaded = other.load_weights_with(case("peft/base.safetensors"), load);
    assert!(loaded.unwrap_err().to_string().contains("unmerge_adapter"));
}

#[test]
fn settings_of_a_later_version_are_kept_and_said() {
    let folder = changed("lora", |folder| {
        folder
            .config
            .insert("of_later".to_string(), serde_json::json!({"a": [1]}));
    });
    let mut model = network();
    let report = model.load_adapter(folder.path()).unwrap();
    assert_eq!(report.unknown, ["of_later"]);
    assert!(report.to_string().contains("of_later"));
    let again = tempfile::tempdir().unwrap();
    model.save_adapter(again.path(), "default").unwrap();
    assert_eq!(
        peft::read(again.path()).unwrap().config["of_later"]["a"][0],
        1
    );
}

#[test]
fn module_names_are_those_of_the_load_or_given() {
    let mut model = network();
    let named = |model: &Model, path: &str| {
        let places = model.places().into_iter();
        places
            .filter(|place| place.path == path)
            .map(|place| place.module)
            .next()
    };
    assert_eq!(named(&model, "stem").as_deref(), Some("body.stem"));
    // Surgery takes them along.
    let other = model
        .replace_head("hidden", layers![Dense::new(2).named("birds")])
        .unwrap();
    assert_eq!(
        named(&other, "pointwise").as_deref(),
        Some("body.pointwise")
    );
    assert_eq!(named(&other, "birds").as_deref(), Some("birds"));
    model
        .set_module_names([("hidden", "classifier.0")])
        .unwrap();
    let error = model
        .set_module_names([("hiden", "x")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"hidden\""), "{error}");
    model.adapt(["hidden", "stem"], Lora::rank(2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), "default").unwrap();
    let written = peft::read(folder.path()).unwrap();
    let targets = &written.config["target_modules"];
    assert_eq!(targets, &serde_json::json!(["body.stem", "classifier.0"]));
}

#[test]
fn embeddings_and_convolutions_over_time_come_back() {
    let build = || {
        Sequential::with_seed(
            layers![
                Input::integers([6]),
                Embedding::new(9, 4).named("words"),
                regraft::layers::Conv1D::new(6, 3)
                    .groups(2_usize)
                    .named("conv"),
                Flatten::new(),
                Dense::new(3).named("head"),
            ],
            4,
        )
        .unwrap()
    };
    let ids = ArrayD::from_shape_vec(vec![2, 6], vec![0, 1, 2, 3, 4, 5, 8, 7, 6, 5, 4, 3]).unwrap();
    let labels = ArrayD::from_shape_vec(vec![2], vec![0, 2]).unwrap();
    let mut model = build();
    model.adapt(.., Lora::rank(2)).unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(SGD::new(0.5), loss, ()).unwrap();
    model.fit(&ids, &labels, silent(6)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), "default").unwrap();
    let names = peft::read(folder.path()).unwrap().tensors;
    let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    assert!(
        names.contains(&"base_model.model.words.lora_embedding_A".to_string()),
        "{names:?}"
    );
    let mut again = build();
    again.load_adapter(folder.path()).unwrap();
    let expected = model.predict(&ids).unwrap();
    let expected = ArrayD::from_shape_vec(vec![2, 3], expected.as_slice().to_vec()).unwrap();
    assert_close(again.predict(&ids).unwrap().as_slice(), &expected, 1e-5);
}

#[test]
fn files_that_say_what_they_do_not_hold_are_refused() {
    let edited = |name: &str, edit: &dyn Fn(&mut peft::PeftFolder)| changed(name, edit);
    let beginning = |value: &'static str| {
        edited("lora", &move |folder| {
            let config = &mut folder.config;
            config.insert("init_lora_weights".to_string(), value.into());
        })
    };
    let without = |part: &'static str| {
        edited("lora", &move |folder| {
            folder.tensors.retain(|(name, _)| !name.contains(part));
        })
    };
    let number = |key: &'static str, value: f64| {
        edited("lora", &move |folder| {
            folder.config.insert(key.to_string(), value.into());
        })
    };
    let shaped = |name: &str, part: &'static str, shape: &'static [usize]| {
        edited(name, &move |folder| {
            for (name, tensor) in &mut folder.tensors {
                if name.contains(part) {
                    *tensor = Tensor::zeros(shape).into();
                }
            }
        })
    };
    let no_rank = edited("vera", &|folder| {
        for (name, tensor) in &mut folder.tensors {
            let shape = tensor.shape().to_vec();
            *tensor = match name.as_str() {
                "base_model.vera_A" => Tensor::zeros([0, shape[1]]).into(),
                "base_model.vera_B" => Tensor::zeros([shape[0], 0]).into(),
                name if name.ends_with("lambda_d") => Tensor::zeros([0]).into(),
                _ => continue,
            };
        }
    });
    let twice = edited("lora_only", &|folder| {
        let name = "base_model.model.hidden.bias".to_string();
        folder.tensors.push((name, Tensor::zeros([12]).into()));
    });
    let expression = edited("ia3_inputs", &|folder| {
        let config = &mut folder.config;
        config.insert("feedforward_modules".to_string(), ".*pointwise".into());
    });
    let cases: [(tempfile::TempDir, &[&str]); 16] = [
        (
            beginning("pissa"),
            &["init_lora_weights", "pissa", "path_initial"],
        ),
        (beginning("pissa_niter_4"), &["init_lora_weights"]),
        (beginning("corda"), &["init_lora_weights"]),
        (beginning("olora"), &["init_lora_weights"]),
        (beginning("loftq"), &["init_lora_weights"]),
        (beginning("lora_ga"), &["init_lora_weights"]),
        (without("stem"), &["target_modules", "\"stem\""]),
        (without("head"), &["modules_to_save", "\"head\""]),
        (number("lora_alpha", 1e300), &["alpha", "kernel"]),
        (number("lora_dropout", 1.0), &["dropout", "kernel"]),
        (
            shaped("lora", "hidden.lora_A", &[0, 1 << 60]),
            &["hidden.lora_A", "rank"],
        ),
        (
            shaped("lora", "stem.lora_A", &[3, 1 << 56, 0, 3]),
            &["stem.lora_A", "rank"],
        ),
        (
            shaped("lora", "hidden.lora_B", &[0, 1 << 60]),
            &["hidden.lora_B", "rank"],
        ),
        (no_rank, &["vera_A"]),
        (twice, &["hidden", "one value", "hidden/bias"]),
        (expression, &["names of modules", ".*pointwise"]),
    ];
    for (folder, parts) in &cases {
        let mut model = network();
        let text = model.load_adapter(folder.path()).unwrap_err().to_string();
        for part in *parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    // What leaves the base alone, and names that PEFT lists whether there is such a module or not.
    for value in ["gaussian", "eva", "orthogonal", "mica"] {
        let mut model = network();
        model.load_adapter(beginning(value).path()).unwrap();
    }
    let listed = edited("lora", &|folder| {
        for key in ["target_modules", "modules_to_save"] {
            let names = folder.config.get_mut(key).unwrap().as_array_mut().unwrap();
            names.push("score".into());
        }
    });
    let mut model = network();
    model.load_adapter(listed.path()).unwrap();
}

#[test]
fn what_adalora_has_pruned_away_does_nothing() {
    let folder = changed("adalora", |folder| {
        for (name, tensor) in &mut folder.tensors {
            let shape: &[usize] = match name.rsplit_once('.').unwrap().1 {
                "lora_A" => &[0, 20],
                "lora_B" => &[12, 0],
                _ => &[0, 1],
            };
            *tensor = TensorData::from(Tensor::zeros(shape));
        }
    });
    let mut model = network();
    let report = model.load_adapter(folder.path()).unwrap();
    assert_eq!(report.layers, ["hidden"]);
    assert_eq!(answer(&model), answer(&network()));
}

#[test]
fn what_peft_has_no_place_for_is_not_written() {
    let dilated = |size: usize, rate: usize| {
        let layer = Conv2D::new(4, size).dilation_rate(rate).named("it");
        Sequential::with_seed(layers![Input::new([7, 7, 3]), layer], 1).unwrap()
    };
    let ids = layers![Input::integers([4]), Embedding::new(5, 3).named("it")];
    let steps = layers![Input::new([6, 3]), Conv1D::new(4, 2).named("it")];
    let up = || {
        let layer = Conv2DTranspose::new(4, 3).named("it");
        Sequential::new(layers![Input::new([6, 6, 3]), layer]).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let saved = |model: &mut Model, adapter: Adapter| {
        model.adapt("it", adapter).unwrap();
        model.save_adapter(folder.path(), "default")
    };
    let lora = || Adapter::from(Lora::rank(2));
    let scales = || Adapter::from(Ia3::new());
    let cases: [(Model, Adapter, &str); 5] = [
        (dilated(3, 2), lora(), "dilation of 2"),
        (up(), lora(), "transposed"),
        (up(), scales(), "transposed"),
        (Sequential::new(steps).unwrap(), scales(), "Conv1D"),
        (Sequential::new(ids).unwrap(), scales(), "embedding"),
    ];
    for (mut model, adapter, part) in cases {
        let text = saved(&mut model, adapter).unwrap_err().to_string();
        assert!(text.contains("it") && text.contains(part), "{text}");
    }
    // Scales know no dilation, and a kernel of one cell has none.
    saved(&mut dilated(3, 2), scales()).unwrap();
    saved(&mut dilated(1, 2), lora()).unwrap();
    // The other way round.
    saved(&mut dilated(3, 1), lora()).unwrap();
    let any = LoadAdapter::new().any_base();
    let error = dilated(3, 2).load_adapter_with(folder.path(), any);
    assert!(error.unwrap_err().to_string().contains("dilation of 2"));
    dilated(3, 1).load_adapter(folder.path()).unwrap();
}

#[test]
fn settings_follow_the_names_of_modules() {
    let folder = tempfile::tempdir().unwrap();
    let config = || peft::read(folder.path()).unwrap().config;
    for name in ["lora", "patterns", "norm", "ia3_inputs"] {
        let mut model = network();
        model.load_adapter(case(&format!("peft/{name}"))).unwrap();
        let expected = answer(&model);
        let before = peft::read(case(&format!("peft/{name}"))).unwrap().config;
        let names = [
            ("hidden", "classifier.0"),
            ("pointwise", "mix"),
            ("head", "classifier.1"),
        ];
        model.set_module_names(names).unwrap();
        model.save_adapter(folder.path(), "default").unwrap();
        let written = config();
        let targets = written["target_modules"].to_string();
        assert!(targets.contains("classifier.0"), "{name}: {targets}");
        assert!(!targets.contains("hidden"), "{name}: {targets}");
        assert_eq!(written["peft_type"], before["peft_type"]);
        assert_eq!(written.get("lora_dropout"), before.get("lora_dropout"));
        let mut again = network();
        again.set_module_names(names).unwrap();
        again.load_adapter(folder.path()).unwrap();
        assert_eq!(answer(&again), expected, "{name}");
    }
    // PEFT takes names of `modules_to_save` and `feedforward_modules` for any ends of others.
    let mut model = network();
    model.set_module_names([("hidden", "xhead")]).unwrap();
    let whole = Lora::rank(2).modules_to_save("head");
    model.adapt("hidden", whole.clone()).unwrap();
    let error = model.save_adapter(folder.path(), "default");
    let text = error.unwrap_err().to_string();
    for part in ["\"head\"", "\"xhead\"", "set_module_names"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    model.set_module_names([("hidden", "a.head.b")]).unwrap();
    assert!(model.save_adapter(folder.path(), "default").is_err());
    model
        .set_module_names([("hidden", "a.headless.b")])
        .unwrap();
    model.save_adapter(folder.path(), "default").unwrap();

    let names = [("stem", "conv"), ("pointwise", "xconv")];
    let mut model = network();
    model.set_module_names(names).unwrap();
    let scales = Ia3::new().feedforward("stem");
    model.adapt(["stem", "pointwise"], scales).unwrap();
    let state = model.adapter_state("default").unwrap();
    model.save_adapter(folder.path(), "default").unwrap();
    assert_eq!(config()["feedforward_modules"], "(conv)");
    let mut again = network();
    again.set_module_names(names).unwrap();
    again.load_adapter(folder.path()).unwrap();
    let forms = |state: &AdapterState| {
        let mut forms: Vec<String> = state
            .layers
            .iter()
            .map(|layer| format!("{} {:?}", layer.path, layer.updates[0].form))
            .collect();
        forms.sort();
        forms
    };
    let state_again = again.adapter_state("default").unwrap();
    assert_eq!(forms(&state_again), forms(&state));
}

#[test]
fn a_backup_says_which_adapters_count() {
    let labels: ArrayD<i32> = npy("peft/labels.npy");
    let folder = tempfile::tempdir().unwrap();
    let model = |active: &str| {
        let mut model = network();
        let whole = || Lora::rank(2).modules_to_save("norm").seed(3);
        model.adapt("hidden", whole()).unwrap();
        model.add_adapter("other", "hidden", whole()).unwrap();
        model.set_adapter(active).unwrap();
        let loss = SparseCategoricalCrossentropy::from_logits();
        model.compile(SGD::new(0.2), loss, ()).unwrap();
        model
    };
    let fit = |model: &mut Model, epochs: usize, name: &str| {
        let path = folder.path().join(name).display().to_string();
        let backup = BackupAndRestore::new(path).delete_checkpoint(false);
        model.fit(&x(), &labels, silent(epochs).callback(backup))
    };
    let mut whole = model("default");
    fit(&mut whole, 4, "whole").unwrap();
    fit(&mut model("default"), 2, "half").unwrap();
    let mut second = model("other");
    fit(&mut second, 4, "half").unwrap();
    assert_eq!(second.active_adapters(), ["default"]);
    assert_eq!(answer(&second), answer(&whole));
    assert_eq!(base(&second), base(&whole));
    second.set_adapters(&[]).unwrap();
    assert_eq!(answer(&second), answer(&network()));
    let mut merged = model("default");
    merged.merge_adapter().unwrap();
    merged.unfreeze("head").unwrap();
    let text = fit(&mut merged, 1, "merged").unwrap_err().to_string();
    assert!(text.contains("unmerge_adapter"), "{text}");
}

/// Whatever one of the tensors, sizes or settings is: an adapter, which can be merged or not, or an error.
#[test]
fn no_change_of_a_file_panics() {
    let mut model = network();
    let before = base(&model);
    let (mut loaded, mut refused) = (0, 0);
    let mut load = |name: &str, edited: &peft::PeftFolder| {
        let place = tempfile::tempdir().unwrap();
        let (config, weights) = peft::to_bytes(edited).unwrap();
        std::fs::write(place.path().join(peft::CONFIG), config).unwrap();
        std::fs::write(place.path().join(peft::WEIGHTS), weights).unwrap();
        let any = LoadAdapter::new().any_base();
        match model.load_adapter_with(place.path(), any) {
            Ok(_) => {
                loaded += 1;
                if model.merge_adapter().is_ok() {
                    model.unmerge_adapter().unwrap();
                }
                // Not there if all that it had was nothing.
                let _either = model.delete_adapter("default");
            }
            Err(_) => refused += 1,
        }
        assert!(model.adapters().is_empty(), "{name}");
        assert_eq!(base(&model), before, "{name}");
    };
    for name in [
        "lora",
        "bias_all",
        "grouped",
        "dora",
        "vera",
        "ia3_inputs",
        "adalora",
    ] {
        let original = peft::read(case(&format!("peft/{name}"))).unwrap();
        for (at, (_, tensor)) in original.tensors.iter().enumerate() {
            let own = tensor.shape().to_vec();
            let mut shapes: Vec<Vec<usize>> = vec![
                vec![],
                vec![0],
                vec![1],
                vec![0, 0],
                vec![0, 1 << 60],
                vec![1 << 60, 0],
                vec![1, 1],
                vec![2, 1 << 56, 0, 3],
                vec![7, 11, 2],
                own.iter().rev().copied().collect(),
                vec![own.iter().product()],
            ];
            for axis in 0..own.len() {
                for size in [0, own[axis] - 1, own[axis] + 1, 2 * own[axis]] {
                    let mut other = own.clone();
                    other[axis] = size;
                    shapes.push(other);
                }
            }
            for shape in shapes {
                let mut edited = original.clone();
                edited.tensors[at].1 = Tensor::zeros(shape.as_slice()).into();
                load(name, &edited);
            }
            let mut edited = original.clone();
            edited.tensors[at] = (
                "base_model.model.hidden.x".into(),
                TensorData::scalar(1_i64),
            );
            load(name, &edited);
        }
        // A size that is another wherever it stands: a rank, say.
        let all = original.tensors.iter().flat_map(|(_, it)| it.shape());
        let sizes: BTreeSet<usize> = all.copied().collect();
        for (size, to) in sizes
            .into_iter()
            .flat_map(|size| [(size, 0), (size, size + 1)])
        {
            let mut edited = original.clone();
            for (_, tensor) in &mut edited.tensors {
                let shape = tensor.shape().iter();
                let shape: Vec<usize> = shape.map(|&it| if it == size { to } else { it }).collect();
                *tensor = Tensor::zeros(shape.as_slice()).into();
            }
            load(name, &edited);
        }
        for key in original.config.keys() {
            for value in [
                serde_json::json!(null),
                serde_json::json!(-1),
                serde_json::json!(1e300),
                serde_json::json!(""),
                serde_json::json!("(.*"),
                serde_json::json!([""]),
                serde_json::json!([[1]]),
                serde_json::json!({"": {}}),
                serde_json::json!({"^hidden": 1e300}),
                serde_json::json!(true),
            ] {
                let mut edited = original.clone();
                edited.config.insert(key.clone(), value);
                load(name, &edited);
            }
        }
    }
    assert!(loaded > 100 && refused > 100, "{loaded} {refused}");
}
