//! Random models, described as data so that a failure is shrunk: Sequential and functional, with nested
//! and shared layers, wrappers, masks, several inputs and outputs; and random data for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use regraft::layers::{
    ActivationLayer, Add, BatchNormalization, Bidirectional, Call, Concatenate, Conv1D, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Embedding, Flatten, Functional, GRU, GaussianNoise,
    GlobalAveragePooling1D, GlobalAveragePooling2D, GroupNormalization, Input, LSTM, Layer,
    LayerExt, LayerNormalization, LayerOutput, LayerSpec, Masking, Registry, SpatialDropout1D,
    SpatialDropout2D, SpectralNormalization, TimeDistributed, Weights,
};
use regraft::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, Huber, LossFunction, MeanSquaredError,
    SparseCategoricalCrossentropy,
};
use regraft::ndarray::{ArrayD, IxDyn};
use regraft::random::{Key, normal, uniform};
use regraft::{Model, Sequential};
use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var};
use regraft_layers::{Configured, Initializer};
use regraft_tensor::Detail;

/// A layer, by numbers that mean something for whatever comes in.
#[derive(Clone, Debug)]
pub struct Part {
    kind: usize,
    size: usize,
    activation: usize,
}

/// What a branch takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Numbers,
    Images,
    Tokens,
    Steps,
}

/// How the layers of a branch are in the model.
#[derive(Clone, Copy, Debug)]
pub enum Nesting {
    Flat,
    Sequential,
    Functional,
    Twice,
}

/// From an input to features.
#[derive(Clone, Debug)]
pub struct Branch {
    pub kind: Kind,
    pub parts: Vec<Part>,
    pub nesting: Nesting,
    /// Whether steps of a sequence may be padding, which a mask says.
    pub masked: bool,
    /// Whether it ends in the mean of what is there, or in all of it.
    pub pooled: bool,
}

/// What an output learns.
#[derive(Clone, Copy, Debug)]
pub enum Head {
    Classes,
    Numbers,
    Binary,
    OneHot,
    Robust,
}

/// A model.
#[derive(Clone, Debug)]
pub struct Plan {
    pub branches: Vec<Branch>,
    /// A layer that is applied twice, with its result added to what came in.
    pub shared: bool,
    pub body: Vec<Part>,
    pub heads: Vec<Head>,
    /// An output for each step, where all branches are of sequences.
    pub over_time: bool,
    /// What stands in padding: the mask value of steps, and something more in what tokens of 0 are embedded as.
    pub padding: f32,
    /// Smooth functions only, so that differences approach derivatives.
    pub smooth: bool,
    pub seed: u64,
}

fn part() -> impl Strategy<Value = Part> {
    (0_usize..8, 2_usize..5, 0_usize..6).prop_map(|(kind, size, activation)| Part {
        kind,
        size,
        activation,
    })
}

fn branch() -> impl Strategy<Value = Branch> {
    let kind = prop_oneof![
        Just(Kind::Numbers),
        Just(Kind::Images),
        Just(Kind::Tokens),
        Just(Kind::Steps),
    ];
    let nesting = prop_oneof![
        2 => Just(Nesting::Flat),
        1 => Just(Nesting::Sequential),
        1 => Just(Nesting::Functional),
        1 => Just(Nesting::Twice),
    ];
    let parts = prop::collection::vec(part(), 1..4);
    let (masked, pooled) = (any::<bool>(), any::<bool>());
    (kind, parts, nesting, masked, pooled).prop_map(|(kind, parts, nesting, masked, pooled)| {
        Branch {
            kind,
            parts,
            nesting,
            masked,
            pooled,
        }
    })
}

pub fn plan(smooth: bool) -> impl Strategy<Value = Plan> {
    let head = prop_oneof![
        Just(Head::Classes),
        Just(Head::Numbers),
        Just(Head::Binary),
        Just(Head::OneHot),
        Just(Head::Robust),
    ];
    let branches = prop_oneof![
        2 => prop::collection::vec(branch(), 1),
        1 => prop::collection::vec(branch(), 2),
    ];
    let heads = prop_oneof![
        2 => prop::collection::vec(head.clone(), 1),
        1 => prop::collection::vec(head, 2),
    ];
    let body = prop::collection::vec(part(), 0..3);
    let (shared, over_time) = (any::<bool>(), any::<bool>());
    (branches, shared, body, heads, over_time, 0_u64..1 << 32).prop_map(
        move |(branches, shared, body, heads, over_time, seed)| Plan {
            branches,
            shared,
            body,
            heads,
            over_time,
            padding: 0.0,
            smooth,
            seed,
        },
    )
}

/// Models of padded sequences, whose layers all look at masks or pass them on.
pub fn padded() -> impl Strategy<Value = Plan> {
    plan(false).prop_map(|mut plan| {
        for branch in &mut plan.branches {
            if !branch.is_sequence() {
                branch.kind = Kind::Steps;
            }
            (branch.masked, branch.pooled) = (true, true);
            branch.parts.iter_mut().for_each(Part::keep_steps_apart);
        }
        plan.body.iter_mut().for_each(Part::keep_steps_apart);
        // Joined, a step counts where either does, as in Keras: the padding of the other is seen there.
        plan.over_time &= plan.branches.len() == 1;
        plan
    })
}

/// The length of a sequence.
const STEPS: usize = 4;

impl Kind {
    fn sample(self) -> &'static [usize] {
        match self {
            Kind::Numbers => &[5],
            Kind::Images => &[5, 5, 2],
            Kind::Tokens => &[STEPS],
            Kind::Steps => &[STEPS, 3],
        }
    }

    fn input(self) -> Input {
        match self {
            Kind::Tokens => Input::integers(self.sample()),
            _ => Input::new(self.sample()),
        }
    }
}

impl Part {
    fn activation(&self, smooth: bool) -> &'static str {
        match self.activation {
            0 | 1 => "tanh",
            2 => "gelu",
            3 => "softplus",
            4 if !smooth => "relu",
            4 => "sigmoid",
            _ => "linear",
        }
    }

    /// Makes it another one where it is a convolution over steps.
    fn keep_steps_apart(&mut self) {
        self.kind %= 6;
    }

    /// The layer for values of `rank` axes besides the batch.
    fn layer(&self, rank: usize, smooth: bool) -> LayerSpec {
        let (size, activation) = (self.size, self.activation(smooth));
        match (rank, self.kind) {
            (1 | 2, 0) => Dense::new(size).activation(activation).into(),
            (1 | 2, 1) => Dense::new(size)
                .kernel_regularizer("l2")
                .activation(activation)
                .into(),
            (_, 2) => BatchNormalization::new().momentum(0.7).into(),
            (_, 3) => LayerNormalization::new().into(),
            (1, 4) => Dropout::new(0.3).into(),
            (2, 4) => SpatialDropout1D::new(0.3).into(),
            (_, 4) => SpatialDropout2D::new(0.3).into(),
            (2, 5) if size == 2 => {
                // Each step of a sequence counts, so that .7 would forget within an epoch where it began, and a second
                // training in the same order would end at the same bits.
                let inner = BatchNormalization::new().momentum(0.97).named("inner");
                TimeDistributed::new(inner).into()
            }
            (2, 5) if size == 3 => {
                TimeDistributed::new(Dense::new(size).activation(activation).named("inner")).into()
            }
            (2, 5) if size == 4 => LSTM::new(size).return_sequences(true).into(),
            (_, 5) => ActivationLayer::new(activation).into(),
            (2, 6) => {
                let inner = GRU::new(size).return_sequences(true).named("inner");
                Bidirectional::new(inner).into()
            }
            (1, 6) if size == 2 => GaussianNoise::new(0.1).into(),
            (1, 6) => Tracker.into(),
            // It gives the kernel another value in each step, so slopes are those at another place.
            (1, _) if size == 4 && !smooth => {
                let inner = Dense::new(size).activation(activation).named("inner");
                SpectralNormalization::new(inner).into()
            }
            (1, _) => Dense::new(size).kernel_constraint("unit_norm").into(),
            (2, _) => Conv1D::new(size, 3)
                .padding("same")
                .activation(activation)
                .into(),
            (_, 6) => GroupNormalization::new(1).into(),
            (_, 0) => DepthwiseConv2D::new(3)
                .padding("same")
                .activation(activation)
                .into(),
            (_, 7) => Conv2D::new(size, 3).padding("same").strides(2).into(),
            _ => Conv2D::new(size, 3)
                .padding("same")
                .activation(activation)
                .into(),
        }
    }
}

impl Branch {
    pub fn is_sequence(&self) -> bool {
        matches!(self.kind, Kind::Tokens | Kind::Steps)
    }

    /// The layers, with names that begin with `name`.
    fn layers(&self, name: &str, plan: &Plan) -> Vec<LayerSpec> {
        let mut layers = Vec::new();
        let rank = match self.kind {
            Kind::Tokens => {
                let embedding = Embedding::new(7, 4).mask_zero(self.masked);
                layers.push(embedding.named(format!("{name}_embedding")));
                2
            }
            Kind::Steps if self.masked => {
                let masking = Masking::new().mask_value(plan.padding);
                layers.push(masking.named(format!("{name}_masking")));
                2
            }
            kind => kind.sample().len(),
        };
        for (index, part) in self.parts.iter().enumerate() {
            layers.push(
                part.layer(rank, plan.smooth)
                    .named(format!("{name}_{index}")),
            );
        }
        let last = format!("{name}_flat");
        layers.push(match (rank, self.pooled) {
            _ if plan.is_over_time() => ActivationLayer::new("linear").named(last),
            (1, _) => ActivationLayer::new("linear").named(last),
            (2, true) => GlobalAveragePooling1D::new().named(last),
            (3, true) => GlobalAveragePooling2D::new().named(last),
            _ => Flatten::new().named(last),
        });
        layers
    }

    /// Applies the layers to `x`, as a nested model if they are one.
    fn apply(&self, f: &mut Functional, name: &str, plan: &Plan, x: LayerOutput) -> LayerOutput {
        let layers = self.layers(name, plan);
        let nested: LayerSpec = match self.nesting {
            Nesting::Flat => {
                return layers
                    .into_iter()
                    .fold(x, |x, layer| f.apply(layer, &[x]).unwrap());
            }
            Nesting::Sequential => self.sequential(layers).named(name),
            Nesting::Functional => self.functional(layers).named(name),
            Nesting::Twice => {
                let inner = self.sequential(layers).named(format!("{name}_inner"));
                self.functional(vec![inner]).named(name)
            }
        };
        f.apply(nested, &[x]).unwrap()
    }

    fn sequential(&self, layers: Vec<LayerSpec>) -> Model {
        let input: LayerSpec = self.kind.input().into();
        let layers = std::iter::once(input).chain(layers).collect();
        Sequential::new(layers).unwrap()
    }

    fn functional(&self, layers: Vec<LayerSpec>) -> Model {
        let mut f = Functional::new();
        let x = f.apply(self.kind.input(), &[]).unwrap();
        let y = layers
            .into_iter()
            .fold(x, |x, layer| f.apply(layer, &[x]).unwrap());
        f.model(&[x], &[y]).unwrap()
    }
}

impl Head {
    fn layer(self) -> Dense {
        match self {
            Head::Classes => Dense::new(3),
            Head::Numbers | Head::Robust => Dense::new(2),
            Head::Binary => Dense::new(1),
            Head::OneHot => Dense::new(3).activation("softmax"),
        }
    }

    pub fn loss(self) -> LossFunction {
        match self {
            Head::Classes => SparseCategoricalCrossentropy::from_logits().into(),
            Head::Numbers => MeanSquaredError.into(),
            Head::Binary => BinaryCrossentropy::from_logits().into(),
            Head::OneHot => CategoricalCrossentropy::default().into(),
            Head::Robust => Huber::default().into(),
        }
    }

    /// Targets for rows of this shape: samples, or their steps.
    fn targets(self, rows: &[usize], key: Key) -> Values {
        let mut drawn = vec![0.0_f32; rows.iter().product::<usize>() * 3];
        uniform(key, 0, &mut drawn);
        let row = |at: &IxDyn| {
            let along = rows.iter().enumerate();
            along.fold(0, |row, (axis, size)| row * size + at[axis])
        };
        let class = |at: &IxDyn| (drawn[row(at) * 3] * 3.0) as usize % 3;
        let wide = |columns: usize| [rows, &[columns]].concat();
        let column = |at: &IxDyn| at[rows.len()];
        match self {
            Head::Classes => {
                let class = |at: IxDyn| class(&at) as i32;
                Values::Integers(ArrayD::from_shape_fn(IxDyn(rows), class))
            }
            Head::Numbers | Head::Robust => {
                floats(&wide(2), |at| 2.0 * drawn[row(&at) * 3 + column(&at)] - 1.0)
            }
            Head::Binary => floats(&wide(1), |at| drawn[row(&at) * 3].round()),
            Head::OneHot => floats(&wide(3), |at| {
                f32::from(u8::from(class(&at) == column(&at)))
            }),
        }
    }
}

fn floats(shape: &[usize], value: impl Fn(IxDyn) -> f32) -> Values {
    Values::Floats(ArrayD::from_shape_fn(IxDyn(shape), value))
}

/// An array of floats or integers.
#[derive(Clone, Debug)]
pub enum Values {
    Floats(ArrayD<f32>),
    Integers(ArrayD<i32>),
}

/// Samples with their targets and weights.
#[derive(Clone, Debug)]
pub struct Samples {
    pub inputs: Vec<Values>,
    pub targets: Vec<Values>,
    pub weights: Vec<f32>,
}

impl Plan {
    /// Whether there is an output for each step of a sequence.
    pub fn is_over_time(&self) -> bool {
        self.over_time && self.branches.iter().all(Branch::is_sequence)
    }

    /// The axes of what the branches give, besides the batch.
    fn rank(&self) -> usize {
        1 + usize::from(self.is_over_time())
    }

    /// Whether the weight at `path` embeds tokens of which 0 is padding.
    pub fn embeds_padding(&self, path: &str) -> bool {
        let branches = self.branches.iter().enumerate();
        let mut masked = branches.filter(|(_, branch)| branch.masked);
        masked.any(|(index, _)| path.ends_with(&format!("branch{index}_embedding/embeddings")))
    }

    /// The model with first weights, all trainable. `counter` is put behind the first branch.
    pub fn model(&self, counter: Option<Counter>) -> Model {
        let mut f = Functional::with_seed(self.seed);
        let mut inputs = Vec::new();
        let mut features = Vec::new();
        for (index, branch) in self.branches.iter().enumerate() {
            let input = branch.kind.input().named(format!("input{index}"));
            let x = f.apply(input, &[]).unwrap();
            inputs.push(x);
            let mut y = branch.apply(&mut f, &format!("branch{index}"), self, x);
            if let (0, Some(counter)) = (index, &counter) {
                y = f.apply(counter.clone().named("counter"), &[y]).unwrap();
            }
            features.push(y);
        }
        let mut x = match features.as_slice() {
            [x] => *x,
            several => f.apply(Concatenate::new().named("join"), several).unwrap(),
        };
        if self.shared {
            x = f.apply(Dense::new(4).named("width"), &[x]).unwrap();
            let twice = Dense::new(4).activation("tanh").named("twice");
            let once = f.apply(twice, &[x]).unwrap();
            let y = f.apply_again("twice", &[once]).unwrap();
            x = f.apply(Add.named("residual"), &[x, y]).unwrap();
        }
        for (index, part) in self.body.iter().enumerate() {
            let layer = part
                .layer(self.rank(), self.smooth)
                .named(format!("body_{index}"));
            x = f.apply(layer, &[x]).unwrap();
        }
        let head = |(index, head): (usize, &Head)| {
            let layer = head.layer().named(format!("head{index}"));
            f.apply(layer, &[x]).unwrap()
        };
        let outputs: Vec<LayerOutput> = self.heads.iter().enumerate().map(head).collect();
        let mut model: Model = f.model(&inputs, &outputs).unwrap();
        self.draw(&mut model);
        model
    }

    /// As [`model`](Self::model), Sequential where the plan is a chain.
    pub fn build(&self, counter: Option<Counter>) -> Model {
        let chain = self.branches.len() == 1 && self.heads.len() == 1 && !self.shared;
        if !chain || counter.is_some() {
            return self.model(counter);
        }
        let branch = &self.branches[0];
        let layers = branch.layers("branch0", self);
        let mut stack: Vec<LayerSpec> = vec![branch.kind.input().into()];
        match branch.nesting {
            Nesting::Flat => stack.extend(layers),
            Nesting::Sequential => stack.push(branch.sequential(layers).named("branch0")),
            Nesting::Functional => stack.push(branch.functional(layers).named("branch0")),
            Nesting::Twice => {
                let inner = branch.functional(layers).named("branch0_inner");
                stack.push(branch.sequential(vec![inner]).named("branch0"));
            }
        }
        for (index, part) in self.body.iter().enumerate() {
            stack.push(
                part.layer(self.rank(), self.smooth)
                    .named(format!("body_{index}")),
            );
        }
        stack.push(self.heads[0].layer().named("head0"));
        let mut model = Sequential::with_seed(stack, self.seed).unwrap();
        self.draw(&mut model);
        model
    }

    pub fn losses(&self) -> Vec<LossFunction> {
        self.heads.iter().map(|head| head.loss()).collect()
    }

    pub fn samples(&self, samples: usize) -> Samples {
        let key = |stream: usize| Key::new(self.seed, 1000 + stream as u64);
        let inputs = self.branches.iter().enumerate().map(|(index, branch)| {
            let shape = [&[samples], branch.kind.sample()].concat();
            let mut drawn = vec![0.0_f32; shape.iter().product()];
            match branch.kind {
                Kind::Tokens => {
                    uniform(key(index), 0, &mut drawn);
                    let mut ids: Vec<i32> = drawn.iter().map(|x| (x * 7.0) as i32 % 7).collect();
                    // A sequence of nothing has no mean.
                    ids.iter_mut()
                        .step_by(STEPS)
                        .for_each(|id| *id = (*id).max(1));
                    Values::Integers(ArrayD::from_shape_vec(shape, ids).unwrap())
                }
                _ => {
                    normal(key(index), 0, &mut drawn);
                    if let (Kind::Steps, true) = (branch.kind, branch.masked) {
                        let steps = drawn.chunks_mut(3).enumerate();
                        let padding = steps.filter(|(at, step)| at % STEPS > 0 && step[0] < -0.3);
                        padding.for_each(|(_, step)| step.fill(self.padding));
                    }
                    Values::Floats(ArrayD::from_shape_vec(shape, drawn).unwrap())
                }
            }
        });
        let heads = self.heads.iter().enumerate();
        let rows = match self.is_over_time() {
            true => vec![samples, STEPS],
            false => vec![samples],
        };
        let targets = heads.map(|(index, head)| head.targets(&rows, key(10 + index)));
        let mut weights = vec![0.0; samples];
        uniform(key(20), 0, &mut weights);
        weights.iter_mut().for_each(|weight| *weight += 0.5);
        Samples {
            inputs: inputs.collect(),
            targets: targets.collect(),
            weights,
        }
    }

    /// Gives every weight other values than those that initializers give, so that no two are alike and
    /// none is zero throughout.
    fn draw(&self, model: &mut Model) {
        let weights = model.weights().iter();
        let drawn: Vec<(String, Vec<usize>)> = weights
            .map(|weight| (weight.path().to_string(), weight.value().shape().to_vec()))
            .collect();
        for (stream, (path, shape)) in drawn.into_iter().enumerate() {
            let mut values = vec![0.0; shape.iter().product()];
            let key = Key::new(self.seed, 100 + stream as u64);
            if path.ends_with("variance") || path.ends_with("gamma") {
                uniform(key, 0, &mut values);
                values.iter_mut().for_each(|value| *value += 0.5);
            } else {
                normal(key, 0, &mut values);
                values.iter_mut().for_each(|value| *value *= 0.5);
            }
            if self.embeds_padding(&path) {
                let row = values.iter_mut().take(shape[1]);
                row.for_each(|value| *value += self.padding);
            }
            let value = regraft::Tensor::new(shape, values).unwrap();
            model.set_weight(&path, value).unwrap();
        }
    }
}

/// A layer of one's own that scales, and keeps a running mean; it leaves it to the model whether that may
/// move.
#[derive(Clone, Debug)]
struct Tracker;

/// What makes the layers of one's own known where a file is opened.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register("Tracker", |_| Ok(Tracker));
    registry
}

impl Configured for Tracker {}

impl Layer for Tracker {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = inputs[0].sample().unwrap_or_default();
        weights.parameter("scale", features.clone(), &Initializer::ones());
        weights.state("mean", features, &Initializer::zeros());
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let mean = inputs[0].mean(&[0]);
        // Slowly enough that after all steps of a training it still shows where it began.
        call.update("mean", call.weight("mean") * 0.9 + mean * 0.1);
        inputs[0] * call.weight("scale")
    }
}

/// A layer that passes on what it is given and counts the samples it has seen.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// The number of samples since the last time.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Configured for Counter {}

impl Layer for Counter {
    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        call.graph().apply(Count(self.0.clone()), inputs)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}

/// The op of a [`Counter`].
#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Op for Count {
    fn name(&self) -> &str {
        "count"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::F32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        self.0.fetch_add(operands.shape(0)[0], Ordering::Relaxed);
        output.f32().copy_from_slice(operands.f32(0));
        Ok(())
    }

    fn gradient<'g>(&self, at: &regraft_autograd::Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![at.when(0, || at.cotangent())]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}
