//! Adapting what a selector picks: a new adapter, with its first values.

use std::collections::{HashMap, HashSet};

use regraft_autograd::VariableId;
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};

use crate::adapters::formula::{around, is_bias, output_axis};
use crate::adapters::limits::{require_rank, require_rate};
use crate::adapters::product::Product;
use crate::adapters::{AdaptedLayer, Adapter, AdapterState, Bias, Form, Lora, Role, Update, Vera};
use crate::initializers::{RandomNormal, RandomUniform};
use crate::keras::names::{join, near};
use crate::models::selector::Picked;
use crate::models::topology::Entry;
use crate::{
    ElementOrder, Error, Initializer, InitializerFunction, IntoSelector, LayerOrders, Model,
    Result, Selector, WeightAxis, WeightSpec,
};

impl Model {
    /// Puts an adapter, called `default`, onto the picked layers and makes it the active one: what it has is
    /// trained, and everything else is frozen. The model computes what it did at first.
    ///
    /// Layers among the picked that multiply nothing (a normalization) are passed over. Weights of the adapter
    /// are weights of the model (`block/conv/default/lora_kernel_a`); of the base no bit moves, since copies
    /// are trained of what an adapter has as a whole. What is to be trained besides is
    /// [unfrozen](Self::unfreeze) afterwards, and does not go with the adapter into its file.
    ///
    /// ```
    /// use regraft_layers::adapters::Lora;
    /// use regraft_layers::layers::Conv2D;
    /// use regraft_layers::{Input, LayerExt, Sequential, layers};
    ///
    /// let convolution = Conv2D::new(16, 3).groups(2_usize).named("grouped");
    /// let mut model = Sequential::new(layers![Input::new([8, 8, 4]), convolution])?;
    /// model.adapt("grouped", Lora::rank(4).alpha(16.0))?;
    /// let a = model.weight("grouped/default/lora_kernel_a");
    /// assert_eq!(a.map(|a| a.value().shape().to_vec()), Some(vec![3, 3, 2, 4]));
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_adapter`](Self::add_adapter).
    pub fn adapt(
        &mut self,
        selector: impl IntoSelector,
        adapter: impl Into<Adapter>,
    ) -> Result<()> {
        let state = self.new_adapter("default", &selector.into_selector(), adapter.into())?;
        self.insert_adapter("default", state)
    }

    /// As [`adapt`](Self::adapt), under another name, and without making it the active one
    /// ([`set_adapter`](Self::set_adapter) does), as PEFT has it.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if the selector picks nothing, or only layers that multiply no kernel, with the
    /// nearest names; [`Error::Setting`] for a rank of 0 or one that a layer's groups do not divide, and for
    /// what an adapter cannot do to a layer; [`Error::Name`] for a name that is taken. The model is unchanged
    /// then.
    pub fn add_adapter(
        &mut self,
        name: &str,
        selector: impl IntoSelector,
        adapter: impl Into<Adapter>,
    ) -> Result<()> {
        let state = self.new_adapter(name, &selector.into_selector(), adapter.into())?;
        *self = self.with_adapter(name, state)?;
        Ok(())
    }

    fn new_adapter(
        &self,
        name: &str,
        selector: &Selector,
        adapter: Adapter,
    ) -> Result<AdapterState> {
        let products = self.products()?;
        let picked = self.picked(selector)?;
        let kernels: HashSet<VariableId> = picked
            .iter()
            .flat_map(|layer| layer.weights.iter().filter(|(_, picked)| *picked))
            .map(|(id, _)| *id)
            .collect();
        let mut whole = HashSet::new();
        if let Some(selector) = adapter.modules_to_save() {
            for layer in self.picked(selector)? {
                if layer.weights.iter().any(|(_, picked)| !picked) {
                    let expected = "whole layers in `modules_to_save`";
                    let detail = Detail::new(layer.path, expected, "some of its weights");
                    let help = "`unfreeze` trains weights alone, beside the adapter";
                    return Err(Error::Setting(detail.help(help)));
                }
                whole.extend(first_of(&layer));
            }
        }
        let mut planned = Planned::of(self, name, &adapter)?;
        let adapted = products.iter().filter(|(id, _)| kernels.contains(id));
        planned.inputs = adapted.map(|(_, it)| it.features().0).max().unwrap_or(0);
        let mut layers: Vec<AdaptedLayer> = Vec::new();
        let mut met = HashSet::new();
        let mut error = None;
        self.topology.visit("", &mut |path, entry| {
            let own = entry.own_weights();
            // A layer that stands in several places is one.
            let Some(first) = own.first().copied().filter(|first| met.insert(*first)) else {
                return;
            };
            let specs = || own.iter().map(|id| &self.store[*id]);
            let copy = |it: &crate::Weight| (it.name().to_string(), it.value().clone());
            let mut layer = AdaptedLayer::new(&path);
            if whole.contains(&first) {
                layer.whole = true;
                layer.replaced = specs().map(copy).collect();
                layers.push(layer);
                return;
            }
            let of_layer = own.iter().filter(|id| kernels.contains(id));
            for id in of_layer.filter(|id| products.contains_key(id)) {
                let (product, value) = (&products[id], &self.store[*id].value);
                match planned.update(&path, first, product, value) {
                    Ok(update) => layer.updates.push(update),
                    Err(of_layer) => {
                        let at = join(&path, &product.kernel.name);
                        error.get_or_insert(of_layer.within(&at));
                    }
                }
            }
            let biases = match adapter.biases() {
                Bias::None => false,
                Bias::LoraOnly => !layer.updates.is_empty(),
                Bias::All => true,
            };
            if biases {
                let of_kind = specs().filter(|it| is_bias(&it.spec) || is_offset(&it.spec));
                layer.replaced = of_kind.map(copy).collect();
            }
            if !layer.updates.is_empty() || !layer.replaced.is_empty() {
                layers.push(layer);
            }
        });
        if let Some(error) = error {
            return Err(error);
        }
        if layers.iter().all(|layer| layer.updates.is_empty()) {
            return Err(self.nothing_to_adapt(selector, &products));
        }
        Ok(AdapterState {
            adapter,
            layers,
            metadata: serde_json::Map::new(),
        })
    }

    fn nothing_to_adapt(
        &self,
        selector: &Selector,
        products: &HashMap<VariableId, Product>,
    ) -> Error {
        let mut names = Vec::new();
        self.topology.visit("", &mut |path, entry: &Entry| {
            let mut own = entry.own_weights().iter();
            if own.any(|id| products.contains_key(id)) {
                names.push(path);
            }
        });
        let wanted = format!("{selector:?}");
        let help = near(&wanted, names.iter().map(String::as_str));
        let expected = "layers that multiply a kernel, such as `Dense` or `Conv2D`";
        let detail = Detail::new(self.name(), expected, format!("{wanted}, which picks none"));
        Error::NoMatch(detail.help(help))
    }
}

/// Whether a weight is what PyTorch calls a bias, too: a normalization's offset.
pub(crate) fn is_offset(spec: &WeightSpec) -> bool {
    matches!(spec.name.as_str(), "beta" | "bias")
}

/// An adapter with its selectors resolved.
struct Planned<'a> {
    name: &'a str,
    adapter: &'a Adapter,
    seed: u64,
    /// By the first weight of the layers, which is the same wherever one stands.
    ranks: HashMap<VariableId, usize>,
    alphas: HashMap<VariableId, f32>,
    feedforward: HashSet<VariableId>,
    /// In which order programs with the channels first have the values of layers.
    orders: HashMap<String, LayerOrders>,
    /// The most inputs that a layer has, which is how large VeRA's matrix is.
    inputs: usize,
}

impl<'a> Planned<'a> {
    fn of(model: &Model, name: &'a str, adapter: &'a Adapter) -> Result<Self> {
        let mut planned = Planned {
            name,
            adapter,
            seed: adapter.seed().unwrap_or(model.seed),
            ranks: HashMap::new(),
            alphas: HashMap::new(),
            feedforward: HashSet::new(),
            orders: model.element_orders().unwrap_or_default(),
            inputs: 0,
        };
        match adapter {
            Adapter::Lora(lora) => {
                planned.ranks = first_picked(model, &lora.ranks)?;
                planned.alphas = first_picked(model, &lora.alphas)?;
                require_rate(lora.dropout)?;
                if !lora.alpha.is_finite() {
                    let detail = Detail::new("alpha", "a finite number", lora.alpha);
                    return Err(Error::Setting(detail));
                }
            }
            Adapter::Vera(vera) => require_rate(vera.dropout)?,
            Adapter::Ia3(ia3) => {
                if let Some(selector) = &ia3.feedforward {
                    let picked = model.picked(selector)?;
                    planned.feedforward = picked.iter().filter_map(first_of).collect();
                }
            }
        }
        Ok(planned)
    }

    /// What it does to the product of the layer at `path`, whose first weight is `first` and whose kernel has
    /// this value.
    fn update(
        &self,
        path: &str,
        first: VariableId,
        product: &Product,
        kernel: &Tensor,
    ) -> Result<Update> {
        let (form, values) = match self.adapter {
            Adapter::Lora(lora) => self.low_rank(lora, (path, first), product, kernel)?,
            Adapter::Vera(vera) => self.vera(vera, path, product)?,
            Adapter::Ia3(_) => self.scale(first, product),
        };
        Ok(Update {
            weight: product.kernel.name.clone(),
            form,
            values,
        })
    }

    fn low_rank(
        &self,
        lora: &Lora,
        (path, first): (&str, VariableId),
        product: &Product,
        kernel: &Tensor,
    ) -> Result<(Form, Vec<(Role, Tensor)>)> {
        let outputs = product.features().1;
        let rank = self.ranks.get(&first).copied().unwrap_or(lora.rank);
        if product.is_depthwise() {
            require_rank(rank, 1)?;
            let scale = Tensor::full([outputs], 1.0);
            return Ok((Form::ChannelScale, vec![(Role::Scale, scale)]));
        }
        let groups = product.groups();
        require_rank(rank, groups)?;
        let spec = &product.kernel;
        let axis = output_axis(spec);
        let mut shape = spec.shape.clone();
        shape[axis] = rank;
        let form = Form::LowRank {
            alpha: self.alphas.get(&first).copied().unwrap_or(lora.alpha),
            rslora: lora.rslora,
            dropout: lora.dropout,
        };
        let name = join(path, &form.name(self.name, &spec.name, Role::A));
        let looked_up = spec
            .axes
            .iter()
            .flatten()
            .any(|it| *it == WeightAxis::Entry);
        let (a, b) = match looked_up {
            // PEFT starts embeddings the other way round.
            true => {
                let normal = RandomNormal {
                    mean: 0.0,
                    stddev: 1.0,
                };
                (
                    Tensor::zeros(&shape),
                    self.drawn(&normal.into(), &[rank, outputs], &name)?,
                )
            }
            false => {
                let [outer, _, inner] = around(&spec.shape, axis);
                let bound = 1.0 / ((outer * inner) as f32).sqrt();
                let uniform = RandomUniform {
                    minval: -bound,
                    maxval: bound,
                };
                let b = Tensor::zeros([rank / groups, outputs]);
                (self.drawn(&uniform.into(), &shape, &name)?, b)
            }
        };
        let mut values = vec![(Role::A, a), (Role::B, b)];
        if lora.lora_bias {
            values.push((Role::Bias, Tensor::zeros([outputs])));
        }
        if lora.dora {
            values.push((Role::Magnitude, lengths(kernel, axis)));
        }
        Ok((form, values))
    }

    fn vera(
        &self,
        vera: &Vera,
        path: &str,
        product: &Product,
    ) -> Result<(Form, Vec<(Role, Tensor)>)> {
        require_rank(vera.rank, 1)?;
        let (inputs, outputs) = product.features();
        // A row of A for each input and a column of B for each output come from streams of their own, so that
        // layers share them whatever their sizes; as PyTorch counts inputs and outputs behind a flatten.
        let orders = self.orders.get(path);
        let place = |order: Option<&ElementOrder>, index: usize| match order {
            Some(ElementOrder::Row(row)) => row.there().get(index).copied().unwrap_or(index),
            _ => index,
        };
        let random = |count: usize, fan: usize, stream: u64, order: Option<&ElementOrder>| {
            let bound = (6.0 / fan as f32).sqrt();
            let mut values = vec![0.0_f32; count * vera.rank];
            for (index, row) in values.chunks_exact_mut(vera.rank).enumerate() {
                let key = Key::new(self.seed ^ stream, place(order, index) as u64);
                regraft_tensor::kernels::random::uniform(key, 0, row);
                row.iter_mut()
                    .for_each(|value| *value = bound * (2.0 * *value - 1.0));
            }
            values
        };
        let a = random(
            inputs,
            self.inputs,
            0x5645_5241_0000_000a,
            orders.map(|orders| &orders.input),
        );
        let columns = random(
            outputs,
            vera.rank,
            0x5645_5241_0000_000b,
            orders.map(|orders| &orders.output),
        );
        let mut b = vec![0.0; columns.len()];
        for (index, value) in columns.into_iter().enumerate() {
            b[index % vera.rank * outputs + index / vera.rank] = value;
        }
        let tensor = |shape: [usize; 2], values| Tensor::new(shape, values).map_err(setting);
        let values = vec![
            (Role::A, tensor([inputs, vera.rank], a)?),
            (Role::B, tensor([vera.rank, outputs], b)?),
            (Role::LambdaD, Tensor::full([vera.rank], vera.d_initial)),
            (Role::LambdaB, Tensor::zeros([outputs])),
        ];
        let dropout = vera.dropout;
        Ok((Form::Vera { dropout }, values))
    }

    fn scale(&self, first: VariableId, product: &Product) -> (Form, Vec<(Role, Tensor)>) {
        let (inputs, outputs) = product.features();
        let (form, count) = match self.feedforward.contains(&first) {
            true => (Form::InputScale, inputs),
            // The channels in the middle of a separable convolution have no bias.
            false if product.kernel.name == "depthwise_kernel" => (Form::ChannelScale, outputs),
            false => (Form::OutputScale, outputs),
        };
        (form, vec![(Role::Scale, Tensor::full([count], 1.0))])
    }

    /// Random numbers, the same for the same seed and name.
    fn drawn(&self, initializer: &Initializer, shape: &[usize], name: &str) -> Result<Tensor> {
        let mut stream: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in name.bytes() {
            stream = (stream ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let key = Key::new(self.seed, stream);
        let function: &dyn InitializerFunction = initializer.get().map_err(Error::Setting)?;
        function.initialize(shape, key).map_err(Error::Setting)
    }
}

fn setting(error: regraft_tensor::Error) -> Error {
    Error::Setting(Detail::from(error))
}

/// For each layer that any of the selectors picks what stands beside the first that does.
fn first_picked<T: Copy>(model: &Model, given: &[(Selector, T)]) -> Result<HashMap<VariableId, T>> {
    let mut all = HashMap::new();
    for (selector, value) in given {
        for first in model.picked(selector)?.iter().filter_map(first_of) {
            all.entry(first).or_insert(*value);
        }
    }
    Ok(all)
}

/// The first weight of a layer, by which it is known wherever it stands.
fn first_of(layer: &Picked) -> Option<VariableId> {
    layer.weights.first().map(|(id, _)| *id)
}

/// The length of the kernel of each output.
pub(crate) fn lengths(kernel: &Tensor, axis: usize) -> Tensor {
    let [_, outputs, inner] = around(kernel.shape(), axis);
    let mut squares = vec![0.0_f64; outputs];
    for (index, value) in kernel.as_slice().iter().enumerate() {
        squares[index / inner % outputs] += f64::from(*value) * f64::from(*value);
    }
    let lengths = squares.iter().map(|square| square.sqrt() as f32);
    Tensor::new([outputs], lengths.collect()).expect("one for each output")
}
