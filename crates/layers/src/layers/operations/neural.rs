//! Convolutions, poolings, normalizations and attention as functions.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{Declared, NN, Takes, X, function, one};
use super::linear_algebra::product;
use super::typed::{Typed, promoted};
use crate::layers::adaptive_pooling::pooled_to;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

const POOL: &str = "input=inputs value=inputs ksize=pool_size strides padding data_format";
const CONVOLUTION: &str = "input=inputs filter=kernel filters=kernel strides padding \
     data_format dilations=dilation_rate ~use_cudnn_on_gpu";

pub(super) const TABLE: &[Declared] = &[
    Declared::new("AveragePool", Takes::Values(&["inputs"]), |a| {
        pool(a, |x, window| x.average_pool(window))
    })
    .within(NN)
    .like(&[function(
        "nn.avg_pool nn.avg_pool1d nn.avg_pool2d nn.avg_pool3d",
        POOL,
    )]),
    Declared::new("MaxPool", Takes::Values(&["inputs"]), |a| {
        pool(a, |x, window| x.max_pool(window))
    })
    .within(NN)
    .like(&[function(
        "nn.max_pool nn.max_pool1d nn.max_pool2d nn.max_pool3d",
        POOL,
    )]),
    Declared::new("AdaptiveAveragePool", Takes::Values(&["inputs"]), |a| {
        adaptive_pool(a, |x, window| x.average_pool(window))
    })
    .within(NN),
    Declared::new("AdaptiveMaxPool", Takes::Values(&["inputs"]), |a| {
        adaptive_pool(a, |x, window| x.max_pool(window))
    })
    .within(NN),
    Declared::new("Conv", Takes::Values(&["inputs", "kernel"]), |a| {
        convolve(a, |x, kernel, window, groups| {
            x.convolution(kernel, window, groups)
        })
    })
    .within(NN)
    .like(&[function(
        "nn.conv1d nn.conv2d nn.conv3d nn.convolution",
        CONVOLUTION,
    )]),
    Declared::new("DepthwiseConv", Takes::Values(&["inputs", "kernel"]), |a| {
        convolve(a, |x, kernel, window, _| {
            x.depthwise_convolution(kernel, window)
        })
    })
    .within(NN)
    .like(&[function("nn.depthwise_conv2d", CONVOLUTION)]),
    Declared::new(
        "SeparableConv",
        Takes::Values(&["inputs", "depthwise_kernel", "pointwise_kernel"]),
        |a| {
            let pointwise = a.tensor("pointwise_kernel")?.floats();
            let depthwise = a.tensor("depthwise_kernel")?.floats();
            convolve_with(a, depthwise, |x, kernel, window, _| {
                let axes = kernel.shape().rank() - 2;
                let y = x.depthwise_convolution(kernel, window);
                y.convolution(pointwise, Window::new(&vec![1; axes]), 1)
            })
        },
    )
    .within(NN),
    Declared::new("LayerNorm", Takes::Values(&["x", "gamma", "beta"]), |a| {
        let x = a.tensor("x")?;
        let of = x.of.as_float();
        let x = x.to(of);
        let axes = x.axes(Some(
            &a.settings.get::<Vec<isize>>("axis")?.unwrap_or(vec![-1]),
        ))?;
        let epsilon = a.settings.or::<f32>("epsilon", 1e-7)?;
        let mut y = match a.settings.or::<bool>("rms_scaling", false)? {
            true => x.var * (x.var.variance_keeping(&axes) + epsilon).rsqrt(),
            false => {
                let centred = x.var - x.var.mean_keeping(&axes);
                centred * (x.var.variance_keeping(&axes) + epsilon).rsqrt()
            }
        };
        if let Some(gamma) = a.optional("gamma")? {
            y = y * along_axes(gamma.floats(), &axes, x)?;
        }
        if let Some(beta) = a.optional("beta")? {
            y = y + along_axes(beta.floats(), &axes, x)?;
        }
        one(x.with(y))
    })
    .within(NN),
    Declared::new("RMSNorm", Takes::Values(&["x", "scale"]), |a| {
        let x = a.tensor("x")?.to_float();
        let axes = x.axes(Some(
            &a.settings.get::<Vec<isize>>("axis")?.unwrap_or(vec![-1]),
        ))?;
        let epsilon = a.settings.or::<f32>("epsilon", 1e-7)?;
        let mut y = x.var * (x.var.square().mean_keeping(&axes) + epsilon).rsqrt();
        if let Some(scale) = a.optional("scale")? {
            y = y * along_axes(scale.floats(), &axes, x)?;
        }
        one(x.with(y))
    })
    .within(NN),
    Declared::new(
        "BatchNorm",
        Takes::Values(&["x", "mean", "variance", "offset", "scale"]),
        normalized_by_batch,
    )
    .within(NN),
    Declared::new(
        "DotProductAttention",
        Takes::Values(&["query", "key", "value", "bias", "mask", "scale"]),
        attention,
    )
    .within(NN),
    Declared::new("DepthToSpace", X, |a| {
        let x = a.tensor("x")?;
        let (block, first) = (
            a.settings.required::<usize>("block_size")?,
            !channels_last(a)?,
        );
        one(in_format(x, first, |x| {
            let (batch, [rows, columns, channels]) = four(x)?;
            let block_fits = block > 0 && channels.is_multiple_of(block * block);
            require(
                block_fits,
                "block_size",
                "blocks that the channels divide into",
                block,
            )?;
            let out = channels / (block * block);
            let split = [rows, columns, block, block, out].map(Dim::Fixed);
            let split: Vec<Dim> = std::iter::once(batch).chain(split).collect();
            let moved = x.reshape(split).permute(&[0, 1, 3, 2, 4, 5]);
            let sizes = [rows * block, columns * block, out].map(Dim::Fixed);
            Ok(moved.reshape(std::iter::once(batch).chain(sizes).collect::<Vec<Dim>>()))
        })?)
    })
    .within(NN)
    .like(&[function(
        "nn.depth_to_space depth_to_space",
        "input=x block_size data_format",
    )]),
    Declared::new("SpaceToDepth", X, |a| {
        let x = a.tensor("x")?;
        let (block, first) = (
            a.settings.required::<usize>("block_size")?,
            !channels_last(a)?,
        );
        one(in_format(x, first, |x| {
            let (batch, [rows, columns, channels]) = four(x)?;
            let fits = block > 0 && rows.is_multiple_of(block) && columns.is_multiple_of(block);
            require(
                fits,
                "block_size",
                "blocks that the image divides into",
                block,
            )?;
            let (down, right) = (rows / block, columns / block);
            let split = [down, block, right, block, channels].map(Dim::Fixed);
            let split: Vec<Dim> = std::iter::once(batch).chain(split).collect();
            let moved = x.reshape(split).permute(&[0, 1, 3, 2, 4, 5]);
            let sizes = [down, right, channels * block * block].map(Dim::Fixed);
            Ok(moved.reshape(std::iter::once(batch).chain(sizes).collect::<Vec<Dim>>()))
        })?)
    })
    .within(NN)
    .like(&[function(
        "nn.space_to_depth space_to_depth",
        "input=x block_size data_format",
    )]),
];

/// Whether the channels stand last, in Keras' words or TensorFlow's.
pub(super) fn channels_last(a: &Arguments<'_, '_>) -> Result<bool, Detail> {
    match a.settings.text("data_format", "channels_last")? {
        "channels_last" | "NWC" | "NHWC" | "NDHWC" => Ok(true),
        "channels_first" | "NCW" | "NCHW" | "NCDHW" => Ok(false),
        other => {
            let expected = "\"channels_last\" or \"channels_first\"";
            Err(a.settings.wrong("data_format", expected, &other.into()))
        }
    }
}

/// `function` on `x` with the channels last, and back.
pub(super) fn in_format<'g>(
    x: Typed<'g>,
    channels_first: bool,
    function: impl FnOnce(Var<'g>) -> Result<Var<'g>, Detail>,
) -> Result<Typed<'g>, Detail> {
    let rank = x.rank();
    if !channels_first || rank < 3 {
        return Ok(x.with(function(x.var)?));
    }
    let to_last: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
    let to_first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    Ok(x.with(function(x.var.permute(&to_last))?.permute(&to_first)))
}

/// The batch, rows, columns and channels of images.
fn four(x: Var<'_>) -> Result<(Dim, [usize; 3]), Detail> {
    let shape = x.shape();
    match shape.dims() {
        &[
            batch,
            Dim::Fixed(rows),
            Dim::Fixed(columns),
            Dim::Fixed(channels),
        ] => Ok((batch, [rows, columns, channels])),
        _ => Err(Detail::new(
            "",
            "images (batch, rows, columns, channels)",
            shape,
        )),
    }
}

/// A weight with one axis for each of `axes` of `x`, shaped so that it goes with `x`.
fn along_axes<'g>(weight: Var<'g>, axes: &[usize], x: Typed<'_>) -> Result<Var<'g>, Detail> {
    let shape = x.shape();
    let at = |axis: usize| match axes.contains(&axis) {
        true => shape.dims()[axis],
        false => Dim::Fixed(1),
    };
    let wide: Shape = (0..shape.rank()).map(at).collect();
    match weight.shape().broadcast(&wide) {
        Some(all) if all == wide => Ok(weight),
        _ if weight.shape().len(1) == wide.len(1) => Ok(weight.reshape(wide)),
        _ => Err(Detail::new(
            "",
            format!("a weight that goes with {shape}"),
            weight.shape(),
        )),
    }
}

/// A number for each of `axes` spatial axes; TensorFlow gives those of the batch and the channels
/// too.
pub(super) fn per_axis(
    a: &Arguments<'_, '_>,
    name: &'static str,
    axes: usize,
    channels_first: bool,
) -> Result<Option<Vec<usize>>, Detail> {
    let Some(value) = a.settings.value(name).cloned() else {
        return Ok(None);
    };
    let wrong = || {
        let expected = format!("a number of at least 1, or {axes} of them");
        a.settings.wrong(name, &expected, &value)
    };
    let size = |value: &Value| {
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=1 << 14).contains(size))
    };
    let sizes: Option<Vec<usize>> = match &value {
        Value::Array(sizes) => sizes.iter().map(size).collect(),
        one => size(one).map(|size| vec![size]),
    };
    let sizes = sizes.ok_or_else(wrong)?;
    match sizes.len() {
        1 => Ok(Some(vec![sizes[0]; axes])),
        count if count == axes => Ok(Some(sizes)),
        count if count == axes + 2 => {
            let from = if channels_first { 2 } else { 1 };
            Ok(Some(sizes[from..from + axes].to_vec()))
        }
        _ => Err(wrong()),
    }
}

/// The window over images with these settings, and its place on an input.
pub(super) fn window(
    a: &Arguments<'_, '_>,
    size: &[usize],
    strides: Option<Vec<usize>>,
    dilation: Option<Vec<usize>>,
    x: Var<'_>,
) -> Result<Window, Detail> {
    let axes = size.len();
    let shape = x.shape();
    let input: Option<Vec<usize>> = shape.dims()[1..shape.rank() - 1]
        .iter()
        .map(|dim| dim.fixed())
        .collect();
    let input = input.ok_or_else(|| Detail::new("", "the batch in front alone", shape))?;
    let window = Window::new(size)
        .strides(&strides.unwrap_or(vec![1; axes]))
        .dilation(&dilation.unwrap_or(vec![1; axes]));
    let padding = a.settings.text("padding", "valid")?.to_ascii_lowercase();
    match padding.as_str() {
        "valid" => Ok(window),
        "same" => Ok(window.same_padding(&input)),
        "causal" if axes == 1 => {
            let before = window.reach(2) - 1;
            Ok(window.padding(&[(before, 0)]))
        }
        _ => {
            let expected = "\"valid\" or \"same\"";
            Err(a.settings.wrong("padding", expected, &padding.into()))
        }
    }
}

fn spatial_axes(x: Typed<'_>) -> Result<usize, Detail> {
    let expected = "values of (batch, one to three spatial axes, channels)";
    require(
        (3..=5).contains(&x.rank()),
        "inputs",
        expected,
        x.shape().to_string(),
    )?;
    Ok(x.rank() - 2)
}

fn pool<'g>(a: &Arguments<'g, '_>, apply: impl Fn(Var<'g>, Window) -> Var<'g>) -> Results<'g> {
    let x = a.tensor("inputs")?.to_float();
    let (axes, first) = (spatial_axes(x)?, !channels_last(a)?);
    let size = per_axis(a, "pool_size", axes, first)?.unwrap_or(vec![2; axes]);
    let strides = per_axis(a, "strides", axes, first)?.unwrap_or(size.clone());
    one(in_format(x, first, |x| {
        Ok(apply(x, window(a, &size, Some(strides), None, x)?))
    })?)
}

fn adaptive_pool<'g>(
    a: &Arguments<'g, '_>,
    apply: impl Fn(Var<'g>, Window) -> Var<'g>,
) -> Results<'g> {
    let x = a.tensor("inputs")?.to_float();
    let (axes, first) = (spatial_axes(x)?, !channels_last(a)?);
    let Some(size) = per_axis(a, "output_size", axes, first)? else {
        let expected = "a number of windows for each axis";
        return Err(a.settings.wrong("output_size", expected, &Value::Null));
    };
    one(in_format(x, first, |x| Ok(pooled_to(x, &size, &apply)))?)
}

fn convolve<'g>(
    a: &Arguments<'g, '_>,
    apply: impl Fn(Var<'g>, Var<'g>, Window, usize) -> Var<'g>,
) -> Results<'g> {
    let kernel = a.tensor("kernel")?.floats();
    convolve_with(a, kernel, apply)
}

fn convolve_with<'g>(
    a: &Arguments<'g, '_>,
    kernel: Var<'g>,
    apply: impl Fn(Var<'g>, Var<'g>, Window, usize) -> Var<'g>,
) -> Results<'g> {
    a.settings.ignore(&["use_cudnn_on_gpu"]);
    let x = a.tensor("inputs")?.to_float();
    let (axes, first) = (spatial_axes(x)?, !channels_last(a)?);
    let strides = per_axis(a, "strides", axes, first)?;
    let dilation = per_axis(a, "dilation_rate", axes, first)?;
    let sizes = kernel
        .shape()
        .fixed()
        .filter(|sizes| sizes.len() == axes + 2);
    let Some(sizes) = sizes else {
        let expected = format!("a constant of {} axes", axes + 2);
        return Err(Detail::new("kernel", expected, kernel.shape()));
    };
    one(in_format(x, first, |x| {
        let window = window(a, &sizes[..axes], strides, dilation, x)?;
        let channels = x.shape().dims()[axes + 1].size(0);
        let fits = sizes[axes] > 0 && channels.is_multiple_of(sizes[axes]);
        require(
            fits,
            "kernel",
            &format!("a kernel for {channels} channels"),
            &sizes,
        )?;
        Ok(apply(x, kernel, window, channels / sizes[axes]))
    })?)
}

/// (x − mean) / √(variance + ε) · scale + offset, along axes.
fn normalized_by_batch<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?.to_float();
    let axes = x.axes(Some(
        &a.settings.get::<Vec<isize>>("axis")?.unwrap_or(vec![-1]),
    ))?;
    let epsilon = a.settings.or::<f32>("epsilon", 1e-3)?;
    let shaped = |value: Typed<'g>| along_axes(value.floats(), &axes, x);
    let mut factor = (shaped(a.tensor("variance")?)? + epsilon).rsqrt();
    if let Some(scale) = a.optional("scale")? {
        factor = factor * shaped(scale)?;
    }
    let mut y = (x.var - shaped(a.tensor("mean")?)?) * factor;
    if let Some(offset) = a.optional("offset")? {
        y = y + shaped(offset)?;
    }
    one(x.with(y))
}

/// softmax(q · kᵀ · scale + bias, masked) · v, for `(batch, steps, heads, size)`.
fn attention<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let all = promoted(&[a.tensor("query")?, a.tensor("key")?, a.tensor("value")?]);
    let [query, key, value] = [all[0], all[1], all[2]].map(Typed::to_float);
    a.settings
        .ignore(&["flash_attention", "attn_logits_soft_cap"]);
    let fits = [query, key, value].iter().all(|x| x.rank() == 4);
    require(
        fits,
        "query",
        "values of (batch, steps, heads, size)",
        query.shape().to_string(),
    )?;
    let size = query.size(3);
    let scale = match a.optional("scale")? {
        Some(scale) => scale.floats(),
        None => a.graph().number(1.0 / (size.max(1) as f32).sqrt()),
    };
    // Several heads of queries may share one of keys.
    let heads = query.size(2);
    let shared = |x: Typed<'g>| -> Result<Var<'g>, Detail> {
        let own = x.size(2);
        let fits = own > 0 && heads.is_multiple_of(own);
        require(fits, "key", &format!("heads that {heads} divide into"), own)?;
        let times = heads / own;
        Ok(x.var
            .pick(2, super::indices((0..heads).map(|head| head / times))))
    };
    let steps = |x: Var<'g>| x.permute(&[0, 2, 1, 3]);
    let (q, k, v) = (steps(query.var), steps(shared(key)?), steps(shared(value)?));
    let mut logits = q.batch_matmul(k, false, true) * scale;
    if let Some(cap) = a.settings.get::<f32>("attn_logits_soft_cap")? {
        logits = (logits / cap).tanh() * cap;
    }
    if let Some(bias) = a.optional("bias")? {
        logits = logits + bias.floats();
    }
    // What is masked counts for nothing, but where everything is, all count the same.
    let least = -0.7 * f32::MAX;
    if let Some(mask) = a.optional("mask")? {
        logits = mask.truth().select(logits, least);
    }
    if a.settings.or::<bool>("is_causal", false)? {
        let (rows, columns) = (query.size(1), key.size(1));
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let seen = cells
            .map(|(row, column)| f32::from(column <= row))
            .collect();
        let seen = super::typed::floats(a.graph(), vec![rows, columns], seen);
        logits = seen.select(logits, least);
    }
    let y = product(logits.softmax(), v)?.permute(&[0, 2, 1, 3]);
    one(query.with(y))
}
