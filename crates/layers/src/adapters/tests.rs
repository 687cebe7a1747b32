//! What adapters do, against the weights that they stand for.

use regraft_autograd::{Graph, Program, Run};
use regraft_tensor::Tensor;
use regraft_tensor::kernels::random::{self, Key};

use crate::adapters::{Adapter, Bias, Form, Ia3, Lora, Vera};
use crate::layers::{
    BatchNormalization, Conv1D, Conv2D, Conv2DTranspose, Conv3D, DepthwiseConv2D, EinsumDense,
    Embedding, SeparableConv2D, TimeDistributed,
};
use crate::{
    Dense, Error, Freezing, Functional, Input, LayerExt, LayerSpec, Mode, Model, Selector,
    Sequential, layers,
};

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; count];
    random::uniform(Key::new(seed, 7), 0, &mut values);
    values.iter().map(|value| 2.0 * value - 1.0).collect()
}

/// The outputs for two samples of random numbers.
fn run(model: &Model) -> Vec<f32> {
    let graph = Graph::new();
    let inputs: Vec<_> = model
        .input_shapes()
        .iter()
        .zip(model.input_types())
        .map(|(shape, data_type)| {
            let shape = shape.concrete(2);
            let values = numbers(shape.iter().product(), 3);
            match data_type {
                regraft_autograd::DataType::F32 => {
                    graph.constant(Tensor::new(&shape, values).unwrap())
                }
                regraft_autograd::DataType::I32 => {
                    let ids = values.iter().map(|value| (value * 2.0 + 2.0) as i32);
                    let ids = regraft_tensor::IntTensor::new(&shape, ids.collect()).unwrap();
                    graph.int_constant(ids)
                }
            }
        })
        .collect();
    let (outputs, _) = model.emit(&graph, &inputs, Mode::Inference).unwrap();
    let nodes = graph.nodes_for(&outputs);
    let mut program = Program::from_nodes(nodes).workspace();
    program
        .run(2, &[], model.weights(), Run::default())
        .unwrap();
    program.output(0).to_vec()
}

/// Gives the weights of adapters random values.
fn stir(model: &mut Model) {
    let weights = model.weights().iter().enumerate();
    let of_adapters = weights.filter(|(_, weight)| weight.name().contains('/'));
    let values = of_adapters.map(|(seed, weight)| {
        let values = numbers(weight.value().len(), seed as u64 + 11).into_iter();
        let values = values
            .zip(weight.value().as_slice())
            .map(|(a, b)| b + 0.5 * a);
        let value = Tensor::new(weight.value().shape(), values.collect()).unwrap();
        (weight.id(), value)
    });
    let values: Vec<_> = values.collect();
    model.set_weights(values).unwrap();
}

fn bits(model: &Model) -> Vec<(String, Vec<u32>)> {
    let weights = model.weights().iter();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let own = weights.filter(|weight| !weight.name().contains('/'));
    own.map(|it| (it.path().to_string(), bits(it.value().as_slice())))
        .collect()
}

fn stack(input: &[usize], layer: impl Into<LayerSpec>) -> Model {
    let layer = layer.into().named("it");
    let mut model = Sequential::with_seed(layers![Input::new(input), layer], 5).unwrap();
    // Biases of 0 would hide what is not done to them.
    let biases = model.weights().iter().filter(|it| it.name() == "bias");
    let values: Vec<_> = biases
        .map(|it| {
            let shape = it.value().shape();
            (
                it.id(),
                Tensor::new(shape, numbers(it.value().len(), 1)).unwrap(),
            )
        })
        .collect();
    model.set_weights(values).unwrap();
    model
}

/// Models of one layer each, whether it may be a DoRA, and whether a bias may be scaled.
fn models() -> Vec<(&'static str, Model, bool)> {
    let ids = Input::integers([5]);
    let embedding = layers![ids, Embedding::new(6, 4).named("it")];
    vec![
        ("dense", stack(&[6], Dense::new(4).activation("tanh")), true),
        ("steps", stack(&[3, 6], Dense::new(4)), true),
        (
            "1",
            stack(
                &[9, 4],
                Conv1D::new(6, 3).padding("causal").dilation_rate(2),
            ),
            true,
        ),
        (
            "strided",
            stack(&[8, 8, 4], Conv2D::new(6, 3).strides(2).padding("same")),
            true,
        ),
        (
            "dilated",
            stack(&[9, 9, 4], Conv2D::new(6, 3).dilation_rate(2)),
            true,
        ),
        (
            "first",
            stack(&[4, 7, 7], Conv2D::new(6, 3).channels_first()),
            true,
        ),
        (
            "grouped",
            stack(&[6, 6, 4], Conv2D::new(6, 3).groups(2_usize)),
            false,
        ),
        (
            "grouped 1",
            stack(&[6, 4], Conv1D::new(6, 3).groups(2_usize)),
            false,
        ),
        ("3", stack(&[4, 4, 4, 2], Conv3D::new(4, 2)), true),
        (
            "transposed",
            stack(&[4, 4, 3], Conv2DTranspose::new(4, 3).strides(2)),
            true,
        ),
        (
            "depthwise",
            stack(
                &[6, 6, 4],
                DepthwiseConv2D::new(3).depth_multiplier(2_usize),
            ),
            true,
        ),
        (
            "separable",
            stack(&[6, 6, 4], SeparableConv2D::new(6, 3)),
            true,
        ),
        (
            "einsum",
            stack(&[3, 6], EinsumDense::new("abc,cde->abde", [3, 2, 4])),
            true,
        ),
        (
            "embedding",
            Sequential::with_seed(embedding, 5).unwrap(),
            false,
        ),
    ]
}

fn close(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + a.abs()), "{what}: {a} {b}");
    }
}

/// Adapted, the model is its base at first; with other values it is the model of the merged weights; and
/// unmerged it has its old bits.
fn check(name: &str, base: &Model, adapter: impl Into<crate::adapters::Adapter>) {
    let before = run(base);
    let mut model = base.clone();
    model
        .adapt("it", adapter)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    close(&before, &run(&model), name);
    stir(&mut model);
    let adapted = run(&model);
    let moved = adapted
        .iter()
        .zip(&before)
        .any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(moved, "{name}: the adapter does nothing");
    let kept = (bits(&model), adapted.clone());
    model
        .merge_adapter()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    close(&adapted, &run(&model), name);
    assert_ne!(bits(&model), kept.0, "{name}");
    let mut unloaded = model.clone();
    unloaded.merge_and_unload().unwrap();
    assert!(unloaded.adapters().is_empty() && !unloaded.is_merged());
    assert_eq!(run(&unloaded), run(&model), "{name}");
    assert_eq!(unloaded.weights().len(), base.weights().len(), "{name}");
    model.unmerge_adapter().unwrap();
    assert_eq!(bits(&model), kept.0, "{name}");
    assert_eq!(run(&model), kept.1, "{name}");
    model.set_adapters(&[]).unwrap();
    assert_eq!(run(&model), before, "{name}");
    assert_eq!(bits(&model), bits(base), "{name}");
}

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

/// A base of a convolution and a normalization, and a head.
fn network() -> Model {
    let stack = layers![
        Input::new([6, 6, 3]),
        Conv2D::new(4, 3).named("conv"),
        BatchNormalization::new().named("norm"),
        crate::layers::GlobalAveragePooling2D::new(),
        Dense::new(5).named("hidden"),
        Dense::new(2).named("head"),
    ];
    Sequential::with_seed(stack, 9).unwrap()
}

fn trained(model: &Model) -> Vec<String> {
    let graph = Graph::new();
    let x = graph.samples("x", &[6, 6, 3]);
    let (_, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
    let path = |id| model.weights().get(id).unwrap().path().to_string();
    let trained = emission.trainable.iter().map(|(id, _)| path(*id));
    trained
        .chain(emission.updates.iter().map(|(id, _)| path(*id)))
        .collect()
}

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
fn what_cannot_be_is_said_and_changes_nothing() {
    let mut model = network();
    let digest = (format!("{:?}", model.weights()), model.count_parameters());
    let grouped = || stack(&[6, 6, 4], Conv2D::new(6, 3).groups(2_usize));
    for (error, parts) in [
        (
            model.adapt("hiden", Lora::rank(2)),
            &["hiden", "\"hidden\""][..],
        ),
        (
            model.adapt("norm", Lora::rank(2)),
            &["norm", "multiply", "Conv2D"],
        ),
        (
            model.adapt("hidden", Lora::rank(0)),
            &["hidden/kernel", "rank", "at least 1"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).rank_of("nothing", 3)),
            &["nothing"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).dropout(1.0)),
            &["dropout"],
        ),
        (
            model.adapt("hidden", Lora::rank(2).modules_to_save("haed")),
            &["haed", "\"head\""],
        ),
        (
            model.adapt("hidden", Lora::rank(2).dora().lora_bias()),
            &["DoRA"],
        ),
        (model.add_adapter("a/b", "hidden", Lora::rank(2)), &["a/b"]),
        (model.set_adapter("default"), &["default"]),
        (model.merge_adapter(), &["active adapter"]),
        (model.unmerge_adapter(), &["merged"]),
        (model.delete_adapter("default"), &["default"]),
        (
            grouped().adapt("it", Lora::rank(3)),
            &["it/kernel", "2 groups", "3", "rank_of"],
        ),
        (grouped().adapt("it", Lora::rank(2).dora()), &["groups"]),
    ] {
        let text = error.unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(
        digest,
        (format!("{:?}", model.weights()), model.count_parameters())
    );
    model
        .adapt("hidden", Lora::rank(2).modules_to_save("head"))
        .unwrap();
    assert!(matches!(
        model.adapt("hidden", Lora::rank(2)),
        Err(Error::Name(_))
    ));
    model
        .add_adapter("other", "conv", Lora::rank(2).modules_to_save("head"))
        .unwrap();
    let text = model
        .set_adapters(&["default", "other"])
        .unwrap_err()
        .to_string();
    assert!(text.contains("head/bias"), "{text}");
    assert!(
        model
            .set_adapter("othr")
            .unwrap_err()
            .to_string()
            .contains("\"other\"")
    );
    model.merge_adapter().unwrap();
    for error in [
        model.set_adapter("other"),
        model.delete_adapter("other"),
        model.merge_adapter(),
        model.add_adapter("third", "conv", Lora::rank(2)),
    ] {
        assert!(error.unwrap_err().to_string().contains("unmerge_adapter"));
    }
}

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

#[test]
fn what_a_file_may_say_is_checked() {
    let mut model = network();
    model
        .add_adapter("a", "hidden", Lora::rank(2).bias(Bias::LoraOnly))
        .unwrap();
    let state = model.adapter_state("a").unwrap();
    let form = |alpha, dropout| Form::LowRank {
        alpha,
        rslora: false,
        dropout,
    };
    for (form, part) in [
        (form(f32::NAN, 0.0), "alpha"),
        (form(f32::INFINITY, 0.0), "alpha"),
        (form(1.0, 1.0), "dropout"),
        (form(1.0, -0.5), "dropout"),
        (form(1.0, f32::NAN), "dropout"),
    ] {
        let mut wrong = state.clone();
        wrong.layers[0].updates[0].form = form;
        let text = model.insert_adapter("b", wrong).unwrap_err().to_string();
        assert!(
            text.contains(part) && text.contains("hidden/kernel"),
            "{text}"
        );
    }
    let mut twice = state.clone();
    let copy = twice.layers[0].replaced[0].clone();
    twice.layers[0].replaced.push(copy);
    let text = model.insert_adapter("b", twice).unwrap_err().to_string();
    assert!(text.contains("once"), "{text}");
    for rank in [1 << 60, usize::MAX, (1 << 16) + 1] {
        for adapter in [Adapter::from(Lora::rank(rank)), Vera::rank(rank).into()] {
            let text = model.add_adapter("b", "hidden", adapter).unwrap_err();
            assert!(text.to_string().contains("at most"), "{text}");
        }
    }
    let ids = layers![Input::integers([5]), Embedding::new(6, 4).named("it")];
    let mut model = Sequential::with_seed(ids, 5).unwrap();
    let error = model.adapt("it", Lora::rank(2).lora_bias());
    assert!(error.unwrap_err().to_string().contains("embedding"));
    let part = Lora::rank(2).modules_to_save(Selector::weights("head/bias"));
    let text = network().adapt("hidden", part).unwrap_err().to_string();
    assert!(text.contains("head") && text.contains("whole"), "{text}");
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
