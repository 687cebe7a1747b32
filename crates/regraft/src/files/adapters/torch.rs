//! Weights of adapters and of whole layers, from PyTorch's axes to ours and back.

use regraft_layers::{LayerOrders, Model as Network, Place, Weight, WeightAxis};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::files::layout::{converted, shape_there};
use crate::{Error, Result};

/// A weight of ours as PyTorch has it.
///
/// # Errors
/// Why there is no rule for it.
pub(super) fn exported(
    class: &str,
    axes: Option<&[WeightAxis]>,
    orders: Option<&LayerOrders>,
    value: &Tensor,
) -> Result<Tensor, String> {
    // Places go through the conversion that values of theirs go through, so that it is written once.
    const MOST: usize = 1 << 24;
    if value.len() > MOST {
        return Err(format!("{} elements, of {MOST} at most", value.len()));
    }
    let there = match axes {
        Some(axes) if axes.len() == value.ndim() => shape_there(axes, value.shape()),
        _ => value.shape().to_vec(),
    };
    let places: Vec<f32> = (0..value.len()).map(|place| place as f32).collect();
    let places = Tensor::new(&there, places).map_err(|error| error.to_string())?;
    let (places, _) = converted(class, axes, value.shape(), orders, places)?;
    if places.shape() != value.shape() {
        return Err(format!("{:?} has no shape in PyTorch", value.shape()));
    }
    let mut values = vec![0.0; value.len()];
    for (place, value) in places.as_slice().iter().zip(value.as_slice()) {
        values[*place as usize] = *value;
    }
    Tensor::new(&there, values).map_err(|error| error.to_string())
}

/// The orders of a layer's values as factors beside its kernel meet them: A has its inputs, B its outputs.
pub(super) fn halves(orders: Option<&LayerOrders>) -> [Option<LayerOrders>; 2] {
    use regraft_layers::ElementOrder::Same;
    let a = orders.map(|orders| LayerOrders {
        output: Same,
        ..orders.clone()
    });
    let b = orders.map(|orders| LayerOrders {
        input: Same,
        ..orders.clone()
    });
    [a, b]
}

/// An error for factors beside a dilated convolution: PEFT's A is one without.
pub(super) fn refuse_dilated(model: &Network, place: &Place<'_>, kernel: &Weight) -> Result<()> {
    let axes = kernel.spec().axes.iter().flatten();
    let cells = axes.zip(kernel.value().shape());
    let cells = cells.filter(|(axis, _)| **axis == WeightAxis::Space);
    let config = model.get_layer(place.path.as_str())?.config();
    let rate = |at: usize| match config.get("dilation_rate") {
        Some(Value::Array(rates)) => rates.get(at).and_then(Value::as_u64),
        rate => rate.and_then(Value::as_u64),
    };
    let mut dilated = cells.enumerate().filter_map(|(at, (_, size))| {
        let rate = rate(at)?;
        (*size > 1 && rate > 1).then_some(rate)
    });
    match dilated.next() {
        None => Ok(()),
        Some(rate) => {
            let expected = "a convolution without dilation beside factors, as PEFT has them";
            let received = format!("a dilation of {rate}");
            let detail = Detail::new(&place.path, expected, received);
            let help = "PEFT's factor A does not dilate, so that it would compute something else";
            Err(Error::File(detail.help(help)))
        }
    }
}

/// The axes of B, `(rank / groups, outputs)`.
pub(super) const B: [WeightAxis; 2] = [WeightAxis::Input, WeightAxis::Output];
