//! How other frameworks lay out and name the weights of a layer, and how they become Keras'.
//!
//! What is converted depends on what the layer says that the axes of its weights mean, and on what the model
//! says that the rows of its values mean; never on whether a shape happens to fit: a square kernel of the
//! wrong layout fits, and gives wrong numbers.

use regraft_io::Format;
use regraft_layers::{ElementOrder, LayerOrders, Weight, WeightAxis};
use regraft_tensor::Tensor;
use regraft_tensor::kernels::layout::permute;

/// Whose conventions the tensors of a file follow.
///
/// | layer | PyTorch | Keras |
/// |---|---|---|
/// | `Dense` | `weight` (out, in) | `kernel` (in, out) |
/// | `Conv1D`, `Conv2D`, `Conv3D` | `weight` OIW, OIHW, OIDHW | `kernel` WIO, HWIO, DHWIO |
/// | `DepthwiseConv1D`, `DepthwiseConv2D` | `weight` (C·M, 1, H, W) | `kernel` (H, W, C, M) |
/// | `Conv1DTranspose` … | `weight` IOHW | `kernel` HWOI |
/// | normalizations | `weight`, `bias` | `gamma`, `beta` |
/// | `BatchNormalization` | `running_mean`, `running_var` | `moving_mean`, `moving_variance` |
/// | `Embedding` | `weight` | `embeddings` |
/// | `LSTM`, `GRU`, `SimpleRNN` | `weight_ih_l0`, `weight_hh_l0` (parts · out, in) | `kernel`, `recurrent_kernel` (in, parts · out) |
/// | | two biases; parts `r z n` of a `GRU` | one, their sum, or (`GRU`) two rows; parts `z r h` |
/// | `Bidirectional` | `…_l0`, `…_l0_reverse` | `forward_…/…`, `backward_…/…` |
/// | `PReLU` | `weight` (C) | `alpha` (1, 1, C) |
/// | behind a flatten | features in the order C·H·W | in the order H·W·C |
///
/// PyTorch's `num_batches_tracked` has no counterpart and is left aside.
///
/// Behind a flatten, or in front of a reshape that makes an image of a row, features are in another order
/// there, because PyTorch has the channels first. Kernels, biases and statistics are permuted as far as this
/// order reaches, and the report says so (`OI → IO, inputs C·H·W → H·W·C`). Where nothing tells what stands in
/// front of the flatten, the weight is refused; [`Load::as_stored`](crate::Load::as_stored) takes it as it is.
/// A layer of your own says what its axes mean with
/// [`WeightSpec::axes`](regraft_layers::WeightSpec::axes), and what it does with places with
/// [`Layer::flow`](regraft_layers::Layer::flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Names and layouts of Keras.
    Keras,
    /// Names and layouts of PyTorch.
    PyTorch,
}

impl Layout {
    /// That of the program which writes files of this format, as far as the format tells.
    pub(crate) fn of(format: Format) -> Self {
        match format {
            Format::PyTorch => Layout::PyTorch,
            _ => Layout::Keras,
        }
    }

    /// What the weight `name` of a layer of this class may be called in a file.
    pub(crate) fn names<'n>(self, class: &str, name: &'n str) -> Vec<&'n str> {
        let theirs = match (self, name) {
            // So Keras 1 and 2 call it.
            (Layout::Keras, "kernel") if class.starts_with("Depthwise") => Some("depthwise_kernel"),
            (Layout::Keras, _) => None,
            (_, "kernel") if is_cell(class) => Some("weight_ih_l0"),
            (_, "recurrent_kernel") if is_cell(class) => Some("weight_hh_l0"),
            (_, "bias") if is_cell(class) => Some("bias_l0"),
            (_, "kernel" | "embeddings" | "gamma" | "alpha" | "depthwise_kernel") => Some("weight"),
            (_, "scale") if class.ends_with("Normalization") => Some("weight"),
            (_, "beta") => Some("bias"),
            (_, "moving_mean") => Some("running_mean"),
            (_, "moving_variance") => Some("running_var"),
            _ => None,
        };
        [name].into_iter().chain(theirs).collect()
    }

    /// Whether a tensor of this name has no counterpart in any model.
    pub(crate) fn ignores(self, name: &str) -> bool {
        let last = name.rsplit(['.', '/']).next();
        self == Layout::PyTorch && last == Some("num_batches_tracked")
    }

    /// The tensor as `weight` of a layer of this class, whose values have these orders there (`None`: as here),
    /// and what was done to it.
    ///
    /// # Errors
    /// Why it cannot be converted.
    pub(crate) fn convert(
        self,
        class: &str,
        weight: &Weight,
        orders: Option<&LayerOrders>,
        tensor: Tensor,
    ) -> Result<(Tensor, Option<String>), String> {
        if self == Layout::Keras {
            return Ok((tensor, None));
        }
        let axes = weight.spec().axes.as_deref();
        converted(class, axes, weight.value().shape(), orders, tensor)
    }
}

/// Whether it is a cell that PyTorch has as a layer.
fn is_cell(class: &str) -> bool {
    matches!(class, "GRUCell" | "LSTMCell" | "SimpleRNNCell")
}

/// The shape that PyTorch gives a weight of these axes.
pub(crate) fn shape_there(axes: &[WeightAxis], shape: &[usize]) -> Vec<usize> {
    let size = |wanted: WeightAxis| {
        let position = axes.iter().position(|axis| *axis == wanted)?;
        Some((position, shape[position]))
    };
    let space = || {
        let sizes = axes.iter().zip(shape);
        sizes
            .filter(|(axis, _)| **axis == WeightAxis::Space)
            .map(|(_, size)| *size)
    };
    match (
        size(WeightAxis::Input),
        size(WeightAxis::Channel),
        size(WeightAxis::Output),
    ) {
        (_, Some((_, channels)), Some((_, multiplier))) => [channels * multiplier, 1]
            .into_iter()
            .chain(space())
            .collect(),
        (Some((input_at, inputs)), None, Some((output_at, outputs))) => {
            let transposed = output_at < input_at && space().next().is_some();
            let channels = match transposed {
                true => [inputs, outputs],
                false => [outputs, inputs],
            };
            channels.into_iter().chain(space()).collect()
        }
        _ => shape.to_vec(),
    }
}

/// PyTorch's tensor as a weight with these axes and this shape; see [`Layout::convert`].
///
/// # Errors
/// Why it cannot be converted.
pub(crate) fn converted(
    class: &str,
    axes: Option<&[WeightAxis]>,
    wanted: &[usize],
    orders: Option<&LayerOrders>,
    tensor: Tensor,
) -> Result<(Tensor, Option<String>), String> {
    let Some(axes) = axes else {
        let declare = "declare what its axes mean (`WeightSpec::axes`)";
        if wanted.len() > 1 || tensor.ndim() > 1 {
            return Err(format!(
                "no rule for PyTorch's layout of a {class}; {declare}"
            ));
        }
        let of_row = |order: &ElementOrder| match order {
            ElementOrder::Row(row) => row.there().len() == wanted.iter().product::<usize>(),
            _ => false,
        };
        let in_doubt = orders.is_some_and(|it| of_row(&it.input) || of_row(&it.output));
        return match in_doubt {
            true => Err(format!("features behind a flatten; {declare}")),
            false => Ok((tensor, None)),
        };
    };
    if axes.len() != wanted.len() {
        return Err(format!(
            "{} axes are declared of {}",
            axes.len(),
            wanted.len()
        ));
    }
    let (mut tensor, axes_label) = rearranged(axes, orders, tensor, wanted)?;
    let mut labels: Vec<String> = axes_label.into_iter().collect();
    let fits = tensor.shape() == wanted;
    for (axis, meaning) in axes.iter().enumerate() {
        let Some((order, whose)) = orders.and_then(|orders| order_along(*meaning, orders)) else {
            continue;
        };
        match order {
            ElementOrder::Row(row) if fits && row.there().len() == wanted[axis] => {
                tensor = taken(&tensor, axis, row.there())?;
                labels.push(format!("{whose} {}", row.told()));
            }
            ElementOrder::Unknown(reason) => return Err(reason.clone()),
            _ => {}
        }
    }
    let label = (!labels.is_empty()).then(|| labels.join(", "));
    Ok((tensor, label))
}

/// The order of the features along an axis that means `meaning`, if they are those of a row.
fn order_along(meaning: WeightAxis, orders: &LayerOrders) -> Option<(&ElementOrder, &'static str)> {
    match meaning {
        WeightAxis::Input | WeightAxis::Sample(_) if orders.input_axes == 1 => {
            Some((&orders.input, "inputs"))
        }
        WeightAxis::Output if orders.output_axes == 1 => Some((&orders.output, "outputs")),
        _ => None,
    }
}

/// PyTorch's tensor with its axes in our order, and what was done.
fn rearranged(
    axes: &[WeightAxis],
    orders: Option<&LayerOrders>,
    tensor: Tensor,
    wanted: &[usize],
) -> Result<(Tensor, Option<String>), String> {
    let position = |wanted: WeightAxis| axes.iter().position(|&axis| axis == wanted);
    let of_sample = |axis: &WeightAxis| matches!(axis, WeightAxis::Sample(_));
    let space = axes.iter().filter(|&&axis| axis == WeightAxis::Space);
    let space = space.count();
    let converted = match (position(WeightAxis::Input), position(WeightAxis::Output)) {
        (None, Some(output)) if position(WeightAxis::Channel).is_some() => {
            let channel = position(WeightAxis::Channel).unwrap_or(0);
            depthwise(axes, channel, output, tensor, wanted)
        }
        (Some(input), Some(output)) if tensor.ndim() == axes.len() => {
            // Kernels of transposed convolutions are those of the convolutions that they turn round.
            let transposed = space > 0 && output < input;
            let channels = match transposed {
                true => [WeightAxis::Input, WeightAxis::Output],
                false => [WeightAxis::Output, WeightAxis::Input],
            };
            let theirs = channels.into_iter().chain(vec![WeightAxis::Space; space]);
            let theirs: Vec<WeightAxis> = theirs.collect();
            if theirs.len() != axes.len() {
                return Err("no rule for a kernel of such axes in PyTorch".to_string());
            }
            let mut next_space = 2..;
            let order: Vec<usize> = axes
                .iter()
                .filter_map(|axis| match axis {
                    WeightAxis::Space => next_space.next(),
                    axis => theirs.iter().position(|their| their == axis),
                })
                .collect();
            let label = format!("{} → {}", letters(&theirs), letters(axes));
            permuted(&tensor, &order).map(|tensor| (tensor, Some(label)))
        }
        _ if axes.len() > 1 && axes.iter().all(of_sample) => {
            return along_sample(axes, orders, tensor, wanted);
        }
        // One number per channel, with axes behind that it goes along.
        _ if axes.len() == 1
            && of_sample(&axes[0])
            && tensor.ndim() > 1
            && tensor.shape()[0] == tensor.len() =>
        {
            let label = format!("C{} → C", "1".repeat(tensor.ndim() - 1));
            tensor.reshape(wanted).map(|tensor| (tensor, Some(label)))
        }
        _ => Ok((tensor, None)),
    };
    converted.map_err(|error| error.to_string())
}

/// A weight with a number for every element along several axes of the sample, or for every channel.
fn along_sample(
    axes: &[WeightAxis],
    orders: Option<&LayerOrders>,
    tensor: Tensor,
    wanted: &[usize],
) -> Result<(Tensor, Option<String>), String> {
    let count = wanted.last().copied().unwrap_or(0);
    if tensor.ndim() == 1 {
        // One number per channel, or one for all, which only the same shape can take.
        let fits = tensor.len() == count && wanted.iter().product::<usize>() == count;
        return match fits {
            false => Ok((tensor, None)),
            true => tensor
                .reshape(wanted)
                .map(|tensor| (tensor, Some("C → 1…C".to_string())))
                .map_err(|error| error.to_string()),
        };
    }
    let Some(orders) = orders.filter(|_| tensor.ndim() == axes.len()) else {
        return Ok((tensor, None));
    };
    let channels = WeightAxis::Sample(orders.input_axes.saturating_sub(1));
    let Some(channels) = axes.iter().position(|&axis| axis == channels) else {
        return Ok((tensor, None));
    };
    match &orders.input {
        ElementOrder::Unknown(reason) => Err(reason.clone()),
        ElementOrder::ChannelsLast => {
            // Theirs are the channels, then the others in our order.
            let mut others = 1..;
            let order: Vec<usize> = (0..axes.len())
                .filter_map(|axis| match axis == channels {
                    true => Some(0),
                    false => others.next(),
                })
                .collect();
            let space = spatial_letters(axes.len() - 1);
            let label = format!("C{space} → {space}C");
            permuted(&tensor, &order)
                .map(|tensor| (tensor, Some(label)))
                .map_err(|error| error.to_string())
        }
        _ => Ok((tensor, None)),
    }
}

/// A kernel per channel: output c·M + m is the m-th of input channel c in both programs.
fn depthwise(
    axes: &[WeightAxis],
    channel: usize,
    output: usize,
    tensor: Tensor,
    wanted: &[usize],
) -> regraft_tensor::Result<(Tensor, Option<String>)> {
    let channels = wanted[channel].max(1);
    let outputs = tensor.shape().first().copied().unwrap_or(0);
    let fits = tensor.ndim() == axes.len()
        && outputs.is_multiple_of(channels)
        && tensor.shape().get(1) == Some(&1);
    if !fits {
        // Reported as a shape that differs.
        return Ok((tensor, None));
    }
    let mut shape = vec![channels, outputs / channels];
    shape.extend(&tensor.shape()[2..]);
    let mut next_space = 2..;
    let order: Vec<usize> = (0..axes.len())
        .filter_map(|axis| match axis {
            _ if axis == channel => Some(0),
            _ if axis == output => Some(1),
            _ => next_space.next(),
        })
        .collect();
    let space = spatial_letters(axes.len() - 2);
    let label = format!("(C·M)1{space} → {space}CM");
    let apart = tensor.reshape(&shape)?;
    Ok((permuted(&apart, &order)?, Some(label)))
}

fn spatial_letters(count: usize) -> String {
    let letters = ["", "W", "HW", "DHW"];
    letters
        .get(count)
        .map_or("…", |letters| letters)
        .to_string()
}

fn letters(axes: &[WeightAxis]) -> String {
    let space = axes.iter().filter(|&&axis| axis == WeightAxis::Space);
    let space = spatial_letters(space.count());
    let mut letters = String::new();
    for axis in axes {
        match axis {
            WeightAxis::Input => letters.push('I'),
            WeightAxis::Output => letters.push('O'),
            _ if letters.contains(&space) => {}
            _ => letters.push_str(&space),
        }
    }
    letters
}

/// The elements along `axis` in another order: element `i` is `there[i]` of `tensor`.
fn taken(tensor: &Tensor, axis: usize, there: &[usize]) -> Result<Tensor, String> {
    let shape = tensor.shape();
    let inner: usize = shape[axis + 1..].iter().product();
    let row = there.len() * inner;
    let mut values = Vec::with_capacity(tensor.len());
    for block in tensor.as_slice().chunks_exact(row.max(1)) {
        for &place in there {
            values.extend_from_slice(&block[place * inner..(place + 1) * inner]);
        }
    }
    Tensor::new(shape, values).map_err(|error| error.to_string())
}

fn permuted(tensor: &Tensor, axes: &[usize]) -> regraft_tensor::Result<Tensor> {
    let shape: Vec<usize> = axes.iter().map(|&axis| tensor.shape()[axis]).collect();
    let mut values = vec![0.0; tensor.len()];
    permute(tensor.as_slice(), tensor.shape(), axes, &mut values);
    Tensor::new(shape, values)
}
