//! A layer of your own, frozen like any other, written to a configuration and read back.

use regraft_autograd::{Shape, Var};
use regraft_layers::{
    Call, Configured, Dense, Initializer, Input, Layer, Model, Registry, Sequential, Weights,
    layers,
};
use regraft_tensor::Detail;

/// y = x · scale, with one scale per feature.
#[derive(Debug)]
struct Scale;

impl Configured for Scale {}

impl Layer for Scale {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = inputs[0].sample().unwrap_or_default();
        weights.parameter("scale", features, &Initializer::ones());
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0] * call.weight("scale")
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = Sequential::new(layers![Input::new([4]), Scale, Dense::new(2)])?;
    model.freeze("scale")?;
    println!("{}", model.summary());

    let config = model.to_config();
    let mut registry = Registry::new();
    registry.register("Scale", |_| Ok(Scale));
    let again = Model::from_config(&config, &registry)?;
    assert_eq!(again.count_parameters(), model.count_parameters());
    println!("read back: {:?}", again.layers());
    Ok(())
}
