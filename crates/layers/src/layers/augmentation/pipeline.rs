//! Several layers as one.

use std::sync::Arc;

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::layers::{TABLE, as_size, object};
use crate::settings::{FromSettings, Map, Settings, make};
use crate::{Call, Class, Configured, Layer, Weights};

/// Applies layers without weights one after the other.
///
/// Input and output are what the first takes and the last gives; in inference and frozen each does what it
/// does then. Keras: `keras.layers.Pipeline`, which serves to bundle layers that change images.
#[derive(Clone, Debug)]
pub struct Pipeline {
    layers: Vec<Arc<dyn Layer>>,
    /// As the file had them, or as they are written.
    written: Vec<Value>,
}

/// A layer inside, without the settings that all layers have.
fn read(value: &Value) -> Result<Arc<dyn Layer>, Detail> {
    let class_name = value["class_name"].as_str().unwrap_or_default();
    let mut config = match &value["config"] {
        Value::Object(config) => config.clone(),
        _ => Map::new(),
    };
    for of_every_layer in ["name", "trainable", "dtype"] {
        config.remove(of_every_layer);
    }
    make("layer", TABLE, class_name, &config)
}

/// The shape of images `shape` after a layer that may bring them to a size of its own.
fn after(layer: &dyn Layer, shape: &Shape) -> Shape {
    let config = layer.config();
    let size = |key: &str| config.get(key).and_then(as_size);
    let mut dims = shape.dims().to_vec();
    if let (4, Some(height), Some(width)) = (dims.len(), size("height"), size("width")) {
        let first = if config["data_format"] == "channels_first" {
            2
        } else {
            1
        };
        dims[first] = Dim::Fixed(height);
        dims[first + 1] = Dim::Fixed(width);
    }
    dims.into()
}

impl Pipeline {
    /// A layer that applies these, which must have no weights.
    pub fn new(layers: Vec<Arc<dyn Layer>>) -> Self {
        let written = layers.iter().enumerate().map(|(number, layer)| {
            let mut config = layer.config();
            let name = crate::keras::names::snake_case(layer.class_name());
            config.insert("name".into(), format!("{name}_{number}").into());
            json!({
                "module": layer.class().module,
                "class_name": layer.class_name(),
                "config": config,
                "registered_name": null,
            })
        });
        let written = written.collect();
        Pipeline { layers, written }
    }
}

impl Configured for Pipeline {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.Pipeline").without("trainable")
    }

    fn config(&self) -> Map {
        object(json!({ "layers": self.written }))
    }
}

impl Layer for Pipeline {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let mut shapes = inputs.to_vec();
        for layer in &self.layers {
            let mut declared = Weights::default();
            layer
                .build(&shapes, &mut declared)
                .map_err(|detail| detail.within(layer.class_name()))?;
            if !declared.specs.is_empty() {
                let expected = "layers without weights";
                return Err(Detail::new("layers", expected, layer.class_name()));
            }
            shapes = shapes.iter().map(|shape| after(&**layer, shape)).collect();
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let apply = |x, layer: &Arc<dyn Layer>| layer.call(call, &[x]);
        self.layers.iter().fold(inputs[0], apply)
    }
}

impl FromSettings for Pipeline {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let key = "layers";
        let value = settings.value(key).unwrap_or(&Value::Null);
        let Value::Array(written) = value else {
            return Err(settings.wrong(key, "a list of layers", value));
        };
        let layers: Result<_, _> = written.iter().map(read).collect();
        Ok(Pipeline {
            layers: layers.map_err(|detail| detail.within(key))?,
            written: written.clone(),
        })
    }
}
