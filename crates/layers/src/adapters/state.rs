//! An adapter apart from a model: what files hold of it.

use regraft_tensor::Tensor;

use crate::adapters::Adapter;

/// How an update goes with a product.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Form {
    /// `+ s · f(x, A) · B`; with a [`Magnitude`](Role::Magnitude), a DoRA.
    LowRank {
        /// The strength.
        alpha: f32,
        /// Whether it is divided by √rank.
        rslora: bool,
        /// With which probability elements in front of A are dropped.
        dropout: f32,
    },
    /// `+ λ_b · (λ_d · f(x, A)) · B`.
    Vera {
        /// With which probability elements in front of A are dropped.
        dropout: f32,
    },
    /// A factor for each output of a product that treats each channel alone; the bias has none.
    ChannelScale,
    /// A factor for each output, bias included.
    OutputScale,
    /// A factor for each input.
    InputScale,
}

impl Form {
    /// What the names of its weights begin with.
    fn prefix(self) -> &'static str {
        match self {
            Form::LowRank { .. } | Form::ChannelScale => "lora",
            Form::Vera { .. } => "vera",
            Form::OutputScale | Form::InputScale => "ia3",
        }
    }

    /// The name within the layer of the weight that the adapter `adapter` has for the kernel `weight`:
    /// `default/lora_kernel_a`.
    pub(crate) fn name(self, adapter: &str, weight: &str, role: Role) -> String {
        format!("{adapter}/{}_{weight}_{}", self.prefix(), role.name())
    }

    /// What a low-rank product of this rank is multiplied with.
    pub(crate) fn strength(self, rank: usize) -> f32 {
        match self {
            Form::LowRank {
                alpha,
                rslora: true,
                ..
            } => alpha / (rank as f32).sqrt(),
            Form::LowRank { alpha, .. } => alpha / rank as f32,
            _ => 1.0,
        }
    }
}

/// What a weight of an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The first factor: the kernel's axes with `rank` outputs.
    A,
    /// The second: `(rank / groups, outputs)`.
    B,
    /// What is added behind B.
    Bias,
    /// The length that a DoRA gives the kernel of each output.
    Magnitude,
    /// VeRA's factors in front of B.
    LambdaD,
    /// VeRA's factors behind B.
    LambdaB,
    /// Factors of channels.
    Scale,
}

impl Role {
    pub(crate) const ALL: [Role; 7] = [
        Role::A,
        Role::B,
        Role::Bias,
        Role::Magnitude,
        Role::LambdaD,
        Role::LambdaB,
        Role::Scale,
    ];

    fn name(self) -> &'static str {
        match self {
            Role::A => "a",
            Role::B => "b",
            Role::Bias => "bias",
            Role::Magnitude => "magnitude",
            Role::LambdaD => "lambda_d",
            Role::LambdaB => "lambda_b",
            Role::Scale => "scale",
        }
    }
}

/// What an adapter does to one product of a layer, with its values.
#[derive(Clone, Debug)]
pub struct Update {
    /// The layer's weight that is multiplied: `kernel`.
    pub weight: String,
    /// How it goes with the product.
    pub form: Form,
    /// The values, each with what it is.
    pub values: Vec<(Role, Tensor)>,
}

impl Update {
    /// The value in this role.
    pub fn value(&self, role: Role) -> Option<&Tensor> {
        let found = self.values.iter().find(|(other, _)| *other == role);
        found.map(|(_, value)| value)
    }
}

/// What an adapter has for one layer.
#[derive(Clone, Debug)]
pub struct AdaptedLayer {
    /// The layer's path.
    pub path: String,
    /// What it does to products.
    pub updates: Vec<Update>,
    /// Weights of the layer that it has copies of, by name.
    pub replaced: Vec<(String, Tensor)>,
    /// Whether the layer is trained as a whole, behaving as in training: then all of them are.
    pub whole: bool,
}

impl AdaptedLayer {
    /// Nothing for the layer at `path` yet.
    pub fn new(path: impl Into<String>) -> Self {
        AdaptedLayer {
            path: path.into(),
            updates: Vec::new(),
            replaced: Vec::new(),
            whole: false,
        }
    }
}

/// An adapter apart from a model: its settings, and its values layer by layer.
#[derive(Clone, Debug)]
pub struct AdapterState {
    /// What it was made with.
    pub adapter: Adapter,
    /// Of each layer that it changes.
    pub layers: Vec<AdaptedLayer>,
    /// Entries that go with it from file to file.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}
