//! PyTorch's checkpoints: layouts behind a flatten, wrappers, and what stands beside the tensors.

use regraft::layers::{
    Add, BatchNormalization, Concatenate, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Conv3DTranspose, Dense, DepthwiseConv2D, Embedding, Flatten, Functional,
    GlobalAveragePooling2D, Input, LayerExt, LayerNormalization, LayerOutput, LayerSpec,
    MaxPooling2D, Multiply, PReLU, ReLU, Reshape, layers,
};
use regraft::ndarray::ArrayD;
use regraft::{Layout, Load, LoadReport, Model, Sequential};
use regraft_autograd::{Shape, Var};
use regraft_layers::{Call, Configured, Flow, Initializer, Layer, WeightAxis, Weights};
use regraft_tensor::Detail;

use crate::common::{assert_close, case, npy, npz};

fn sequential(layers: Vec<LayerSpec>) -> Model {
    Sequential::new(layers).unwrap()
}

/// A model with inputs of these shapes, from the layers that `build` applies.
fn functional(
    shapes: &[&[usize]],
    build: impl FnOnce(&mut Functional, &[LayerOutput]) -> LayerOutput,
) -> Model {
    let mut f = Functional::new();
    let inputs: Vec<_> = shapes.iter().map(|shape| f.input(shape)).collect();
    let output = build(&mut f, &inputs);
    f.model(&inputs, &[output]).unwrap()
}

/// The networks of `fixtures/pytorch_networks.py`, written with the channels last.
fn networks() -> Vec<(&'static str, Model)> {
    let fc = |units: usize| Dense::new(units).named("fc");
    let conv = |filters: usize| Conv2D::new(filters, [2, 2]);
    let bn = BatchNormalization::new;
    let mut networks: Vec<(&'static str, Model)> = Vec::new();
    let mut add = |name, layers| networks.push((name, sequential(layers)));
    add(
        "conv1d",
        layers![
            Input::new([5, 2]),
            Conv1D::new(3, [2]).activation("relu").named("conv"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "conv2d",
        layers![
            Input::new([5, 4, 2]),
            conv(3).activation("relu").named("conv"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "conv3d",
        layers![
            Input::new([4, 3, 3, 2]),
            Conv3D::new(3, [2, 2, 2]).activation("relu").named("conv"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "norms",
        layers![
            Input::new([3, 3, 2]),
            conv(3).named("conv"),
            bn().named("bn0"),
            Flatten::new(),
            bn().named("bn1"),
            PReLU::new().named("act"),
            Dense::new(4).activation("relu").named("fc"),
            bn().named("bn2"),
            Dense::new(2).named("head")
        ],
    );
    add(
        "layer_norms",
        layers![
            Input::new([3, 4, 2]),
            conv(3).named("conv"),
            LayerNormalization::new().axis([1, 2, 3]).named("ln0"),
            PReLU::new().shared_axes([1, 2]).named("act"),
            Flatten::new(),
            LayerNormalization::new().named("ln1"),
            fc(2)
        ],
    );
    add(
        "pooled",
        layers![
            Input::new([5, 3, 2]),
            conv(3).named("conv"),
            MaxPooling2D::new([2, 2]),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "global",
        layers![
            Input::new([5, 3, 2]),
            conv(3).named("conv"),
            GlobalAveragePooling2D::new(),
            fc(2)
        ],
    );
    let features = layers![Input::new([3, 4, 2]), conv(3).named("conv"), ReLU::new()];
    let features = regraft_layers::Sequential::new(features).unwrap();
    let head = layers![Input::new([2, 3, 3]), Flatten::new(), fc(2)];
    let head = regraft_layers::Sequential::new(head).unwrap();
    add(
        "nested",
        layers![
            Input::new([3, 4, 2]),
            features.named("features"),
            head.named("head")
        ],
    );
    add(
        "generator",
        layers![
            Input::new([5]),
            fc(24),
            bn().named("bn"),
            ReLU::new(),
            Reshape::new([2, 4, 3]),
            Conv2DTranspose::new(2, [3, 3]).strides([2, 2]).named("up")
        ],
    );
    add(
        "autoencoder",
        layers![
            Input::new([3, 4, 2]),
            conv(3).named("down"),
            Flatten::new(),
            Dense::new(4).named("narrow"),
            Dense::new(18).activation("relu").named("wide"),
            Reshape::new([2, 3, 3]),
            Conv2DTranspose::new(2, [2, 2]).named("up")
        ],
    );
    add(
        "transposed1d",
        layers![
            Input::new([4, 2]),
            Conv1DTranspose::new(3, [3]).strides([2]).named("up"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "transposed3d",
        layers![
            Input::new([2, 3, 1, 2]),
            Conv3DTranspose::new(3, [2, 2, 2])
                .strides([2, 2, 2])
                .named("up"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "square_transposed",
        layers![
            Input::new([2, 3, 2]),
            Conv2DTranspose::new(2, [2, 2]).named("up")
        ],
    );
    add(
        "depthwise",
        layers![
            Input::new([3, 4, 2]),
            DepthwiseConv2D::new([2, 2])
                .depth_multiplier(2)
                .named("depth"),
            Conv2D::new(6, [1, 1]).groups(2).named("group"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "embedding",
        layers![
            Input::integers([4]),
            Embedding::new(5, 3).named("embed"),
            Flatten::new(),
            fc(2)
        ],
    );
    add(
        "embedding_conv",
        layers![
            Input::integers([4]),
            Embedding::new(5, 3).named("embed"),
            Conv1D::new(2, [2]).named("conv"),
            Flatten::new(),
            fc(2)
        ],
    );
    let branches = functional(&[&[3, 3, 2], &[3]], |f, inputs| {
        let a = f.apply(conv(3).named("a"), &inputs[..1]).unwrap();
        let a = f.apply(Flatten::new(), &[a]).unwrap();
        let z = f
            .apply(Dense::new(4).activation("relu").named("z"), &inputs[1..])
            .unwrap();
        let b = f
            .apply(Conv2D::new(2, [1, 1]).named("b"), &inputs[..1])
            .unwrap();
        let b = f.apply(Flatten::new(), &[b]).unwrap();
        let all = f.apply(Concatenate::new(), &[a, z, b]).unwrap();
        f.apply(fc(2), &[all]).unwrap()
    });
    networks.push(("branches", branches));
    let residual = functional(&[&[3, 3, 2]], |f, inputs| {
        let x = f.apply(conv(3).named("conv"), inputs).unwrap();
        let row = f.apply(Flatten::new(), &[x]).unwrap();
        let mixed = f
            .apply(Dense::new(12).activation("relu").named("mix"), &[row])
            .unwrap();
        let sum = f.apply(Add, &[row, mixed]).unwrap();
        f.apply(fc(2), &[sum]).unwrap()
    });
    networks.push(("residual", residual));
    let squeeze = functional(&[&[3, 3, 2]], |f, inputs| {
        let x = f.apply(conv(4).named("conv"), inputs).unwrap();
        let s = f.apply(GlobalAveragePooling2D::new(), &[x]).unwrap();
        let s = f
            .apply(Dense::new(2).activation("relu").named("down"), &[s])
            .unwrap();
        let s = f
            .apply(Dense::new(4).activation("sigmoid").named("up"), &[s])
            .unwrap();
        let s = f.apply(Reshape::new([1, 1, 4]), &[s]).unwrap();
        let y = f.apply(Multiply, &[x, s]).unwrap();
        let y = f.apply(Flatten::new(), &[y]).unwrap();
        f.apply(fc(2), &[y]).unwrap()
    });
    networks.push(("squeeze", squeeze));
    networks
}

/// Predicts as PyTorch did.
#[track_caller]
fn assert_predicts(name: &str, model: &Model) {
    let file = format!("pytorch-networks/{name}.npz");
    let inputs = model.input_names().len();
    let keys = ["x", "x1"];
    let output = if name.starts_with("embedding") {
        model
            .predict(&npz::<i64>(&file, "x").mapv(|id| id as i32))
            .unwrap()
    } else {
        let arrays: Vec<ArrayD<f32>> = keys[..inputs].iter().map(|key| npz(&file, key)).collect();
        match arrays.as_slice() {
            [x] => model.predict(x).unwrap(),
            [x, other] => model.predict([x, other]).unwrap(),
            _ => unreachable!("two inputs at most"),
        }
    };
    println!("{name}");
    assert_close(output.as_slice(), &npz(&file, "y"), 1e-5);
}

#[test]
fn features_behind_a_flatten_are_in_the_order_that_pytorch_has_them() {
    for (name, mut model) in networks() {
        let report = model.load_weights(case(&format!("pytorch-networks/{name}.pth")));
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{report}");
        assert_predicts(name, &model);
        let told = report.to_string().contains("C·");
        let moved = !matches!(name, "global" | "embedding" | "square_transposed");
        assert_eq!(told, moved, "{name}: {report}");
    }
}

#[test]
fn the_report_says_what_was_permuted() {
    let (_, mut model) = networks().swap_remove(3);
    let report = model
        .load_weights(case("pytorch-networks/norms.pth"))
        .unwrap();
    let layout = |weight: &str| {
        let loaded = report.loaded.iter().find(|loaded| loaded.weight == weight);
        loaded.unwrap().layout.clone()
    };
    assert_eq!(
        layout("fc/kernel").as_deref(),
        Some("OI → IO, inputs C·H·W → H·W·C")
    );
    assert_eq!(layout("bn1/gamma").as_deref(), Some("inputs C·H·W → H·W·C"));
    assert_eq!(
        layout("bn1/moving_variance").as_deref(),
        Some("inputs C·H·W → H·W·C")
    );
    assert_eq!(layout("bn0/gamma"), None);
    assert_eq!(layout("head/kernel").as_deref(), Some("OI → IO"));
}

#[test]
fn a_network_that_turned_its_image_before_is_taken_as_it_is_where_that_is_said() {
    let layers = || {
        sequential(layers![
            Input::new([3, 4, 2]),
            Conv2D::new(3, [2, 2]).named("conv"),
            Flatten::new(),
            Dense::new(2).named("fc")
        ])
    };
    let path = case("pytorch-networks/turned.pth");
    let mut model = layers();
    let _ = model
        .load_weights_with(&path, Load::new().as_stored("fc"))
        .unwrap();
    assert_predicts("turned", &model);
}

#[test]
fn the_reported_network_loads() {
    let mut model = sequential(layers![
        Input::new([6, 6, 3]),
        Conv2D::new(4, [3, 3]).activation("relu").named("conv"),
        MaxPooling2D::new([2, 2]),
        Flatten::new(),
        Dense::new(3).named("fc")
    ]);
    let _ = model.load_weights(case("pytorch-flatten/m.pth")).unwrap();
    let x: ArrayD<f32> = npy("pytorch-flatten/x.npy");
    let y = model.predict(&x).unwrap();
    assert_close(y.as_slice(), &npy("pytorch-flatten/y.npy"), 1e-5);
}

#[test]
fn what_stands_in_front_of_a_flatten_must_be_known() {
    // PyTorch has images with the channels first, but nothing says that this is one.
    let file = case("pytorch-networks/conv2d.pth");
    let mut model = sequential(layers![
        Input::new([3, 4, 3]),
        Flatten::new(),
        Dense::new(2).named("fc")
    ]);
    let before = model.weight("fc/kernel").unwrap().value().clone();
    let error = model
        .load_weights_with(&file, Load::new().allow_unexpected())
        .unwrap_err();
    assert!(error.to_string().contains("channels first"), "{error}");
    assert_eq!(*model.weight("fc/kernel").unwrap().value(), before);
    let load = || Load::new().allow_unexpected().as_stored("fc");
    assert!(model.load_weights_with(&file, load()).is_ok());
    // A layer that does not say what it does with the places.
    let mut model = sequential(layers![
        Input::new([5, 4, 2]),
        Conv2D::new(3, [2, 2]).activation("relu").named("conv"),
        Turned { says: false },
        Flatten::new(),
        Dense::new(2).named("fc")
    ]);
    let error = model.load_weights(&file).unwrap_err().to_string();
    assert!(
        error.contains("Turned") && error.contains("Layer::flow"),
        "{error}"
    );
    // A row of channels that is made an image of: there its elements would be others.
    let mut model = sequential(layers![
        Input::new([5, 4, 2]),
        Conv2D::new(36, [2, 2]).named("conv"),
        GlobalAveragePooling2D::new(),
        Reshape::new([4, 3, 3]),
        Conv2D::new(3, [2, 2]).named("fc")
    ]);
    let error = model.load_weights(&file).unwrap_err().to_string();
    assert!(error.contains("as_stored"), "{error}");
}

/// Twice its input, at the same places.
#[derive(Debug)]
struct Turned {
    says: bool,
}

impl Configured for Turned {}

impl Layer for Turned {
    fn flow(&self) -> Flow {
        match self.says {
            true => Flow::Keeps,
            false => Flow::Unknown,
        }
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0] * 1.0
    }
}

/// A dense layer of somebody's own.
#[derive(Debug)]
struct Own {
    says: bool,
    kernel: &'static str,
}

impl Configured for Own {}

impl Layer for Own {
    fn flow(&self) -> Flow {
        Flow::Features
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = inputs[0].sample().unwrap_or_default()[0];
        let kernel = weights.parameter(self.kernel, [features, 2], &Initializer::from("zeros"));
        if self.says {
            kernel.axes([WeightAxis::Input, WeightAxis::Output]);
        }
        let bias = weights.parameter("bias", [2], &Initializer::from("zeros"));
        bias.axes([WeightAxis::Output]);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].matmul(call.weight(self.kernel)) + call.weight("bias")
    }
}

#[test]
fn a_layer_of_ones_own_says_what_its_axes_mean() {
    let named = |says: bool, kernel: &'static str| {
        sequential(layers![
            Input::new([5, 4, 2]),
            Conv2D::new(3, [2, 2]).activation("relu").named("conv"),
            Turned { says: true },
            Flatten::new(),
            Own { says, kernel }.named("fc")
        ])
    };
    let model = |says: bool| named(says, "kernel");
    let file = case("pytorch-networks/conv2d.pth");
    // Of a name in several parts not even the first are a layer's.
    let mut parts = named(true, "part/kernel");
    let names = Load::map([("fc.weight", "fc/part/kernel"), ("*.*", "$1/$2")]);
    let _ = parts.load_weights_with(&file, names).unwrap();
    assert_predicts("conv2d", &parts);
    let mut own = model(true);
    let _ = own.load_weights(&file).unwrap();
    assert_predicts("conv2d", &own);
    let error = model(false).load_weights(&file).unwrap_err().to_string();
    assert!(error.contains("WeightSpec::axes"), "{error}");
}

fn linear() -> Model {
    sequential(layers![Input::new([4]), Dense::new(2).named("fc")])
}

#[test]
fn wrapped_checkpoints_open_as_the_bare_state_dict_does() {
    let x: ArrayD<f32> = npy("pytorch-wrapped/x.npy");
    let y: ArrayD<f32> = npy("pytorch-wrapped/y.npy");
    let mut count = 0;
    for folder in ["pytorch-wrapped", "pytorch-checkpoints"] {
        for entry in std::fs::read_dir(case(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "pth")
                || path.with_extension("npz").exists()
            {
                continue;
            }
            let mut model = linear();
            let report = model.load_weights(&path);
            let _: LoadReport =
                report.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            println!("{}", path.display());
            assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-6);
            count += 1;
        }
    }
    assert_eq!(count, 42);
}

#[test]
fn the_reported_checkpoints_with_numpy_beside_load() {
    for name in ["numpy_scalar", "timm"] {
        let mut model = sequential(layers![
            Input::new([6, 6, 3]),
            Conv2D::new(4, [3, 3]).named("conv"),
            BatchNormalization::new().epsilon(1e-5).named("bn"),
            ReLU::new(),
            GlobalAveragePooling2D::new(),
            Dense::new(2).named("fc")
        ]);
        let file = case(&format!("numpy-beside-state-dict/{name}.pth"));
        let _ = model.load_weights(file).unwrap();
        let y = model
            .predict(&npy::<f32>("numpy-beside-state-dict/x.npy"))
            .unwrap();
        assert_close(y.as_slice(), &npy("numpy-beside-state-dict/y.npy"), 1e-5);
    }
}

#[test]
fn weights_kept_in_parts_are_multiplied_out() {
    for name in [
        "weight_norm",
        "weight_norm_1",
        "weight_norm_all",
        "weight_norm_parametrized",
        "weight_norm_conv",
        "spectral_norm",
        "spectral_norm_parametrized",
        "pruned",
    ] {
        let file = |ending: &str| format!("pytorch-checkpoints/{name}.{ending}");
        let x: ArrayD<f32> = npz(&file("npz"), "x");
        let (mut model, x) = match name {
            "weight_norm_conv" => {
                let conv = Conv1D::new(2, [1]).named("fc");
                let x = x.into_shape_with_order(vec![3, 1, 4]).unwrap();
                (sequential(layers![Input::new([1, 4]), conv]), x)
            }
            _ => (linear(), x),
        };
        let report = model.load_weights(case(&file("pth")));
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.to_string().contains(" × "), "{report}");
        assert_close(
            model.predict(&x).unwrap().as_slice(),
            &npz(&file("npz"), "y"),
            1e-6,
        );
    }
}

#[test]
fn what_holds_no_state_dict_is_said_for_what_it_is() {
    for (name, what) in [
        ("whole_model", "torch.nn.modules.linear.Linear"),
        ("wrapped_model", "torch.nn.modules.linear.Linear"),
        ("sparse", "_rebuild_sparse_tensor"),
        ("script", "TorchScript"),
        ("export", "torch.export"),
    ] {
        let file = case(&format!("pytorch-checkpoints/{name}.refused"));
        let error = linear().load_weights(file).unwrap_err().to_string();
        assert!(
            error.contains(what) && error.contains("state_dict"),
            "{name}: {error}"
        );
    }
}

#[test]
fn names_of_wrappers_can_be_mapped_too() {
    let stack = layers![Input::new([4]), Dense::new(2).named("head")];
    for pattern in ["fc.*", "module.fc.*", "state_dict.module.fc.*"] {
        let mut model = Sequential::new(stack.clone()).unwrap();
        let load = Load::map([(pattern, "head/$1")]).layout(Layout::PyTorch);
        let report = model
            .load_weights_with(case("pytorch-checkpoints/ddp_wrapped.pth"), load)
            .unwrap();
        assert_eq!(report.loaded.len(), 2);
    }
}
