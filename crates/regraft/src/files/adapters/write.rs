//! From an adapter of a model to PEFT's tensors and settings.

use std::collections::{BTreeMap, HashMap};

use regraft_io::TensorData;
use regraft_io::peft::PeftFolder;
use regraft_layers::adapters::{AdaptedLayer, AdapterState, Bias, Form, Role, Update};
use regraft_layers::{LayerOrders, Model as Network, Place, Weight, WeightAxis};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::{BASE, base_hash, config, torch};
use crate::files::layout::Layout;
use crate::{Error, Result};

fn file(at: &str, expected: &str, received: impl std::fmt::Display) -> Error {
    Error::File(Detail::new(at, expected, received))
}

/// What is gathered while layers are written.
#[derive(Default)]
struct Written {
    tensors: Vec<(String, TensorData)>,
    /// Modules with factors or scales, with rank and alpha if they have these.
    targets: Vec<(String, Option<(usize, f32)>)>,
    modules_to_save: Vec<String>,
    feedforward: Vec<String>,
    rslora: bool,
    dora: bool,
    lora_bias: bool,
    dropout: f32,
    /// The largest matrices of a VeRA, which all layers have parts of.
    vera: [Option<Tensor>; 2],
}

/// The folder of an adapter of this model.
pub(super) fn folder_of(model: &Network, state: &AdapterState) -> Result<PeftFolder> {
    let places = model.places();
    let orders = model.element_orders().map_err(|reason| {
        let expected = "a model that is the same network with the channels first";
        file("save_adapter", expected, reason)
    })?;
    let mut written = Written::default();
    for layer in &state.layers {
        let place = places.iter().find(|place| place.path == layer.path);
        let place = place.expect("a layer of the model");
        let writing = Writing {
            model,
            place,
            orders: orders.get(&place.path),
        };
        writing.layer(layer, &mut written)?;
    }
    for (target, _) in &written.targets {
        let mut saved = written.modules_to_save.iter();
        let inner = format!(".{target}.");
        // PEFT takes a saved module's name for the end of others', too, and adapts nothing within one.
        let clash = saved.find(|saved| {
            target.ends_with(saved.as_str()) || inner.contains(&format!(".{saved}."))
        });
        if let Some(saved) = clash {
            let expected =
                format!("a module whose name PEFT tells from {saved:?}, saved as a whole");
            let detail = Detail::new("save_adapter", expected, format!("{target:?}"));
            let help = "`set_module_names` gives layers other names";
            return Err(Error::File(detail.help(help)));
        }
    }
    let forms = state.layers.iter().flat_map(|layer| &layer.updates);
    let kind = forms.fold("LORA", |kind, update| match update.form {
        Form::Vera { .. } => "VERA",
        Form::OutputScale | Form::InputScale => "IA3",
        _ => kind,
    });
    for (letter, matrix) in ["A", "B"].into_iter().zip(&written.vera) {
        if let Some(matrix) = matrix {
            let name = format!("base_model.vera_{letter}");
            written.tensors.push((name, matrix.clone().into()));
        }
    }
    let is_adapted = |update: &Update| update.form != Form::ChannelScale;
    let adapted = state.layers.iter();
    let adapted = adapted.filter(|layer| layer.updates.iter().any(is_adapted));
    let base = base_hash(model, adapted.map(|layer| layer.path.as_str()));
    Ok(PeftFolder {
        config: settings(kind, state, &written, &places)?,
        tensors: written.tensors,
        metadata: BTreeMap::from([
            ("format".to_string(), "pt".to_string()),
            (BASE.to_string(), base),
        ]),
    })
}

/// One layer on its way into a folder.
struct Writing<'a> {
    model: &'a Network,
    place: &'a Place<'a>,
    orders: Option<&'a LayerOrders>,
}

impl<'a> Writing<'a> {
    fn own(&self) -> impl Iterator<Item = &'a Weight> {
        self.place.weights_in(self.model)
    }

    fn name(&self, part: &str) -> String {
        format!("base_model.model.{}.{part}", self.place.module)
    }

    fn exported(
        &self,
        axes: Option<&[WeightAxis]>,
        orders: Option<&LayerOrders>,
        value: &Tensor,
    ) -> Result<Tensor> {
        torch::exported(self.place.class_name, axes, orders, value).map_err(|reason| {
            file(
                &self.place.path,
                "a weight that PyTorch has a place for",
                reason,
            )
        })
    }

    fn layer(&self, layer: &AdaptedLayer, written: &mut Written) -> Result<()> {
        let module = self.place.module.clone();
        let mut replaced: HashMap<&str, Tensor> = HashMap::new();
        let copies = layer.replaced.iter();
        replaced.extend(copies.map(|(name, value)| (name.as_str(), value.clone())));
        let mut whole = layer.whole;
        for update in &layer.updates {
            if update.form == Form::ChannelScale {
                // PEFT has no factors of channels in a LoRA, but modules that are saved as a whole.
                let own = self.own().find(|it| it.name() == update.weight);
                let mut kernel = own.expect("a weight of the layer").value().clone();
                let scale = update
                    .value(Role::Scale)
                    .expect("its only value")
                    .as_slice();
                for (at, value) in kernel.as_mut_slice().iter_mut().enumerate() {
                    *value *= scale[at % scale.len()];
                }
                for own in self.own() {
                    let value = || own.value().clone();
                    replaced.entry(own.name()).or_insert_with(value);
                }
                replaced.insert(update.weight.as_str(), kernel);
                whole = true;
                continue;
            }
            self.update(update, written)?;
        }
        if whole
            && layer
                .updates
                .iter()
                .any(|update| update.form != Form::ChannelScale)
        {
            let expected = "a layer whose parts PyTorch has as one module";
            return Err(file(&self.place.path, expected, self.place.class_name));
        }
        if whole {
            written.modules_to_save.push(module);
        }
        let adapted = !whole && !layer.updates.is_empty();
        for own in self.own() {
            let Some(value) = replaced.get(own.name()) else {
                continue;
            };
            let axes = own.spec().axes.as_deref();
            let value = self.exported(axes, self.orders, value)?;
            let names = Layout::PyTorch.names(self.place.class_name, own.name());
            let theirs = names.last().copied().unwrap_or(own.name());
            let part = match adapted {
                true => format!("base_layer.{theirs}"),
                false => theirs.to_string(),
            };
            written.tensors.push((self.name(&part), value.into()));
            if theirs == "running_mean" {
                let count = TensorData::scalar(0_i64);
                written
                    .tensors
                    .push((self.name("num_batches_tracked"), count));
            }
        }
        Ok(())
    }

    fn update(&self, update: &Update, written: &mut Written) -> Result<()> {
        let own = self.own().find(|it| it.name() == update.weight);
        let kernel = own.expect("a weight of the layer");
        let module = self.place.module.clone();
        if !matches!(kernel.name(), "kernel" | "embeddings") {
            let expected = "a layer whose parts PyTorch has as one module";
            return Err(file(&self.place.path, expected, self.place.class_name));
        }
        let axes = kernel.spec().axes.as_deref();
        let Some(of_kernel) = axes else {
            let expected = "a layer that says what the axes of its kernel mean";
            return Err(file(&self.place.path, expected, self.place.class_name));
        };
        let shape = kernel.value().shape();
        let [a_orders, b_orders] = torch::halves(self.orders);
        let value = |role| update.value(role).expect("checked when it was attached");
        let spaces = of_kernel
            .iter()
            .filter(|axis| **axis == WeightAxis::Space)
            .count();
        // `(1, n, 1, …)` of a convolution.
        let row = |role, before: bool| -> Result<Tensor> {
            let row = value(role);
            let row = self.exported(Some(&[WeightAxis::Output]), b_orders.as_ref(), row)?;
            let mut shape = vec![row.len()];
            if before && spaces > 0 {
                shape.insert(0, 1);
                shape.extend(vec![1; spaces]);
            }
            Ok(row.reshape(&shape).expect("as many elements"))
        };
        let at = |wanted| of_kernel.iter().position(|axis| *axis == wanted);
        let transposed = spaces > 0 && at(WeightAxis::Output) < at(WeightAxis::Input);
        let looked_up = of_kernel.first() == Some(&WeightAxis::Entry);
        let received = match update.form {
            _ if transposed => Some("a transposed convolution"),
            Form::OutputScale | Form::InputScale if looked_up => Some("scales of an embedding"),
            Form::OutputScale | Form::InputScale if spaces == 1 => Some("scales of a `Conv1D`"),
            _ => None,
        };
        if let Some(received) = received {
            let expected = "what PEFT has a place for";
            return Err(file(&self.place.path, expected, received));
        }
        if let Form::LowRank { .. } = update.form {
            torch::refuse_dilated(self.model, self.place, kernel)?;
        }
        let mut put = |part: &str, tensor: Tensor| {
            written.tensors.push((self.name(part), tensor.into()));
        };
        match update.form {
            Form::LowRank {
                alpha,
                rslora,
                dropout,
            } => {
                let (a, b) = (value(Role::A), value(Role::B));
                let output_at = of_kernel
                    .iter()
                    .position(|axis| *axis == WeightAxis::Output);
                let rank = a.shape()[output_at.unwrap_or(shape.len() - 1)];
                if looked_up {
                    put("lora_embedding_A", self.exported(Some(&torch::B), None, a)?);
                    let b = self.exported(Some(&torch::B), b_orders.as_ref(), b)?;
                    put("lora_embedding_B", b);
                } else {
                    let groups = rank / b.shape()[0].max(1);
                    let whole = over_all_channels(a, of_kernel, shape, groups);
                    put(
                        "lora_A.weight",
                        self.exported(axes, a_orders.as_ref(), &whole)?,
                    );
                    let b = self.exported(Some(&torch::B), b_orders.as_ref(), b)?;
                    let mut shape = b.shape().to_vec();
                    shape.extend(vec![1; spaces]);
                    put(
                        "lora_B.weight",
                        b.reshape(&shape).expect("as many elements"),
                    );
                }
                if update.value(Role::Bias).is_some() {
                    put("lora_B.bias", row(Role::Bias, false)?);
                    written.lora_bias = true;
                }
                if update.value(Role::Magnitude).is_some() {
                    let row = row(Role::Magnitude, true)?;
                    let name = self.name("lora_magnitude_vector");
                    written.tensors.push((name, row.into()));
                    written.dora = true;
                }
                written.rslora |= rslora;
                written.dropout = dropout;
                written.targets.push((module, Some((rank, alpha))));
            }
            Form::Vera { dropout } => {
                put("vera_lambda_b", row(Role::LambdaB, false)?);
                put("vera_lambda_d", value(Role::LambdaD).clone());
                let rank = value(Role::LambdaD).len();
                let matrices = [(Role::A, a_orders.as_ref()), (Role::B, b_orders.as_ref())];
                for (at, (role, orders)) in matrices.into_iter().enumerate() {
                    let matrix = self.exported(Some(&torch::B), orders, value(role))?;
                    let largest = &mut written.vera[at];
                    if largest.as_ref().is_none_or(|it| it.len() < matrix.len()) {
                        *largest = Some(matrix);
                    }
                }
                written.dropout = dropout;
                written.targets.push((module, Some((rank, 0.0))));
            }
            Form::OutputScale | Form::InputScale => {
                let scale = match update.form {
                    Form::OutputScale => {
                        let scale = row(Role::Scale, true)?;
                        let count = scale.len();
                        match spaces {
                            0 => scale.reshape([count, 1]).expect("as many elements"),
                            _ => scale,
                        }
                    }
                    _ => {
                        let scale = value(Role::Scale).clone();
                        let count = scale.len();
                        let column = scale.reshape([count, 1]).expect("as many elements");
                        let axes = [WeightAxis::Input, WeightAxis::Output];
                        let row = self.exported(Some(&axes), a_orders.as_ref(), &column)?;
                        let mut shape = vec![1, count];
                        shape.extend(vec![1; spaces]);
                        written.feedforward.push(module.clone());
                        row.reshape(&shape).expect("as many elements")
                    }
                };
                written.tensors.push((self.name("ia3_l"), scale.into()));
                written.targets.push((module, None));
            }
            _ => {
                let received = format!("{:?}", update.form);
                return Err(file(
                    &self.place.path,
                    "what PEFT has a place for",
                    received,
                ));
            }
        }
        Ok(())
    }
}

/// A factor of each group's channels as one of all channels, 0 where they are of another group.
fn over_all_channels(a: &Tensor, axes: &[WeightAxis], kernel: &[usize], groups: usize) -> Tensor {
    let input = axes.iter().position(|axis| *axis == WeightAxis::Input);
    let Some(input) = input.filter(|&input| groups > 1 && a.shape()[input] == kernel[input]) else {
        return a.clone();
    };
    // Of a kernel of groups the input's axis stands before the last, the output's.
    let (of_group, rank) = (a.shape()[input], a.shape()[input + 1]);
    let per_group = rank / groups;
    let mut shape = a.shape().to_vec();
    shape[input] = of_group * groups;
    let mut values = vec![0.0; a.len() * groups];
    for (at, value) in a.as_slice().iter().enumerate() {
        let (index, channel) = (at % rank, at / rank % of_group);
        let cell = at / rank / of_group;
        let channel = index / per_group * of_group + channel;
        values[(cell * of_group * groups + channel) * rank + index] = *value;
    }
    Tensor::new(shape, values).expect("as many elements as the sizes say")
}

/// `adapter_config.json`.
fn settings(
    kind: &str,
    state: &AdapterState,
    written: &Written,
    places: &[Place<'_>],
) -> Result<Map<String, Value>> {
    // What was read is written as it was read, unless modules are called otherwise now.
    let same_kind = config::kind(&state.metadata) == kind;
    if same_kind && says(&state.metadata, written).unwrap_or(false) {
        return Ok(state.metadata.clone());
    }
    let mut config = config::defaults(kind);
    if same_kind {
        const OF_MODULES: [&str; 9] = [
            "alpha_pattern",
            "exclude_modules",
            "feedforward_modules",
            "layers_pattern",
            "layers_to_transform",
            "modules_to_save",
            "r",
            "rank_pattern",
            "target_modules",
        ];
        let others = state.metadata.iter();
        let others = others.filter(|(key, _)| !OF_MODULES.contains(&key.as_str()));
        config.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }
    let modules: Vec<&str> = places.iter().map(|place| place.module.as_str()).collect();
    let targets: Vec<&str> = written
        .targets
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    config.insert(
        "target_modules".into(),
        names(&targets, &modules, config::is_target),
    );
    if !written.modules_to_save.is_empty() {
        config.insert("modules_to_save".into(), json!(written.modules_to_save));
    }
    match kind {
        "IA3" => {
            let feedforward: Vec<&str> = written.feedforward.iter().map(String::as_str).collect();
            config.insert(
                "feedforward_modules".into(),
                names(&feedforward, &modules, str_ends),
            );
        }
        _ => {
            let ranks = written
                .targets
                .iter()
                .filter_map(|(name, it)| Some((name, (*it)?)));
            let ranks: Vec<(&String, (usize, f32))> = ranks.collect();
            let Some(&(_, (rank, alpha))) = ranks.first() else {
                let expected = "an adapter that has factors or scales";
                return Err(file("save_adapter", expected, "one that has none"));
            };
            config.insert("r".into(), rank.into());
            let bias = match state.adapter.biases() {
                Bias::None => "none",
                Bias::All => "all",
                Bias::LoraOnly if kind == "VERA" => "vera_only",
                Bias::LoraOnly => "lora_only",
            };
            config.insert("bias".into(), bias.into());
            if kind == "VERA" {
                config.insert("vera_dropout".into(), number(written.dropout, false));
                return Ok(config);
            }
            config.insert("lora_alpha".into(), number(alpha, true));
            config.insert("lora_dropout".into(), number(written.dropout, false));
            config.insert("use_rslora".into(), written.rslora.into());
            config.insert("use_dora".into(), written.dora.into());
            config.insert("lora_bias".into(), written.lora_bias.into());
            let mut patterns = [Map::new(), Map::new()];
            for (name, (other_rank, other_alpha)) in ranks {
                // `^` means the module itself, and none whose name only ends so.
                let key = format!("^{}", name.replace('.', "\\."));
                if other_rank != rank {
                    patterns[0].insert(key.clone(), other_rank.into());
                }
                if other_alpha != alpha {
                    patterns[1].insert(key, number(other_alpha, true));
                }
            }
            let [ranks, alphas] = patterns;
            config.insert("rank_pattern".into(), Value::Object(ranks));
            config.insert("alpha_pattern".into(), Value::Object(alphas));
        }
    }
    Ok(config)
}

/// Whether settings mean the modules that are written, each with its rank and alpha.
fn says(settings: &Map<String, Value>, written: &Written) -> Result<bool> {
    let lists = |key: &str, means: fn(&str, &str) -> bool, module: &str| match settings.get(key) {
        Some(Value::Array(entries)) => {
            let mut entries = entries.iter().filter_map(Value::as_str);
            Ok(entries.any(|entry| means(entry, module)))
        }
        other => config::are_meant(other, module),
    };
    for (module, factors) in &written.targets {
        if !lists("target_modules", config::is_target, module)? {
            return Ok(false);
        }
        let of_inputs = written.feedforward.contains(module);
        if config::kind(settings) == "IA3"
            && of_inputs != config::are_meant(settings.get("feedforward_modules"), module)?
        {
            return Ok(false);
        }
        if let ("LORA", Some((rank, alpha))) = (config::kind(settings), factors) {
            let rank_there = config::number_of(settings, "rank_pattern", "r", module)?;
            let alpha_there = config::number_of(settings, "alpha_pattern", "lora_alpha", module)?;
            if rank_there != *rank as f32 || alpha_there != *alpha {
                return Ok(false);
            }
        }
    }
    for module in &written.modules_to_save {
        if !lists("modules_to_save", config::is_saved, module)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A number as Python writes it, without a fraction where it is whole and may be an integer.
fn number(value: f32, whole: bool) -> Value {
    match whole && value.fract() == 0.0 && value.abs() < 1e9 {
        true => json!(value as i64),
        // The shortest digits that mean it.
        false => value
            .to_string()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
    }
}

/// Whether an entry of `feedforward_modules` means a module, of which it may be any end.
fn str_ends(entry: &str, module: &str) -> bool {
    module.ends_with(entry)
}

/// Modules as PEFT is told them: names, which also mean modules that end so, or an expression where that
/// would be others too.
fn names(targets: &[&str], modules: &[&str], means: fn(&str, &str) -> bool) -> Value {
    let ends_so = |module: &&&str| {
        !targets.contains(*module) && targets.iter().any(|target| means(target, module))
    };
    match modules.iter().find(ends_so) {
        None => json!(targets),
        Some(_) => {
            let escaped = targets.iter().map(|target| target.replace('.', "\\."));
            json!(format!("({})", escaped.collect::<Vec<_>>().join("|")))
        }
    }
}
