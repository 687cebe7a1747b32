//! Compares with the numbers that real Keras gave: `fixtures/golden_optimizers.py` made them.

use serde_json::Value;

use crate::{Builder, BuiltIn, Optimizer, ParameterInfo, ParameterUpdate, Plan};

/// The largest difference allowed, relative to the number, or to what it started from if that is
/// larger: a weight that came down from 1.5 to nearly 0 was rounded as one of 1.5 on the way.
const TOLERANCE: f64 = 1e-6;

fn file() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/golden/optimizers.json"
    );
    let text = std::fs::read_to_string(path).expect("the golden file is in the repository");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn numbers(value: &Value) -> Vec<f32> {
    let list = value.as_array().expect("a list of numbers");
    list.iter()
        .map(|x| x.as_f64().expect("a number") as f32)
        .collect()
}

fn assert_close(what: &str, received: &[f32], expected: &[f32], start: &[f32]) {
    assert_eq!(received.len(), expected.len(), "{what}");
    for (index, (&r, &e)) in received.iter().zip(expected).enumerate() {
        let (r, e) = (f64::from(r), f64::from(e));
        let error = (r - e).abs() / e.abs().max(f64::from(start[index].abs()));
        assert!(
            error <= TOLERANCE,
            "{what}[{index}]: {r} instead of {e}, relative error {error:.2e}"
        );
    }
}

/// Runs every case of this class and compares parameters after some steps, and all variables after
/// the last.
pub(crate) fn compare(class: &str) {
    let file = file();
    let cases = file["cases"].as_array().expect("cases");
    let mut compared = 0;
    for case in cases
        .iter()
        .filter(|c| c["optimizer"]["class_name"] == class)
    {
        let run = Run::new(&file, case);
        run.compare(&file, case);
        compared += 1;
    }
    assert!(compared > 0, "no golden case for {class}");
}

/// One case being run.
struct Run {
    optimizer: Optimizer,
    plan: Plan,
    infos: Vec<ParameterInfo>,
    values: Vec<Vec<f32>>,
}

impl Run {
    fn new(file: &Value, case: &Value) -> Self {
        let mut optimizer =
            Optimizer::from_config(&case["optimizer"]).expect("Keras' own settings");
        let excluded = case["exclude_from_weight_decay"].as_array().expect("names");
        if !excluded.is_empty() {
            let names = excluded.iter().map(|n| n.as_str().unwrap().to_string());
            optimizer.options.undecayed_names = names.collect();
            optimizer.options.validate("test").unwrap();
        }
        let paths = case["parameters"].as_array().expect("paths");
        let infos: Vec<ParameterInfo> = paths
            .iter()
            .map(|path| {
                let path = path.as_str().unwrap();
                let shape = file["shapes"][path].as_array().unwrap();
                let shape: Vec<usize> =
                    shape.iter().map(|n| n.as_u64().unwrap() as usize).collect();
                ParameterInfo::new(path, shape)
            })
            .collect();
        let plan = optimizer.prepare(&infos).expect("distinct parameters");
        let values = infos
            .iter()
            .map(|info| numbers(&file["initial"][&info.path]))
            .collect();
        Run {
            optimizer,
            plan,
            infos,
            values,
        }
    }

    fn step(&mut self, file: &Value, step: usize) {
        let gradients: Vec<Vec<f32>> = self
            .infos
            .iter()
            .map(|info| numbers(&file["gradients"][&info.path][step]))
            .collect();
        let mut updates: Vec<ParameterUpdate<'_>> = self
            .values
            .iter_mut()
            .zip(&gradients)
            .map(|(value, gradient)| ParameterUpdate { value, gradient })
            .collect();
        self.optimizer
            .apply(&self.plan, &mut updates)
            .expect("a step");
    }

    fn compare(mut self, file: &Value, case: &Value) {
        let name = case["name"].as_str().unwrap();
        for step in 0..file["steps"].as_u64().unwrap() as usize {
            self.step(file, step);
            let snapshot = &case["snapshots"][(step + 1).to_string()];
            if snapshot.is_null() {
                continue;
            }
            for (index, info) in self.infos.iter().enumerate() {
                let what = format!("{name}, step {}, {}", step + 1, info.path);
                let expected = numbers(&snapshot[index]);
                let start = numbers(&file["initial"][&info.path]);
                assert_close(&what, &self.values[index], &expected, &start);
            }
        }
        self.compare_variables(name, case["variables"].as_array().unwrap());
    }

    /// Keras' list of variables begins with the iteration and the learning rate.
    fn compare_variables(&self, name: &str, expected: &[Value]) {
        let state = self.optimizer.state(&self.infos);
        assert_eq!(numbers(&expected[0]["values"]), [state.iteration as f32]);
        let mut rest = &expected[1..];
        if let Some(rate) = state.learning_rate {
            assert_eq!(numbers(&rest[0]["values"]), [rate]);
            rest = &rest[1..];
        }
        assert_eq!(state.variables.len(), rest.len(), "{name}");
        for ((received, tensor), expected) in state.variables.iter().zip(rest) {
            let path = expected["path"].as_str().unwrap();
            // Adafactor's variables bear only the parameter's own name in Keras.
            if !name.starts_with("adafactor") {
                assert_eq!(received, path, "{name}");
            }
            let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
            assert_eq!(tensor.shape(), shape, "{name}: {received}");
            let what = format!("{name}, {received}");
            let expected = numbers(&expected["values"]);
            // Slots start from nothing and may cancel out (Ftrl's by design), so that they are
            // measured by the largest of their parameter.
            let largest = expected
                .iter()
                .fold(f32::MIN_POSITIVE, |a, b| a.max(b.abs()));
            let start = vec![largest; tensor.len()];
            assert_close(&what, tensor.as_slice(), &expected, &start);
        }
        let mut again = self.optimizer.clone();
        again.restore(&self.infos, &state).expect("its own state");
        assert_eq!(again.state(&self.infos), state);
    }
}

/// Whether a builder's defaults are those with which Keras ran the case named like the class.
pub(crate) fn compare_defaults<R: BuiltIn>(builder: Builder<R>) {
    let config = builder
        .name("optimizer")
        .build()
        .expect("defaults")
        .config();
    let class = config["class_name"].as_str().unwrap().to_lowercase();
    let file = file();
    let mut cases = file["cases"].as_array().unwrap().iter();
    let case = cases
        .find(|case| case["name"] == class.as_str())
        .expect("a case with the defaults");
    let expected = case["optimizer"]["config"].as_object().unwrap();
    let received = config["config"].as_object().unwrap();
    assert!(received.keys().eq(expected.keys()), "{received:?}");
    for (key, expected) in expected {
        let received = &received[key];
        // Python writes 1 where it has no need to write 1.0, and a decimal may be read one bit off.
        let same_number = match (received.as_f64(), expected.as_f64()) {
            (Some(r), Some(e)) => (r - e).abs() <= 1e-15 * e.abs(),
            _ => false,
        };
        assert!(received == expected || same_number, "{key}: {received}");
    }
}
