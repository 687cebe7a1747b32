//! Prints `{name: configuration}` of every model in `fixtures/golden/configs.json`, read and written
//! again, for `fixtures/check_configs.py` to judge with real Keras.

use regraft_layers::{Model, Registry};
use serde_json::{Map, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/golden/configs.json"
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let mut written = Map::new();
    for case in file["cases"].as_array().into_iter().flatten() {
        let model = Model::from_config(&case["config"]["model"], &Registry::new())?;
        let name = case["name"].as_str().unwrap_or_default();
        written.insert(name.to_string(), model.to_config());
    }
    println!("{}", Value::from(written));
    Ok(())
}
