//! `adapter_config.json`: which settings it has, and which of them mean what is not done here.

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// The settings that PEFT 0.21 writes for a LoRA, as they are unless told otherwise.
fn lora_defaults() -> Value {
    json!({
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "auto_mapping": null, "base_model_name_or_path": null, "bias": "none",
        "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
        "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
        "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8,
        "lora_bias": false, "lora_dropout": 0.0, "lora_ga_config": null, "megatron_config": null,
        "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null,
        "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": 8,
        "rank_pattern": {}, "revision": null, "target_modules": [], "target_parameters": null,
        "task_type": null, "trainable_token_indices": null, "use_bdlora": null, "use_dora": false,
        "use_qalora": false, "use_rslora": false, "velora_config": null,
    })
}

/// The settings of a kind of adapter, as PEFT 0.21 writes them.
pub(super) fn defaults(kind: &str) -> Map<String, Value> {
    let values = match kind {
        "VERA" => json!({
            "auto_mapping": null, "base_model_name_or_path": null, "bias": "none",
            "d_initial": 0.1, "fan_in_fan_out": false, "inference_mode": true,
            "init_weights": true, "layers_pattern": null, "layers_to_transform": null,
            "modules_to_save": null, "peft_type": "VERA", "peft_version": "0.21.2",
            "projection_prng_key": 0, "r": 256, "revision": null, "save_projection": true,
            "target_modules": [], "task_type": null, "vera_dropout": 0.0,
        }),
        "IA3" => json!({
            "auto_mapping": null, "base_model_name_or_path": null, "exclude_modules": null,
            "fan_in_fan_out": false, "feedforward_modules": [], "inference_mode": true,
            "init_ia3_weights": true, "modules_to_save": null, "peft_type": "IA3",
            "peft_version": "0.21.2", "revision": null, "target_modules": [], "task_type": null,
        }),
        _ => lora_defaults(),
    };
    match values {
        Value::Object(values) => values,
        _ => unreachable!("written as objects above"),
    }
}

/// What AdaLoRA has besides.
const ADALORA: [&str; 9] = [
    "beta1",
    "beta2",
    "deltaT",
    "init_r",
    "orth_reg_weight",
    "target_r",
    "tfinal",
    "tinit",
    "total_step",
];

/// Settings under which something else would be computed, unless they are off.
const OTHERWISE: [&str; 10] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

/// The kind of adapter.
pub(super) fn kind(config: &Map<String, Value>) -> &str {
    config
        .get("peft_type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Settings that no kind has.
pub(super) fn unknown(config: &Map<String, Value>) -> Vec<String> {
    let known = defaults(kind(config));
    let keys = config.keys();
    let keys = keys.filter(|key| !known.contains_key(*key) && !ADALORA.contains(&key.as_str()));
    keys.cloned().collect()
}

/// Beginnings of factors that leave the base as it is; under others PEFT changes its weights when it loads.
const BEGINNINGS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// An error if a setting asks for what is not done here.
pub(super) fn check(config: &Map<String, Value>) -> Result<()> {
    if let Some(Value::String(beginning)) = config.get("init_lora_weights")
        && !BEGINNINGS.contains(&beginning.to_lowercase().as_str())
    {
        let at = "adapter_config.json: init_lora_weights";
        let expected = "factors beside weights that stay as they are";
        let help = "PEFT takes the factors' beginning off the weights when it loads; convert the adapter with \
                    `save_pretrained(…, path_initial_model_for_weight_conversion=…)`";
        let received = format!("{beginning:?}, which changes them");
        return Err(Error::File(Detail::new(at, expected, received).help(help)));
    }
    for key in OTHERWISE {
        let off = match config.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Array(values)) => values.is_empty(),
            Some(Value::Object(values)) => values.is_empty(),
            _ => false,
        };
        if !off {
            let received = config[key].to_string();
            let detail = Detail::new(
                format!("adapter_config.json: {key}"),
                "it to be off",
                received,
            );
            let help = "something else is computed with it, which is not done here";
            return Err(Error::File(detail.help(help)));
        }
    }
    Ok(())
}

/// Whether a key of `rank_pattern` or `alpha_pattern` means a module: its name, or the end of it.
///
/// # Errors
/// For a regular expression that says more than names.
pub(super) fn is_meant(key: &str, module: &str) -> Result<bool> {
    let plain = key.strip_prefix('^').unwrap_or(key);
    let name = name_of(plain)?;
    let end = module.strip_suffix(name.as_str());
    Ok(match end {
        Some("") => true,
        Some(before) => before.ends_with('.') && plain == key,
        None => false,
    })
}

/// The name that an expression is.
///
/// # Errors
/// For a regular expression that says more.
fn name_of(expression: &str) -> Result<String> {
    let name = expression.replace("\\.", ".");
    match name.contains(['\\', '*', '+', '?', '(', ')', '[', '{', '|', '^', '$']) {
        false => Ok(name),
        true => {
            let expected = "names of modules in patterns";
            let detail = Detail::new("adapter_config.json", expected, expression);
            Err(Error::File(
                detail.help("write the modules out, one a line"),
            ))
        }
    }
}

/// Whether a list of ends of names, or the expression that we write of several names, means a module.
///
/// # Errors
/// For a regular expression that says more.
pub(super) fn are_meant(names: Option<&Value>, module: &str) -> Result<bool> {
    match names {
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter_map(Value::as_str);
            Ok(names.any(|name| module.ends_with(name)))
        }
        Some(Value::String(one)) => {
            let inner = one.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
            let mut found = false;
            for name in inner.unwrap_or(one).split('|') {
                found |= name_of(name)? == module;
            }
            Ok(found)
        }
        _ => Ok(false),
    }
}

/// Whether an entry of `target_modules` means a module: its name, or the last parts of it.
pub(super) fn is_target(entry: &str, module: &str) -> bool {
    let before = module.strip_suffix(entry);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether an entry of `modules_to_save` means a module, or one that it is in.
pub(super) fn is_saved(entry: &str, module: &str) -> bool {
    let mut ends = module.match_indices('.').map(|(at, _)| &module[..at]);
    module.ends_with(entry) || ends.any(|outer| outer.ends_with(entry))
}

/// The number that a pattern gives a module, or that of all.
pub(super) fn number_of(
    config: &Map<String, Value>,
    pattern: &str,
    all: &str,
    module: &str,
) -> Result<f32> {
    let mut found = None;
    for (key, value) in config
        .get(pattern)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if found.is_none() && is_meant(key, module)? {
            found = Some(value);
        }
    }
    let value = found.or_else(|| config.get(all));
    let number = value
        .and_then(Value::as_f64)
        .filter(|number| number.is_finite());
    number.map(|number| number as f32).ok_or_else(|| {
        let received = value.map_or("none".to_string(), Value::to_string);
        let at = format!("adapter_config.json: {all}");
        Error::File(Detail::new(at, "a number", received))
    })
}

/// Whether a setting is on.
pub(super) fn is_on(config: &Map<String, Value>, key: &str) -> bool {
    config.get(key).and_then(Value::as_bool).unwrap_or(false)
}
