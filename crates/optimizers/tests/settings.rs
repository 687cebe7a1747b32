//! Names, configurations, exclusions and saved states: what is accepted, and what is refused how.

use regraft_optimizers::{
    Adam, AdamW, Configured, Error, Muon, Optimizer, ParameterInfo, ParameterUpdate, SGD,
    UpdateRule, schedules::CosineDecay,
};
use serde_json::json;

const CLASSES: [&str; 13] = [
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "Nadam",
    "Adamax",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Lion",
    "Lamb",
    "Adafactor",
    "Muon",
];

#[test]
fn every_optimizer_survives_its_own_configuration() {
    for class in CLASSES {
        let optimizer = Optimizer::from_name(class).unwrap();
        let config = optimizer.config();
        assert_eq!(config["class_name"], class);
        assert_eq!(Optimizer::from_config(&config).unwrap().config(), config);
        assert_eq!(
            Optimizer::from_config(&json!(class)).unwrap().config(),
            config
        );
    }
    let scheduled = Adam::new(CosineDecay::new(0.1, 100).warmup(0.2, 10)).clipnorm(1.0);
    let config = scheduled.build().unwrap().config();
    assert_eq!(Optimizer::from_config(&config).unwrap().config(), config);
}

#[test]
fn an_unknown_name_lists_those_that_come_near() {
    for (name, near) in [
        ("adm", "adam"),
        ("rms_prop2", "rmsprop"),
        ("sdg", "sgd"),
        ("xyz", "known are sgd, rmsprop"),
    ] {
        let error = Optimizer::from_name(name).unwrap_err();
        assert!(matches!(error, Error::UnknownName(_)));
        assert!(error.to_string().contains(near), "{error}");
    }
}

#[test]
fn a_configuration_that_is_not_understood_is_refused() {
    let adam = |config| json!({"class_name": "Adam", "config": config});
    for (config, at) in [
        (adam(json!({"beta_3": 0.1})), "beta_3"),
        (adam(json!({"beta_1": "high"})), "Adam"),
        (adam(json!({"beta_1": 2.0})), "Adam.beta_1"),
        (adam(json!({"clipnorm": "1"})), "Adam.clipnorm"),
        (adam(json!({"loss_scale_factor": 0.0})), "loss_scale_factor"),
        (
            json!({"class_name": "Nadam", "config": {"decay": 0.1}}),
            "Nadam.decay",
        ),
        (adam(json!({"learning_rate": []})), "Adam.learning_rate"),
        (
            adam(json!({"learning_rate": {"class_name": "CosineDecoy", "config": {}}})),
            "cosinedecay",
        ),
        (
            adam(json!({"learning_rate": {"class_name": "CosineDecay", "config": {}}})),
            "initial_learning_rate",
        ),
        (json!({"config": {}}), "class_name"),
        (json!({"class_name": "Adam", "config": 3}), "config"),
        (json!(3), "class_name"),
    ] {
        let error = Optimizer::from_config(&config).unwrap_err().to_string();
        assert!(error.contains(at), "{config}: {error}");
    }
    // Settings of Keras 2 that change nothing.
    let old = json!({"decay": 0.0, "jit_compile": false, "is_legacy_optimizer": false});
    assert!(Optimizer::from_config(&adam(old)).is_ok());
    // For files only: it is written again.
    let scaled = Optimizer::from_config(&adam(json!({"loss_scale_factor": 8.0}))).unwrap();
    assert_eq!(scaled.config()["config"]["loss_scale_factor"], 8.0);
    // As a file of Keras 2.2.4 has it.
    let old = json!({"lr": 0.25, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.0, "epsilon": 1e-7});
    let optimizer = Optimizer::from_config(&adam(old)).unwrap();
    assert_eq!(optimizer.learning_rate(), 0.25);
    for rate in ["lr", "learning_rate"] {
        let old = json!({rate: 0.25, "momentum": 0.9, "decay": 0.5, "nesterov": true});
        let old = json!({"class_name": "SGD", "config": old});
        let config = Optimizer::from_config(&old).unwrap().config();
        assert_eq!(
            config["config"]["learning_rate"]["class_name"], "InverseTimeDecay",
            "lr / (1 + decay · step)"
        );
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let sgd = || SGD::new(0.1);
    for (builder, at) in [
        (SGD::new(-0.1), "learning_rate"),
        (SGD::new(f64::NAN), "learning_rate"),
        (sgd().weight_decay(-1.0), "weight_decay"),
        (sgd().clipnorm(0.0), "clipnorm"),
        (sgd().clipvalue(-1.0), "clipvalue"),
        (sgd().global_clipnorm(f64::INFINITY), "global_clipnorm"),
        (sgd().clipnorm(1.0).clipvalue(1.0), "clipnorm and clipvalue"),
        (sgd().ema_momentum(1.1), "ema_momentum"),
        (sgd().ema_overwrite_frequency(0), "ema_overwrite_frequency"),
        (
            sgd().gradient_accumulation_steps(1),
            "gradient_accumulation_steps",
        ),
        (
            sgd().exclude_from_weight_decay(["a[0]"]),
            "exclude_from_weight_decay",
        ),
        (SGD::new(CosineDecay::new(0.1, 0)), "decay_steps"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::Hyperparameter(_)));
        assert!(error.to_string().contains(at), "{error}");
    }
    assert!(Muon::new(0.1).exclude_layers(["(a|b)"]).build().is_err());
}

/// What a weight of 1 is after one step of decay only.
fn decayed(optimizer: &mut Optimizer, path: &str) -> f32 {
    let plan = optimizer.prepare(&[ParameterInfo::new(path, [1])]).unwrap();
    let mut value = [1.0];
    let update = ParameterUpdate {
        value: &mut value,
        gradient: &[0.0],
    };
    optimizer.apply(&plan, &mut [update]).unwrap();
    value[0]
}

#[test]
fn exclusions_from_weight_decay_look_at_the_name_or_the_path() {
    let mut optimizer = AdamW::new(0.1)
        .weight_decay(0.5)
        .exclude_from_weight_decay(["bias", "^gamma$", "head/kernel"])
        .exclude_from_weight_decay_where(|parameter| parameter.path.starts_with("frozen"))
        .build()
        .unwrap();
    for (path, expected) in [
        ("dense/kernel", 0.95),
        ("dense/bias", 1.0),
        ("bias_layer/kernel", 0.95),
        ("norm/gamma", 1.0),
        ("norm/gamma_2", 0.95),
        ("head/kernel", 1.0),
        ("frozen/kernel", 1.0),
    ] {
        assert_eq!(decayed(&mut optimizer, path), expected, "{path}");
    }
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let infos = [ParameterInfo::new("a", [2]), ParameterInfo::new("b", [3])];
    let mut optimizer = Adam::new(0.1).build().unwrap();
    optimizer.prepare(&infos).unwrap();
    let state = optimizer.state(&infos);
    let before = format!("{optimizer:?}");

    let mut short = state.clone();
    short.variables.pop();
    let swapped = [infos[1].clone(), infos[0].clone()];
    let renamed = [infos[0].clone(), ParameterInfo::new("c", [3])];
    let mut counts = state.clone();
    counts.updates.pop();
    for (infos, state) in [
        (&infos, &short),
        (&swapped, &state),
        (&renamed, &state),
        (&infos, &counts),
    ] {
        let error = optimizer.restore(infos, state).unwrap_err();
        assert!(matches!(error, Error::State(_)), "{error}");
    }
    assert_eq!(format!("{optimizer:?}"), before);
}

#[test]
fn a_keras_file_knows_only_numbers() {
    let infos = [ParameterInfo::new("a", [2])];
    let optimizer = Adam::new(0.1).build().unwrap();
    let mut state = optimizer.state(&infos);
    for (index, (name, _)) in state.variables.iter_mut().enumerate() {
        *name = (index + 2).to_string();
    }
    state.iteration = 7;
    state.updates.clear();
    state.learning_rate = Some(0.25);
    let mut restored = optimizer.clone();
    restored.restore(&infos, &state).unwrap();
    assert_eq!(restored.iterations(), 7);
    assert_eq!(restored.updates("a"), Some(7));
    assert_eq!(restored.learning_rate(), 0.25);
}

/// A rule from another crate.
#[derive(Debug)]
struct Still(f64);

impl Configured for Still {
    fn config(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::from_iter([("calm".to_string(), json!(self.0))])
    }
}

impl UpdateRule for Still {
    fn update(
        &self,
        _: &regraft_optimizers::Step<'_>,
        _: &mut [f32],
        _: &[f32],
        _: &mut [&mut [f32]],
    ) {
    }
}

#[test]
fn a_rule_of_ones_own_comes_back_from_its_configuration() {
    let optimizer = Optimizer::builder(Still(0.5))
        .learning_rate(0.1)
        .clipnorm(2.0);
    let config = optimizer.build().unwrap().config();
    assert!(Optimizer::from_config(&config).is_err());
    let rule = |class: &str, settings: &serde_json::Map<String, serde_json::Value>| {
        let calm = settings.get("calm")?.as_f64()?;
        (class == "Still").then(|| Ok(std::sync::Arc::new(Still(calm)) as _))
    };
    let read = Optimizer::from_config_with(&config, &rule, &|_, _| None);
    assert_eq!(read.unwrap().config(), config);
}

#[test]
fn optimizers_are_found_under_the_package_that_keras_2_gave_them() {
    let config = serde_json::json!({"class_name": "Custom>SGD", "config": {
        "name": "SGD", "weight_decay": null, "clipnorm": null, "global_clipnorm": null,
        "clipvalue": null, "use_ema": false, "ema_momentum": 0.99,
        "ema_overwrite_frequency": null, "jit_compile": false, "is_legacy_optimizer": false,
        "learning_rate": 0.01, "momentum": 0.5, "nesterov": false,
    }});
    let read = Optimizer::from_config(&config).unwrap();
    assert_eq!(read.config()["class_name"], "SGD");
    assert_eq!(read.config()["config"]["momentum"], 0.5);
}
