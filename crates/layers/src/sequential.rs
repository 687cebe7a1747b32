//! A model whose layers follow one another.

use std::ops::{Deref, DerefMut};

use regraft_autograd::Shape;
use regraft_tensor::Detail;

use crate::layer::LayerSpec;
use crate::layers::Input;
use crate::model::Model;
use crate::topology::Body;
use crate::{Error, Result};

/// A stack of layers, each applied to the output of the one before.
///
/// It dereferences to [`Model`], which has everything that does not change the stack.
///
/// ```
/// use regraft_layers::{Dense, Input, Sequential, layers};
///
/// let mut model = Sequential::new(layers![
///     Input::new([784]),
///     Dense::new(32).activation("relu"),
///     Dense::new(10),
/// ])?;
/// model.freeze(..-1)?;
/// assert_eq!(model.count_parameters().trainable, 330);
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// Keras: <https://keras.io/api/models/sequential/>.
#[derive(Clone, Debug)]
pub struct Sequential {
    model: Model,
}

impl Deref for Sequential {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl DerefMut for Sequential {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.model
    }
}

impl AsRef<Model> for Sequential {
    fn as_ref(&self) -> &Model {
        &self.model
    }
}

impl From<Sequential> for Model {
    fn from(sequential: Sequential) -> Model {
        sequential.model
    }
}

impl TryFrom<Model> for Sequential {
    type Error = Error;

    fn try_from(model: Model) -> Result<Self> {
        if model.class_name() == "Sequential" {
            return Ok(Sequential { model });
        }
        let received = format!("a {} one", model.class_name());
        Err(Error::Model(Detail::new(
            model.name(),
            "a sequential model",
            received,
        )))
    }
}

impl Sequential {
    /// A model of these layers. If the first is an [`Input`] (or a built model), weights are made at
    /// once; otherwise when the shape of a sample becomes known ([`build`](Self::build), `fit`).
    ///
    /// # Errors
    /// A layer that refuses its input, or a name that is there twice.
    pub fn new(layers: Vec<LayerSpec>) -> Result<Self> {
        Self::with_seed(layers, 0)
    }

    /// As [`new`](Self::new), with first weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_seed(layers: Vec<LayerSpec>, seed: u64) -> Result<Self> {
        let mut model = Model::empty("sequential", "Sequential");
        model.seed = seed;
        let mut sequential = Sequential { model };
        for layer in layers {
            sequential.try_add(layer)?;
        }
        Ok(sequential)
    }

    /// Appends a layer.
    ///
    /// # Errors
    /// If the layer refuses its input or its name is taken; the model is unchanged then.
    pub fn add(&mut self, layer: impl Into<LayerSpec>) -> Result<()> {
        let before = self.model.same();
        let added = self.try_add(layer.into());
        if added.is_err() {
            self.model = before;
        }
        added
    }

    fn try_add(&mut self, layer: LayerSpec) -> Result<()> {
        let position = self.model.insert(layer)?;
        let first = position == 0;
        let entry = &self.model.topology.layers[position];
        if !first && entry.is_input() {
            return Err(Error::Model(Detail::new(
                &entry.name,
                "an input as the first layer only",
                format!("one at position {position}"),
            )));
        }
        match (first, self.model.topology.built) {
            (true, _) => {
                let shape = match (entry.leaf_as::<Input>(), &entry.body) {
                    (Some(input), _) => input.batch_shape(),
                    (None, Body::Nested(_)) => match entry.input_shapes.as_slice() {
                        [shape] => shape.clone(),
                        shapes => {
                            let received = format!("{} of them", shapes.len());
                            let detail = Detail::new(&entry.name, "a model of 1 input", received);
                            return Err(Error::Model(detail));
                        }
                    },
                    _ => return Ok(()),
                };
                let with_input = self.model.topology.layers[0].is_input();
                if with_input {
                    self.begin()
                } else {
                    self.build_from(&shape)
                }
            }
            (false, true) => self.model.append_call(position),
            (false, false) => Ok(()),
        }
    }

    /// Makes the weights for samples of shape `sample`. Does nothing if they are there for this
    /// shape.
    ///
    /// # Errors
    /// A layer that refuses its input, or weights that are there for another shape.
    pub fn build(&mut self, sample: &[usize]) -> Result<()> {
        let shape = Shape::batch_of(sample);
        if self.model.topology.built {
            let expected = self.model.input_shapes();
            if expected.first() == Some(&shape) {
                return Ok(());
            }
            let expected = expected.first().map(Shape::to_string).unwrap_or_default();
            return Err(Error::Shape(Detail::new(&self.model.name, expected, shape)));
        }
        let before = self.model.same();
        let built = self.build_from(&shape);
        if built.is_err() {
            self.model = before;
        }
        built
    }

    /// Puts an input in front of the layers and connects them all.
    fn build_from(&mut self, shape: &Shape) -> Result<()> {
        let sample = shape.sample().unwrap_or_default();
        let input: LayerSpec = Input::new(sample).into();
        self.model.insert(input)?;
        let input = self.model.topology.layers.pop();
        self.model.topology.layers.splice(0..0, input);
        self.begin()
    }

    /// Connects all layers, the first of which is the input.
    fn begin(&mut self) -> Result<()> {
        self.model.topology.calls.clear();
        let values = self.model.connect(0, &[])?;
        self.model.topology.inputs.clone_from(&values);
        self.model.topology.outputs = values;
        self.model.topology.built = true;
        for position in 1..self.model.topology.layers.len() {
            self.model.append_call(position)?;
        }
        Ok(())
    }

    /// The shape of the output.
    ///
    /// # Errors
    /// If the model is not built.
    pub fn output_shape(&self) -> Result<Shape> {
        self.model.require_built()?;
        Ok(self.model.output_shapes().pop().unwrap_or_default())
    }

    /// Removes the last layer and returns its name, as Keras' `pop`: the way to a new head.
    ///
    /// # Errors
    /// If there is no layer left but the input.
    pub fn pop(&mut self) -> Result<String> {
        let topology = &mut self.model.topology;
        let last = topology.layers.pop_if(|entry| !entry.is_input());
        let Some(entry) = last else {
            let detail = Detail::new(&self.model.name, "a layer to remove", "none");
            return Err(Error::Model(detail));
        };
        if topology.built {
            topology.calls.pop();
            match topology.calls.len().checked_sub(1) {
                Some(last) => topology.outputs = topology.outputs_of(last),
                None => topology.built = false,
            }
        }
        self.model.compact();
        Ok(entry.name)
    }
}
