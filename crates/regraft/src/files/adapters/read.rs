//! From PEFT's tensors to an adapter of a model.

use std::collections::{BTreeMap, HashMap};

use regraft_io::TensorData;
use regraft_io::peft::PeftFolder;
use regraft_layers::adapters::{
    AdaptedLayer, Adapter, AdapterState, Bias, Form, Ia3, Lora, Role, Update, Vera,
};
use regraft_layers::{LayerOrders, Model as Network, Place, Weight, WeightAxis, near};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use super::{BASE, config, require_base, torch};
use crate::files::layout::{Layout, converted};
use crate::{Error, Result};

/// What every name of a tensor begins with.
const PREFIX: &str = "base_model.model.";

fn file(at: &str, expected: &str, received: impl std::fmt::Display) -> Error {
    Error::File(Detail::new(at, expected, received))
}

/// The tensors of one module, by what is behind its name.
type Parts<'f> = BTreeMap<&'f str, Part<'f>>;

/// A tensor with its name in the file.
type Part<'f> = (&'f str, &'f TensorData);

/// The module that a tensor belongs to, and which part of it the tensor is.
fn split(name: &str) -> Option<(&str, &str)> {
    const PARTS: [&str; 16] = [
        "lora_A.weight",
        "lora_B.weight",
        "lora_B.bias",
        "lora_magnitude_vector",
        "lora_magnitude_vector.weight",
        "lora_embedding_A",
        "lora_embedding_B",
        "lora_A",
        "lora_B",
        "lora_E",
        "vera_lambda_b",
        "vera_lambda_d",
        "ia3_l",
        "base_layer.bias",
        "base_layer.weight",
        "bias",
    ];
    let found = PARTS.into_iter().find_map(|part| {
        let module = name.strip_suffix(part)?.strip_suffix('.')?;
        Some((module, &name[module.len() + 1..]))
    });
    found.or_else(|| name.rsplit_once('.'))
}

/// What counts when an adapter is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether it may be one of another base.
    pub any_base: bool,
    /// Whether its factors dilate as the convolutions beside them do; PEFT's do not.
    pub dilates: bool,
}

/// The adapter of a folder, for this model.
pub(super) fn state_of(model: &Network, folder: &PeftFolder, rules: Rules) -> Result<AdapterState> {
    let settings = &folder.config;
    config::check(settings)?;
    let kind = config::kind(settings);
    if !["LORA", "ADALORA", "VERA", "IA3"].contains(&kind) {
        let expected = "LORA, ADALORA, VERA or IA3";
        return Err(file("adapter_config.json: peft_type", expected, kind));
    }
    let mut modules: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    let mut shared: HashMap<&str, &TensorData> = HashMap::new();
    for (name, tensor) in &folder.tensors {
        if let Some(name) = name.strip_prefix("base_model.vera_") {
            shared.insert(name, tensor);
            continue;
        }
        let inner = name.strip_prefix(PREFIX);
        let found = inner.and_then(split);
        let Some((module, part)) = found else {
            let expected = "names that begin with `base_model.model.` and end with a weight";
            return Err(file(name, expected, "another"));
        };
        modules
            .entry(module)
            .or_default()
            .insert(part, (name, tensor));
    }
    let orders = model.element_orders();
    let mut layers = Vec::new();
    let places = model.places();
    let held: Vec<&str> = modules.keys().copied().collect();
    for (module, parts) in modules {
        // Of a layer that stands in several places, the first.
        let mut named = places.iter().filter(|place| place.module == module);
        let place = named.find(|place| !place.weights.is_empty() && !place.is_repeated);
        let Some(place) = place else {
            let with_weights = places.iter().filter(|place| !place.weights.is_empty());
            let names: Vec<&str> = with_weights.map(|place| place.module.as_str()).collect();
            let detail = Detail::new(module, "a module that a layer of the model is", "none");
            let help = near(module, names);
            let help = format!("{help}; `set_module_names` says what layers are called there");
            return Err(Error::File(detail.help(help)));
        };
        let reading = Reading {
            model,
            folder,
            rules,
            place,
            module,
            orders: match &orders {
                Ok(orders) => orders.get(&place.path),
                Err(reason) => {
                    let expected = "a model that is the same network with the channels first";
                    return Err(file(module, expected, reason));
                }
            },
        };
        layers.push(reading.layer(parts, &shared)?);
    }
    require_all(settings, &held, &places)?;
    let theirs = folder.metadata.get(BASE).filter(|_| !rules.any_base);
    require_base(model, "adapter_model.safetensors", theirs, &layers)?;
    let number = |key: &str| settings.get(key).and_then(Value::as_f64);
    let rank = number("r").unwrap_or(8.0) as usize;
    let biases = match settings.get("bias").and_then(Value::as_str) {
        Some("all") => Bias::All,
        Some("lora_only" | "vera_only") => Bias::LoraOnly,
        _ => Bias::None,
    };
    let adapter: Adapter = match kind {
        "VERA" => Vera::rank(rank).bias(biases).into(),
        "IA3" => Ia3::new().into(),
        _ => Lora::rank(rank).bias(biases).into(),
    };
    Ok(AdapterState {
        adapter,
        layers,
        // An AdaLoRA is one no more.
        metadata: match kind {
            "ADALORA" => serde_json::Map::new(),
            _ => settings.clone(),
        },
    })
}

/// An error if the settings tell of a module that the model has and the file has no tensors of. Names that no
/// module has are none: PEFT lists some itself.
fn require_all(settings: &Map<String, Value>, held: &[&str], places: &[Place<'_>]) -> Result<()> {
    let is_set = |key: &str| match settings.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(values)) => !values.is_empty(),
        Some(_) => true,
    };
    let narrowed = ["exclude_modules", "layers_to_transform"]
        .into_iter()
        .any(is_set);
    type Means = fn(&str, &str) -> bool;
    let kinds: [(&str, Means); 2] = [
        ("target_modules", config::is_target),
        ("modules_to_save", config::is_saved),
    ];
    for (key, means) in kinds {
        let entries = settings.get(key).and_then(Value::as_array);
        for entry in entries.into_iter().flatten().filter_map(Value::as_str) {
            let here = places.iter().filter(|place| !place.weights.is_empty());
            let here = here.filter(|place| means(entry, &place.module)).count();
            let there = held.iter().any(|module| means(entry, module));
            if here > 0 && !there && !(narrowed && key == "target_modules") {
                let at = format!("adapter_config.json: {key}");
                let expected = format!("tensors of the module {entry:?}");
                return Err(file(&at, &expected, "none"));
            }
        }
    }
    Ok(())
}

/// One module of a folder on its way to the layer that it is.
struct Reading<'a> {
    model: &'a Network,
    folder: &'a PeftFolder,
    rules: Rules,
    place: &'a Place<'a>,
    module: &'a str,
    orders: Option<&'a LayerOrders>,
}

impl<'a> Reading<'a> {
    fn own(&self) -> impl Iterator<Item = &'a Weight> {
        self.place.weights_in(self.model)
    }

    /// The weight that the module calls `weight`.
    fn kernel(&self) -> Result<&'a Weight> {
        let mut own = self.own();
        own.find(|it| matches!(it.name(), "kernel" | "embeddings"))
            .ok_or_else(|| file(self.module, "a layer with a kernel", self.place.class_name))
    }

    fn layer(
        &self,
        mut parts: Parts<'_>,
        shared: &HashMap<&str, &TensorData>,
    ) -> Result<AdaptedLayer> {
        let mut layer = AdaptedLayer::new(&self.place.path);
        if let Some(update) = self.update(&mut parts, shared)? {
            layer.updates.push(update);
        }
        // What is left is of the layer itself: of a module that was saved as a whole, or biases.
        let whole = layer.updates.is_empty() && parts.keys().any(|part| *part != "bias");
        for (part, (name, tensor)) in parts {
            if Layout::PyTorch.ignores(part) {
                continue;
            }
            let theirs = part.strip_prefix("base_layer.").unwrap_or(part);
            let class = self.place.class_name;
            let mut own = self.own();
            let weight = own.find(|it| Layout::PyTorch.names(class, it.name()).contains(&theirs));
            let Some(weight) = weight else {
                let names: Vec<&str> = self.own().map(Weight::name).collect();
                let expected = format!("a weight of {} ({})", self.place.path, names.join(", "));
                return Err(file(name, &expected, part));
            };
            let axes = weight.spec().axes.as_deref();
            let value = self.converted(name, axes, weight.value().shape(), self.orders, tensor)?;
            if layer.replaced.iter().any(|(own, _)| own == weight.name()) {
                let expected = format!("one value of {}", weight.path());
                return Err(file(name, &expected, "another"));
            }
            layer.replaced.push((weight.name().to_string(), value));
        }
        // A whole module may have a bias alone in `bias: all`, which is not told from one that has no more.
        layer.whole = whole;
        let missing = self
            .own()
            .find(|it| !layer.replaced.iter().any(|(own, _)| own == it.name()));
        if let (true, Some(missing)) = (whole, missing) {
            let expected = format!("all weights of the module, {:?} too", missing.path());
            return Err(file(self.module, &expected, "a part of them"));
        }
        Ok(layer)
    }

    fn converted(
        &self,
        name: &str,
        axes: Option<&[WeightAxis]>,
        shape: &[usize],
        orders: Option<&LayerOrders>,
        tensor: &TensorData,
    ) -> Result<Tensor> {
        self.converted_tensor(name, axes, shape, orders, tensor.to_tensor()?)
    }

    fn converted_tensor(
        &self,
        name: &str,
        axes: Option<&[WeightAxis]>,
        shape: &[usize],
        orders: Option<&LayerOrders>,
        tensor: Tensor,
    ) -> Result<Tensor> {
        let theirs = tensor.shape().to_vec();
        let class = self.place.class_name;
        let (value, _) = converted(class, axes, shape, orders, tensor)
            .map_err(|reason| file(name, "a weight that can be converted", reason))?;
        match value.shape() == shape {
            true => Ok(value),
            false => {
                let expected = format!("{shape:?} for {}, once converted", self.place.path);
                Err(file(name, &expected, format!("{theirs:?}")))
            }
        }
    }

    /// What the module's tensors do to its product, taken from `parts`.
    fn update(
        &self,
        parts: &mut Parts<'_>,
        shared: &HashMap<&str, &TensorData>,
    ) -> Result<Option<Update>> {
        let settings = &self.folder.config;
        let mut take = |part: &str| parts.remove(part);
        if let Some((name, tensor)) = take("ia3_l") {
            return Ok(Some(self.scale(name, tensor)?));
        }
        let lambda = (take("vera_lambda_b"), take("vera_lambda_d"));
        if lambda.0.is_some() || lambda.1.is_some() {
            return Ok(Some(self.vera(lambda, shared)?));
        }
        let embedding = (take("lora_embedding_A"), take("lora_embedding_B"));
        let bare = (take("lora_A"), take("lora_B"));
        let singular = take("lora_E");
        let a = take("lora_A.weight").or(embedding.0).or(bare.0);
        let b = take("lora_B.weight").or(embedding.1).or(bare.1);
        let bias = take("lora_B.bias");
        let magnitude = take("lora_magnitude_vector").or(take("lora_magnitude_vector.weight"));
        let ((a_name, a), (b_name, b)) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (None, None) if bias.is_none() && magnitude.is_none() => return Ok(None),
            (a, _) => {
                let missing = if a.is_some() { "lora_B" } else { "lora_A" };
                let expected = format!("both factors, {missing} too");
                return Err(file(self.module, &expected, "one"));
            }
        };
        if bare.0.is_some() && singular.is_none() {
            let expected = "`lora_A.weight`, or `lora_E` beside `lora_A`";
            let received = "factors as loralib has them, which divide a convolution otherwise";
            return Err(file(a_name, expected, received));
        }
        let kernel = self.kernel()?;
        let axes = kernel.spec().axes.as_deref().unwrap_or_default();
        let (a, b) = (a.to_tensor()?, b.to_tensor()?);
        let rank = a.shape().first().copied().unwrap_or(0);
        if rank == 0 && singular.is_some() {
            // AdaLoRA has taken away all that the module had.
            return Ok(None);
        }
        for (name, factor) in [(a_name, &a), (b_name, &b)] {
            if factor.is_empty() {
                let expected = "factors of a rank of at least 1";
                return Err(file(name, expected, format!("{:?}", factor.shape())));
            }
        }
        if !self.rules.dilates {
            torch::refuse_dilated(self.model, self.place, kernel)?;
        }
        let looked_up = axes.first() == Some(&WeightAxis::Entry);
        let outputs = kernel.value().shape().last().copied().unwrap_or(0);
        let [a_orders, b_orders] = torch::halves(self.orders);
        let output_at = axes.iter().position(|axis| *axis == WeightAxis::Output);
        let input_at = axes.iter().position(|axis| *axis == WeightAxis::Input);
        let depthwise = axes.contains(&WeightAxis::Channel);
        let Some(output_at) = output_at.filter(|_| !depthwise) else {
            let expected = "a layer whose product mixes channels";
            return Err(file(a_name, expected, self.place.class_name));
        };
        let mut shape = kernel.value().shape().to_vec();
        shape[output_at] = rank;
        if let (Some(input), Some(channels)) = (input_at, a.shape().get(1)) {
            // PEFT's factors see all channels, whatever the groups.
            let of_layer = shape[input];
            shape[input] = match channels.is_multiple_of(of_layer.max(1)) {
                true => *channels,
                false => of_layer,
            };
        }
        let mut a = match looked_up {
            true => self.transposed(a_name, a)?,
            false => self.converted_tensor(a_name, Some(axes), &shape, a_orders.as_ref(), a)?,
        };
        let of_group = b.shape().get(1).copied().unwrap_or(0);
        let outputs = match looked_up {
            true => outputs,
            false => kernel.value().shape()[output_at],
        };
        let flat = match outputs.checked_mul(of_group) == Some(b.len()) {
            true => b.reshape([outputs, of_group]),
            false => Ok(b),
        };
        let flat = flat.map_err(|error| file(b_name, "a matrix", error))?;
        let wanted = [of_group, outputs];
        let b = self.converted_tensor(b_name, Some(&torch::B), &wanted, b_orders.as_ref(), flat)?;
        let alpha = config::number_of(settings, "alpha_pattern", "lora_alpha", self.module)?;
        let mut form_alpha = alpha;
        if let Some((name, singular)) = singular {
            let singular = singular.to_tensor()?;
            if singular.len() != rank {
                let expected = format!("{rank} numbers");
                return Err(file(name, &expected, format!("{:?}", singular.shape())));
            }
            // PEFT divides by the rank and a little more.
            let less = rank as f32 / (rank as f32 + 1e-5);
            for (at, value) in a.as_mut_slice().iter_mut().enumerate() {
                *value *= singular.as_slice()[at % rank] * less;
            }
            if alpha <= 0.0 {
                form_alpha = rank as f32;
            }
        }
        let mut values = vec![(Role::A, a), (Role::B, b)];
        let mut row = |role, part: Option<Part<'_>>| -> Result<()> {
            if let Some((name, tensor)) = part {
                let row = self.row(name, tensor, outputs)?;
                values.push((role, row));
            }
            Ok(())
        };
        row(Role::Bias, bias)?;
        row(Role::Magnitude, magnitude)?;
        let with_magnitude = values.iter().any(|(role, _)| *role == Role::Magnitude);
        if config::is_on(settings, "use_dora") != with_magnitude {
            let expected = "`lora_magnitude_vector` where `use_dora` is on, and there alone";
            return Err(file(self.module, expected, "other tensors"));
        }
        let dropout = settings
            .get("lora_dropout")
            .and_then(Value::as_f64)
            .unwrap_or(0.0);
        Ok(Some(Update {
            weight: kernel.name().to_string(),
            form: Form::LowRank {
                alpha: form_alpha,
                rslora: config::is_on(settings, "use_rslora"),
                dropout: dropout as f32,
            },
            values,
        }))
    }

    /// A number for each output.
    fn row(&self, name: &str, tensor: &TensorData, outputs: usize) -> Result<Tensor> {
        let tensor = tensor.to_tensor()?;
        if tensor.len() != outputs {
            let expected = format!("{outputs} numbers");
            return Err(file(name, &expected, format!("{:?}", tensor.shape())));
        }
        let [_, orders] = torch::halves(self.orders);
        let row = tensor.reshape([outputs]);
        let row = row.map_err(|error| file(name, "a row", error))?;
        let axes = [WeightAxis::Output];
        self.converted_tensor(name, Some(&axes), &[outputs], orders.as_ref(), row)
    }

    fn transposed(&self, name: &str, tensor: Tensor) -> Result<Tensor> {
        let shape = match *tensor.shape() {
            [rows, columns] => [columns, rows],
            _ => return Err(file(name, "a matrix", format!("{:?}", tensor.shape()))),
        };
        self.converted_tensor(name, Some(&torch::B), &shape, None, tensor)
    }

    fn scale(&self, name: &str, tensor: &TensorData) -> Result<Update> {
        let kernel = self.kernel()?;
        let shape = tensor.shape();
        let dense = kernel.value().ndim() == 2;
        // (outputs, 1) and (1, inputs) of a matrix; of a convolution the settings tell.
        let of_input = match (dense, shape) {
            (true, [1, inputs]) => *inputs != 1 || kernel.value().shape()[1] != 1,
            (true, _) => false,
            (false, _) => {
                let modules = self.folder.config.get("feedforward_modules");
                config::are_meant(modules, self.module)?
            }
        };
        let scale = tensor.to_tensor()?;
        let scale = match of_input {
            false => self.row(name, tensor, tensor.len())?,
            true => {
                let count = scale.len();
                let row = scale.reshape([1, count]);
                let row = row.map_err(|error| file(name, "a row", error))?;
                let axes = [WeightAxis::Input, WeightAxis::Output];
                let [orders, _] = torch::halves(self.orders);
                let wanted = [count, 1];
                let column =
                    self.converted_tensor(name, Some(&axes), &wanted, orders.as_ref(), row)?;
                column
                    .reshape([count])
                    .map_err(|error| file(name, "a row", error))?
            }
        };
        Ok(Update {
            weight: kernel.name().to_string(),
            form: match of_input {
                true => Form::InputScale,
                false => Form::OutputScale,
            },
            values: vec![(Role::Scale, scale)],
        })
    }

    fn vera(
        &self,
        lambda: (Option<Part<'_>>, Option<Part<'_>>),
        shared: &HashMap<&str, &TensorData>,
    ) -> Result<Update> {
        let (Some((b_name, lambda_b)), Some((_, lambda_d))) = lambda else {
            let expected = "both `vera_lambda_b` and `vera_lambda_d`";
            return Err(file(self.module, expected, "one"));
        };
        let (Some(a), Some(b)) = (shared.get("A"), shared.get("B")) else {
            let expected = "`base_model.vera_A` and `base_model.vera_B`";
            let detail = Detail::new(self.module, expected, "an adapter without them");
            let help = "save it in PEFT with `save_projection=True`: the matrices are random numbers of PyTorch";
            return Err(Error::File(detail.help(help)));
        };
        let kernel = self.kernel()?;
        let &[inputs, outputs] = kernel.value().shape() else {
            return Err(file(self.module, "a dense layer", self.place.class_name));
        };
        let (a, b) = (a.to_tensor()?, b.to_tensor()?);
        let (&[rank, columns], &[rows, of_b]) = (a.shape(), b.shape()) else {
            return Err(file(
                "base_model.vera_A",
                "matrices",
                format!("{:?}", a.shape()),
            ));
        };
        if columns < inputs || rows < outputs || of_b != rank || rank == 0 {
            let expected = format!("matrices for {inputs} inputs and {outputs} outputs");
            let received = format!("{:?} and {:?}", a.shape(), b.shape());
            return Err(file("base_model.vera_A", &expected, received));
        }
        let part = |tensor: &Tensor, rows: usize, columns: usize| {
            let width = tensor.shape()[1];
            let lines = tensor.as_slice().chunks_exact(width).take(rows);
            let values: Vec<f32> = lines.flat_map(|line| line[..columns].to_vec()).collect();
            Tensor::new([rows, columns], values).expect("as many as these rows have")
        };
        let [a_orders, b_orders] = torch::halves(self.orders);
        let axes = Some(&torch::B[..]);
        let a = part(&a, rank, inputs);
        let a = self.converted_tensor(
            "base_model.vera_A",
            axes,
            &[inputs, rank],
            a_orders.as_ref(),
            a,
        )?;
        let b = part(&b, outputs, rank);
        let b = self.converted_tensor(
            "base_model.vera_B",
            axes,
            &[rank, outputs],
            b_orders.as_ref(),
            b,
        )?;
        let dropout = self
            .folder
            .config
            .get("vera_dropout")
            .and_then(Value::as_f64);
        Ok(Update {
            weight: kernel.name().to_string(),
            form: Form::Vera {
                dropout: dropout.unwrap_or(0.0) as f32,
            },
            values: vec![
                (Role::A, a),
                (Role::B, b),
                (Role::LambdaD, lambda_d.to_tensor()?),
                (Role::LambdaB, self.row(b_name, lambda_b, outputs)?),
            ],
        })
    }
}
