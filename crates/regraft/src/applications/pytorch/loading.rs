//! State dicts in networks: by the names that modules have, which are those of the layers here.

use std::path::Path;

use regraft_io::Checkpoint;
use regraft_layers::IntoSelector;
use regraft_tensor::{Detail, Tensor};

use super::network::PyTorchNetwork;
use super::recognition::{are_one, is_state_dict, names, note, recognize};
use crate::applications::Options;
use crate::{Error, Layout, Load, LoadReport, Model, Result};

/// A part of torchvision's InceptionV3 that is there in training alone.
const IN_TRAINING: &str = "AuxLogits.";

impl PyTorchNetwork {
    /// Loads a file into the network that was built with these settings: a state dict, or weights that were saved
    /// here.
    ///
    /// # Errors
    /// [`Error::Load`] with what does not fit, and which network the file is of.
    pub(in crate::applications) fn load(
        &self,
        model: &mut Model,
        path: &Path,
        options: &Options,
    ) -> Result<LoadReport> {
        let checkpoint = regraft_io::read(path)?;
        self.load_checkpoint(model, &checkpoint, &path.display().to_string(), options)
    }

    /// As [`load`](Self::load), from a checkpoint in memory.
    ///
    /// # Errors
    /// As that.
    pub(in crate::applications) fn load_checkpoint(
        &self,
        model: &mut Model,
        checkpoint: &Checkpoint,
        source: &str,
        options: &Options,
    ) -> Result<LoadReport> {
        let mut load = Load::new().without_optimizer();
        if is_state_dict(checkpoint) {
            load = load.layout(Layout::PyTorch);
            let body = self.body.clone();
            let rename = move |name: &str| body.renamed(name).unwrap_or_else(|| name.to_string());
            load = load.rename(rename);
            if !self.body.flattens() {
                // No feature changes its place, whatever reshapes there are.
                load = load.as_stored((..).into_selector());
            }
            load.ignored = vec![IN_TRAINING];
            if !options.include_top {
                load.ignored.extend(self.body.beside());
            }
        }
        let classes = self.published().map(|it| it.classes);
        if options.imagenet_weights && options.include_top && classes != Some(options.classes) {
            load = load.keep(self.body.classifier());
        }
        let loaded = model.load_checkpoint(checkpoint, source, load);
        loaded.map_err(|error| match error {
            Error::Load(mut error) => {
                error.0.notes.extend(note(checkpoint));
                Error::Load(error)
            }
            error => error,
        })
    }

    /// Gives a network of images with any number of channels the weights of one of three, as timm does: of the first
    /// convolution, for one channel the sum over the colours, otherwise these again and again, three nth of them.
    ///
    /// # Errors
    /// Weights of other layers that are not alike.
    pub(in crate::applications) fn adapt_channels(
        &self,
        model: &mut Model,
        of_colours: &Model,
    ) -> Result<()> {
        let first = format!("{}/kernel", self.body.first());
        let mut values = Vec::new();
        for weight in model.network.weights().iter() {
            let Some(theirs) = of_colours.network.weight(weight.path()) else {
                continue;
            };
            let value = match weight.path() == first {
                true => other_channels(theirs.value(), weight.value().shape()),
                false => theirs.value().clone(),
            };
            values.push((weight.id(), value));
        }
        model.network.set_weights(values)?;
        Ok(())
    }
}

/// The network that a state dict is of, with its weights; `None` if it is of none that is known.
///
/// # Errors
/// Networks that have the same tensors and do not compute the same.
pub(crate) fn opened(checkpoint: &Checkpoint, source: &str) -> Result<Option<(Model, LoadReport)>> {
    let Some((networks, classes)) = recognize(checkpoint) else {
        return Ok(None);
    };
    let names = names(&networks);
    if !are_one(&networks) {
        let detail = Detail::new(
            source,
            "tensors of one network",
            format!("those of {names}"),
        );
        let help = "say which: `applications::….weights(path).build()`";
        return Err(Error::File(detail.help(help)));
    }
    let application = networks[0].clone().classes(classes);
    let mut model = application.build()?.model;
    let options = application.checked_options()?;
    let network = application.architecture();
    let mut report = network.load_checkpoint(&mut model, checkpoint, source, &options)?;
    report.notes.push(format!("the network is {names}"));
    Ok(Some((model, report)))
}

/// The kernel `(rows, columns, 3, filters)` for other channels.
fn other_channels(kernel: &Tensor, shape: &[usize]) -> Tensor {
    let [channels, filters] = [shape[2], shape[3]];
    let colours = kernel.shape()[2];
    let factor = colours as f32 / channels as f32;
    let mut values = Vec::with_capacity(shape.iter().product());
    for cell in kernel.as_slice().chunks_exact(colours * filters) {
        for channel in 0..channels {
            for filter in 0..filters {
                let of = |colour: usize| cell[colour * filters + filter];
                values.push(match channels {
                    1 => (0..colours).map(of).sum::<f32>(),
                    _ => of(channel % colours) * factor,
                });
            }
        }
    }
    Tensor::new(shape, values).expect("as many values as the shape has")
}
