//! How other frameworks lay out and name the weights of a layer, and how they become Keras'.
//!
//! What is converted depends on the class of the layer alone, never on whether a shape happens to
//! fit: a square kernel of the wrong layout fits, and gives wrong numbers.

use regraft_io::Format;
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
/// | `PReLU` | `weight` (C) | `alpha` (1, 1, C) |
///
/// PyTorch's `num_batches_tracked` has no counterpart and is left aside. A dense layer after
/// `Flatten` sees channels last here; its kernel must be permuted by whoever knows the image's size.
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
        match format.to_string().as_str() {
            name if name.starts_with("PyTorch") => Layout::PyTorch,
            _ => Layout::Keras,
        }
    }

    /// What the weight `name` of a layer of this class may be called in a file.
    pub(crate) fn names<'n>(self, class: &str, name: &'n str) -> Vec<&'n str> {
        let theirs = match (self, name) {
            (Layout::Keras, _) => None,
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

    /// The tensor as the weight `name` of a layer of this class, which has shape `wanted`, and what
    /// was done to it.
    ///
    /// # Errors
    /// Why it cannot be converted.
    pub(crate) fn convert(
        self,
        class: &str,
        name: &str,
        tensor: Tensor,
        wanted: &[usize],
    ) -> Result<(Tensor, Option<&'static str>), String> {
        if self == Layout::Keras || tensor.ndim() < 2 && name != "alpha" {
            return Ok((tensor, None));
        }
        let Some(rule) = rule(class, name) else {
            return Err(format!("no rule for PyTorch's layout of a {class}"));
        };
        let rank = tensor.ndim();
        let converted = match rule {
            Rule::AsItIs => return Ok((tensor, None)),
            Rule::Expand => {
                let count = wanted.last().copied().unwrap_or(0);
                // One number per channel, or one for all, which only the same shape can take.
                let fits = tensor.shape() == wanted || tensor.len() != count;
                if fits || wanted.iter().product::<usize>() != count {
                    return Ok((tensor, None));
                }
                tensor.reshape(wanted).map(|t| (t, "C → 1…C"))
            }
            Rule::Kernel { spatial, .. } | Rule::Depthwise { spatial } if rank != spatial + 2 => {
                // Reported as a shape that differs.
                return Ok((tensor, None));
            }
            Rule::Kernel {
                spatial,
                transposed,
            } => {
                let mut axes: Vec<usize> = (2..rank).collect();
                axes.extend([1, 0]);
                let label = match (spatial, transposed) {
                    (0, _) => "OI → IO",
                    (1, false) => "OIW → WIO",
                    (2, false) => "OIHW → HWIO",
                    (_, false) => "OIDHW → DHWIO",
                    (1, true) => "IOW → WOI",
                    (2, true) => "IOHW → HWOI",
                    (_, true) => "IODHW → DHWOI",
                };
                permuted(&tensor, &axes).map(|t| (t, label))
            }
            Rule::Depthwise { spatial } => {
                // Output c·M + m is the m-th of input channel c in both.
                let channels = wanted.get(spatial).copied().unwrap_or(0).max(1);
                let outputs = tensor.shape()[0];
                if !outputs.is_multiple_of(channels) || tensor.shape()[1] != 1 {
                    return Ok((tensor, None));
                }
                let mut shape = vec![channels, outputs / channels];
                shape.extend(&tensor.shape()[2..]);
                let mut axes: Vec<usize> = (2..rank).collect();
                axes.extend([0, 1]);
                let label = match spatial {
                    1 => "(C·M)1W → WCM",
                    _ => "(C·M)1HW → HWCM",
                };
                let apart = tensor.reshape(&shape);
                apart.and_then(|t| permuted(&t, &axes)).map(|t| (t, label))
            }
        };
        converted
            .map(|(tensor, label)| (tensor, Some(label)))
            .map_err(|error| error.to_string())
    }
}

enum Rule {
    AsItIs,
    /// Further axes of size 1 in front.
    Expand,
    /// Of a dense layer or a convolution over so many axes.
    Kernel {
        spatial: usize,
        transposed: bool,
    },
    Depthwise {
        spatial: usize,
    },
}

fn rule(class: &str, name: &str) -> Option<Rule> {
    let kernel = |spatial, transposed| {
        Some(Rule::Kernel {
            spatial,
            transposed,
        })
    };
    match (class, name) {
        ("Dense", "kernel") => kernel(0, false),
        ("Conv1D", "kernel") | ("SeparableConv1D", "pointwise_kernel") => kernel(1, false),
        ("Conv2D", "kernel") | ("SeparableConv2D", "pointwise_kernel") => kernel(2, false),
        ("Conv3D", "kernel") => kernel(3, false),
        ("Conv1DTranspose", "kernel") => kernel(1, true),
        ("Conv2DTranspose", "kernel") => kernel(2, true),
        ("Conv3DTranspose", "kernel") => kernel(3, true),
        ("DepthwiseConv1D", "kernel" | "depthwise_kernel")
        | ("SeparableConv1D", "depthwise_kernel") => Some(Rule::Depthwise { spatial: 1 }),
        ("DepthwiseConv2D", "kernel" | "depthwise_kernel")
        | ("SeparableConv2D", "depthwise_kernel") => Some(Rule::Depthwise { spatial: 2 }),
        ("Embedding", "embeddings") => Some(Rule::AsItIs),
        ("LayerNormalization", _) => Some(Rule::AsItIs),
        ("PReLU", "alpha") => Some(Rule::Expand),
        _ => None,
    }
}

fn permuted(tensor: &Tensor, axes: &[usize]) -> regraft_tensor::Result<Tensor> {
    let shape: Vec<usize> = axes.iter().map(|&axis| tensor.shape()[axis]).collect();
    let mut values = vec![0.0; tensor.len()];
    permute(tensor.as_slice(), tensor.shape(), axes, &mut values);
    Tensor::new(shape, values)
}
