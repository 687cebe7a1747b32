//! A model whose layers follow one another.

use regraft_autograd::Shape;
use regraft_tensor::Detail;

use crate::contract::layer::LayerSpec;
use crate::layers::Input;
use crate::models::model::Model;
use crate::models::topology::{Body, Container};
use crate::{Error, Result};

/// Makes a stack of layers, each applied to the output of the one before. It is only the name of the
/// constructor: what it gives is a [`Model`].
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
#[derive(Clone, Copy, Debug)]
pub enum Sequential {}

impl Sequential {
    /// A model of these layers. If the first is an [`Input`] (or a built model), weights are made at
    /// once; otherwise when the shape of a sample becomes known ([`Model::build`], `fit`).
    ///
    /// # Errors
    /// A layer that refuses its input, or a name that is there twice.
    #[expect(clippy::new_ret_no_self, reason = "it is the name of a constructor")]
    pub fn new(layers: Vec<LayerSpec>) -> Result<Model> {
        Self::with_seed(layers, 0)
    }

    /// As [`new`](Self::new), with first weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_seed(layers: Vec<LayerSpec>, seed: u64) -> Result<Model> {
        let mut model = Model::empty("sequential", Container::Sequential);
        model.seed = seed;
        for layer in layers {
            model.try_add(layer)?;
        }
        Ok(model)
    }
}

/// What stacks alone can do.
impl Model {
    /// Refuses a model that is no stack.
    fn require_stack(&self) -> Result<()> {
        match self.topology.container {
            Container::Sequential => Ok(()),
            container => {
                let received = format!("a {} one", container.class_name());
                let detail = Detail::new(&self.name, "a sequential model", received);
                let help = "`with_head`, `replace_head` and `cut_at` take any model";
                Err(Error::Model(detail.help(help)))
            }
        }
    }

    /// Appends a layer to a stack.
    ///
    /// # Errors
    /// If the layer refuses its input or its name is taken, and if the model is no stack; it is unchanged
    /// then.
    pub fn add(&mut self, layer: impl Into<LayerSpec>) -> Result<()> {
        self.require_stack()?;
        let before = self.same();
        let added = self.try_add(layer.into());
        if added.is_err() {
            *self = before;
        }
        added
    }

    fn try_add(&mut self, layer: LayerSpec) -> Result<()> {
        let position = self.insert(layer)?;
        let first = position == 0;
        let entry = &self.topology.layers[position];
        if !first && entry.is_input() {
            return Err(Error::Model(Detail::new(
                &entry.name,
                "an input as the first layer only",
                format!("one at position {position}"),
            )));
        }
        match (first, self.topology.built) {
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
                let with_input = self.topology.layers[0].is_input();
                if with_input {
                    self.begin()
                } else {
                    self.build_from(&shape)
                }
            }
            (false, true) => self.append_call(position),
            (false, false) => Ok(()),
        }
    }

    /// Makes the weights of a stack for samples of shape `sample`. Does nothing if they are there for
    /// this shape.
    ///
    /// # Errors
    /// A layer that refuses its input, weights that are there for another shape, and a model that is no
    /// stack.
    pub fn build(&mut self, sample: &[usize]) -> Result<()> {
        self.require_stack()?;
        let shape = Shape::batch_of(sample);
        if self.topology.built {
            let expected = self.input_shapes();
            if expected.first() == Some(&shape) {
                return Ok(());
            }
            let expected = expected.first().map(Shape::to_string).unwrap_or_default();
            return Err(Error::Shape(Detail::new(&self.name, expected, shape)));
        }
        let before = self.same();
        let built = self.build_from(&shape);
        if built.is_err() {
            *self = before;
        }
        built
    }

    /// Puts an input in front of the layers and connects them all.
    fn build_from(&mut self, shape: &Shape) -> Result<()> {
        let sample = shape.sample().unwrap_or_default();
        let input: LayerSpec = Input::new(sample).into();
        self.insert(input)?;
        let input = self.topology.layers.pop();
        self.topology.layers.splice(0..0, input);
        self.begin()
    }

    /// Connects all layers, the first of which is the input.
    fn begin(&mut self) -> Result<()> {
        self.topology.calls.clear();
        let values = self.connect(0, &[])?;
        self.topology.inputs.clone_from(&values);
        self.topology.outputs = values;
        self.topology.built = true;
        for position in 1..self.topology.layers.len() {
            self.append_call(position)?;
        }
        Ok(())
    }

    /// Removes the last layer of a stack and returns its name, as Keras' `pop`: the way to a new head.
    ///
    /// # Errors
    /// If there is no layer left but the input, and if the model is no stack.
    pub fn pop(&mut self) -> Result<String> {
        self.require_stack()?;
        let topology = &mut self.topology;
        let last = topology.layers.pop_if(|entry| !entry.is_input());
        let Some(entry) = last else {
            let detail = Detail::new(&self.name, "a layer to remove", "none");
            return Err(Error::Model(detail));
        };
        if topology.built {
            topology.calls.pop();
            match topology.calls.len().checked_sub(1) {
                Some(last) => topology.outputs = topology.outputs_of(last),
                None => topology.built = false,
            }
        }
        self.compact();
        Ok(entry.name)
    }
}
