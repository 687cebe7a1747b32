//! Recurrent layers: weights of PyTorch, cells of one's own, and what is refused.

use regraft::extend::{Call, Configured, Initializer, Layer, Weights};
use regraft::layers::{
    Bidirectional, Dense, Functional, GRU, GRUCell, Input, LSTM, LSTMCell, LayerExt, LayerSpec,
    RNN, Registry, SimpleRNN, StackedRNNCells, layers,
};
use regraft::ndarray::{Array2, Array3, ArrayD};
use regraft::{Model, Sequential};
use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use crate::common::{assert_close, case, npy};

#[test]
fn weights_of_pytorch_load_by_name() {
    let x: ArrayD<f32> = npy("torch-recurrent/x.npy");
    for kind in ["lstm", "gru", "rnn"] {
        for name in ["one", "both", "without_bias"] {
            let bias = name != "without_bias";
            let one: LayerSpec = match kind {
                "lstm" => LSTM::new(3).return_sequences(true).use_bias(bias).into(),
                "gru" => GRU::new(3).return_sequences(true).use_bias(bias).into(),
                _ => SimpleRNN::new(3)
                    .return_sequences(true)
                    .use_bias(bias)
                    .into(),
            };
            let memory = match name {
                "both" => Bidirectional::new(one).named("memory"),
                _ => one.named("memory"),
            };
            let stack = layers![Input::new([5, 4]), memory, Dense::new(2).named("head")];
            let mut model = Sequential::new(stack).unwrap();
            let file = format!("torch-recurrent/{kind}_{name}");
            let report = model.load_weights(case(&format!("{file}.pth"))).unwrap();
            assert!(report.missing.is_empty(), "{file}: {report:#}");
            let y: ArrayD<f32> = npy(&format!("{file}.y.npy"));
            let received = model.predict(&x).unwrap();
            assert_close(received.as_slice(), &y, 1e-5);
        }
    }
    // One without a bias has no place for the file's.
    let mut model = Sequential::new(layers![
        Input::new([5, 4]),
        LSTM::new(3).use_bias(false).named("memory"),
        Dense::new(2).named("head"),
    ])
    .unwrap();
    let error = model
        .load_weights(case("torch-recurrent/lstm_one.pth"))
        .unwrap_err();
    assert!(error.to_string().contains("bias"), "{error}");
}

/// h = keep · h + x, with a `keep` for each feature.
#[derive(Debug)]
struct Decay;

impl Configured for Decay {}

impl Layer for Decay {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = inputs[0].sample().unwrap_or_default();
        weights.parameter("keep", features, &Initializer::ones());
        Ok(())
    }
    fn state_sizes(&self, step: &Shape) -> Vec<Vec<usize>> {
        vec![step.sample().unwrap_or_default()]
    }
    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }
    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let h = inputs.get(1).copied().unwrap_or(inputs[0]);
        let h = call.weight("keep") * h + inputs[0];
        vec![h, h]
    }
}

#[test]
fn a_cell_of_ones_own_runs_trains_and_is_read_again() {
    let x = Array3::from_shape_fn((4, 6, 3), |(i, j, k)| ((i * 7 + j * 3 + k) % 5) as f32);
    let stack = layers![
        Input::new([6, 3]),
        RNN::new(Decay).named("sum"),
        Dense::new(1)
    ];
    let mut model = Sequential::new(stack).unwrap();
    let summed = model.cut_at("sum").unwrap().predict(&x).unwrap();
    let expected = x.sum_axis(regraft::ndarray::Axis(1)).into_dyn();
    assert_close(summed.as_slice(), &expected, 1e-6);
    model.compile("sgd", "mse", ()).unwrap();
    let y = Array2::<f32>::zeros((4, 1));
    model.fit(&x, &y, regraft::Fit::new().epochs(1)).unwrap();
    assert_ne!(
        model.weight("sum/decay/keep").unwrap().value().as_slice(),
        [1.0; 3]
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.keras");
    model.save(&path).unwrap();
    let mut registry = Registry::new();
    registry.register("Decay", |_| Ok(Decay));
    let (again, _) = Model::open_with(&path, &registry).unwrap();
    assert_eq!(again.predict(&x).unwrap(), model.predict(&x).unwrap());
}

#[test]
fn one_step_is_a_step_and_cells_in_a_stack_are_layers_in_a_row() {
    let x = Array3::from_shape_fn((5, 1, 3), |(i, _, k)| {
        (i as f32 - 2.0) * 0.3 + k as f32 * 0.1
    });
    let cells = || layers![LSTMCell::new(4).named("a"), GRUCell::new(2).named("b")];
    let stacked = Sequential::with_seed(
        layers![Input::new([1, 3]), RNN::new(StackedRNNCells::new(cells()))],
        4,
    )
    .unwrap();
    let mut rows = Sequential::with_seed(
        layers![
            Input::new([1, 3]),
            RNN::new(LSTMCell::new(4)).return_sequences(true).named("a"),
            RNN::new(GRUCell::new(2)).named("b"),
        ],
        4,
    )
    .unwrap();
    for (row, cell) in [("a/lstm_cell", "a"), ("b/gru_cell", "b")] {
        let path = format!("rnn/stacked_rnn_cells/{cell}");
        let values = stacked.get_layer(path.as_str()).unwrap().get_weights();
        rows.set_layer_weights(row, values).unwrap();
    }
    assert_eq!(rows.predict(&x).unwrap(), stacked.predict(&x).unwrap());
}

#[test]
fn what_does_not_fit_is_told() {
    let refused = |layer: LayerSpec, shape: &[usize]| {
        let stack = layers![Input::new(shape), layer];
        Sequential::new(stack).unwrap_err().to_string()
    };
    let no_step = refused(LSTM::new(3).into(), &[0, 4]);
    assert!(no_step.contains("at least 1 step"), "{no_step}");
    let flat = refused(GRU::new(3).into(), &[4]);
    assert!(flat.contains("(batch, steps"), "{flat}");
    let image = refused(LSTM::new(3).into(), &[4, 5, 6]);
    assert!(image.contains("(batch, steps, features)"), "{image}");
    let none = refused(LSTM::new(0).into(), &[4, 5]);
    assert!(none.contains("units"), "{none}");
    let no_cell = refused(RNN::new(Dense::new(3)).into(), &[4, 5]);
    assert!(no_cell.contains("state_sizes"), "{no_cell}");
    let dropped = refused(LSTM::new(3).dropout(1.5).into(), &[4, 5]);
    assert!(dropped.contains("dropout"), "{dropped}");
    let dense = refused(Bidirectional::new(Dense::new(3)).into(), &[4, 5]);
    assert!(dense.contains("LSTM"), "{dense}");
    let same = Bidirectional::new(LSTM::new(3)).backward_layer(LSTM::new(3));
    let same = refused(same.into(), &[4, 5]);
    assert!(same.contains("go_backwards"), "{same}");

    let mut f = Functional::new();
    let (x, h, wide) = (f.input([6, 4]), f.input([3]), f.input([5]));
    let one = f.apply(LSTM::new(3), &[x, h]).unwrap_err().to_string();
    assert!(one.contains("2 initial states"), "{one}");
    let other = f.apply(GRU::new(3), &[x, wide]).unwrap_err().to_string();
    assert!(other.contains("initial_state"), "{other}");
    assert!(f.apply(GRU::new(3), &[x, h]).is_ok());
    let y = f.apply_masked(GRU::new(3), &[x], &[Some(wide)]).unwrap();
    let model = f.model(&[x, wide], &[y]).unwrap();
    let numbers = (
        Array3::<f32>::zeros((2, 6, 4)),
        Array2::<f32>::zeros((2, 5)),
    );
    let mask = model
        .predict((&numbers.0, &numbers.1))
        .unwrap_err()
        .to_string();
    assert!(mask.contains("a mask (None, 6)"), "{mask}");

    let stateful = serde_json::json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [null, 5, 4]}},
        {"class_name": "LSTM", "config": {"name": "memory", "units": 3, "stateful": true}},
    ]}});
    let stateful = Model::from_config(&stateful, &Registry::new()).unwrap_err();
    assert!(stateful.to_string().contains("stateful"), "{stateful}");
}
