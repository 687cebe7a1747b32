//! The model: a network of layers with, once compiled, what trains it.

use std::collections::HashMap;
use std::sync::Arc;

use regraft_autograd::{DataType, Graph, Nodes, Shape, Var, VariableId};
use regraft_layers::adapters::{Adapter, AdapterState};
use regraft_layers::{
    Constraint, ElementType, Emission, Freezing, IntoSelector, LayerExt, LayerInfo, LayerKey,
    LayerSpec, Mode, Model as Network, ParameterCount, Place, Weight, WeightRegularizer,
    WeightStore,
};
use regraft_tensor::Tensor;
use serde_json::Value;

use crate::Result;
use crate::training::compiled::Training;
use crate::training::frozen_precision::Calibrated;
use crate::training::inputs::Inputs;
use crate::training::predict::Kept;

/// A network of layers that can be trained, loaded and saved. [`Sequential`](crate::Sequential) and
/// [`Functional`](crate::Functional) make it, [`Model::open`] reads it from a file.
///
/// There is nothing to recompile after layers have been frozen or unfrozen: what is trainable is
/// read at every `fit`, and the optimizer's memory belongs to the parameters.
///
/// A clone has everything that this one has, the optimizer's memory and what the metrics have seen
/// included: training it gives the same bytes. It is another model all the same, and nothing that is done
/// to the one changes the other.
#[derive(Debug)]
pub struct Model {
    pub(crate) network: Network,
    pub(crate) training: Option<Training>,
    pub(crate) class_names: Option<Vec<String>>,
    /// With what numbers frozen layers are computed, if not with 32-bit floats.
    pub(crate) precision: Option<Arc<Calibrated>>,
    /// What prediction has compiled.
    pub(crate) kept: Kept,
}

/// Makes a model of any topology: layers are applied to outputs of layers. What
/// [`regraft_layers::Functional`] documents, with models that can be trained.
///
/// ```
/// use regraft::prelude::*;
/// use regraft::layers::{Add, Functional};
///
/// let mut f = Functional::new();
/// let x = f.input([8]);
/// let h = f.apply(Dense::new(8).activation("relu"), &[x])?;
/// let y = f.apply(Add, &[x, h])?;
/// let mut model = f.model(&[x], &[y])?;
/// model.compile("adam", "mse", ())?;
/// # Ok::<(), regraft::Error>(())
/// ```
pub type Functional = regraft_layers::FunctionalBuilder<Model>;

impl Clone for Model {
    fn clone(&self) -> Self {
        let network = self.network.clone();
        let mut training = self.training.clone();
        if let Some(training) = &mut training {
            // The memory goes to the weights of the copy, which have ids of their own.
            let ids = |network: &Network| -> Vec<u64> {
                network
                    .weights()
                    .iter()
                    .map(|weight| weight.id().0 as u64)
                    .collect()
            };
            let copies: HashMap<u64, u64> =
                ids(&self.network).into_iter().zip(ids(&network)).collect();
            training.optimizer.rename_ids(|id| copies.get(&id).copied());
        }
        Model {
            network,
            training,
            class_names: self.class_names.clone(),
            precision: self.precision.clone(),
            kept: Kept::default(),
        }
    }
}

impl From<Network> for Model {
    fn from(network: Network) -> Self {
        Model {
            network,
            training: None,
            class_names: None,
            precision: None,
            kept: Kept::default(),
        }
    }
}

impl AsRef<Network> for Model {
    fn as_ref(&self) -> &Network {
        &self.network
    }
}

/// The network, to be changed by what [`regraft_layers`] offers; training follows.
impl AsMut<Network> for Model {
    fn as_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

/// A model as a layer of another: `f.apply(backbone.named("backbone"), &[x])`.
impl From<Model> for LayerSpec {
    fn from(model: Model) -> Self {
        model.network.into()
    }
}

impl LayerExt for Model {}

impl Model {
    /// The network alone, for what works on [`regraft_layers::Model`].
    pub fn into_network(self) -> Network {
        self.network
    }

    /// The names of the classes, in the order of the outputs, if they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// Gives the classes names. They are saved with the model, and weights of a head that was
    /// trained for other classes are refused.
    pub fn set_class_names<S: Into<String>>(&mut self, names: impl IntoIterator<Item = S>) {
        self.class_names = Some(names.into_iter().map(Into::into).collect());
    }

    /// Writes the network into a graph; see [`regraft_layers::Model::emit`].
    ///
    /// # Errors
    /// As that.
    pub fn emit<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        mode: Mode,
    ) -> Result<(Vec<Var<'g>>, Emission<'g>)> {
        Ok(self.network.emit(graph, inputs, mode)?)
    }

    /// The model's data-flow graph: what is frozen as constants, what is trained as variables. It prints, and
    /// `to_svg` draws it.
    ///
    /// ```
    /// use regraft::extend::Mode;
    /// use regraft::prelude::*;
    ///
    /// let model = Sequential::new(layers![Input::new([4]), Dense::new(3).activation("relu")])?;
    /// let nodes = model.nodes(Mode::Inference)?;
    /// assert!(nodes.to_svg().contains("relu"));
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model that is not built.
    pub fn nodes(&self, mode: Mode) -> Result<Nodes> {
        let inputs = Inputs::of(&self.network)?;
        let graph = Graph::new();
        let (outputs, _) = self.network.emit(&graph, &inputs.in_graph(&graph), mode)?;
        graph.check()?;
        Ok(graph.nodes_for(&outputs))
    }
}

/// Methods that do what the network's own of the same name does.
macro_rules! of_network {
    () => {};
    ($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> Result<Model>; $($rest:tt)*) => {
        $(#[$doc])*
        #[doc = concat!("See [`regraft_layers::Model::", stringify!($name), "`].\n\n# Errors\nAs that.")]
        pub fn $name(&self $(, $arg: $type)*) -> Result<Model> {
            let model = Model::from(self.network.$name($($arg),*)?);
            Ok(model.made_of(self))
        }
        of_network! { $($rest)* }
    };
    ($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> Result<$out:ty>; $($rest:tt)*) => {
        $(#[$doc])*
        #[doc = concat!("See [`regraft_layers::Model::", stringify!($name), "`].\n\n# Errors\nAs that.")]
        pub fn $name(&self $(, $arg: $type)*) -> Result<$out> {
            Ok(self.network.$name($($arg),*)?)
        }
        of_network! { $($rest)* }
    };
    ($(#[$doc:meta])* fn $name:ident(&mut self $(, $arg:ident: $type:ty)*) -> Result<$out:ty>; $($rest:tt)*) => {
        $(#[$doc])*
        #[doc = concat!("See [`regraft_layers::Model::", stringify!($name), "`].\n\n# Errors\nAs that.")]
        pub fn $name(&mut self $(, $arg: $type)*) -> Result<$out> {
            Ok(self.network.$name($($arg),*)?)
        }
        of_network! { $($rest)* }
    };
    ($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $out:ty; $($rest:tt)*) => {
        $(#[$doc])*
        #[doc = concat!("See [`regraft_layers::Model::", stringify!($name), "`].")]
        pub fn $name(&self $(, $arg: $type)*) -> $out {
            self.network.$name($($arg),*)
        }
        of_network! { $($rest)* }
    };
}

/// The layers and the weights.
impl Model {
    of_network! {
        /// The model's name.
        fn name(&self) -> &str;
        /// `Sequential` or `Functional`.
        fn class_name(&self) -> &'static str;
        /// Whether all layers have their weights.
        fn is_built(&self) -> bool;
        /// Makes the weights of a stack for samples of this shape.
        fn build(&mut self, sample: &[usize]) -> Result<()>;
        /// Appends a layer to a stack.
        fn add(&mut self, layer: impl Into<LayerSpec>) -> Result<()>;
        /// Removes the last layer of a stack and returns its name.
        fn pop(&mut self) -> Result<String>;
        /// The layers in order; those of nested models are in [`LayerInfo::layers`].
        fn layers(&self) -> Vec<LayerInfo<'_>>;
        /// The layer of this name, path or position: `model.get_layer(-1)`.
        fn get_layer(&self, layer: impl Into<LayerKey>) -> Result<LayerInfo<'_>>;
        /// Every layer and nested model, with what loading and saving need to know of it.
        fn places(&self) -> Vec<Place<'_>>;
        /// Numbers of elements: parameters that are trained, parameters that are frozen, and state.
        fn count_parameters(&self) -> ParameterCount;
        /// A number that changes with all that makes programs of the model invalid.
        fn revision(&self) -> u64;
        /// The shapes of the inputs.
        fn input_shapes(&self) -> Vec<Shape>;
        /// The shape of the output.
        fn output_shape(&self) -> Result<Shape>;
        /// The shapes of the outputs.
        fn output_shapes(&self) -> Vec<Shape>;
        /// The types of the inputs in the graph.
        fn input_types(&self) -> Vec<DataType>;
        /// The types of the inputs as Keras names them.
        fn input_element_types(&self) -> Vec<ElementType>;
        /// The types of the outputs as Keras names them.
        fn output_element_types(&self) -> Vec<ElementType>;
        /// The names of the inputs.
        fn input_names(&self) -> Vec<String>;
        /// The names of the outputs.
        fn output_names(&self) -> Vec<String>;
        /// The configuration, as Keras' `config.json`.
        fn to_config(&self) -> Value;
        /// The policies of element types that layers had in their file.
        fn policies(&self) -> Vec<(String, usize)>;
        /// The paths of the picked layers.
        fn select(&self, selector: impl IntoSelector) -> Result<Vec<String>>;
        /// The paths of the weights that a selector picks: `model.select_weights("**/bias")`.
        fn select_weights(&self, selector: impl IntoSelector) -> Result<Vec<String>>;
        /// Freezes the picked layers or single weights: `model.freeze(..-1)`.
        fn freeze(&mut self, selector: impl IntoSelector) -> Result<()>;
        /// Trains the picked layers again.
        fn unfreeze(&mut self, selector: impl IntoSelector) -> Result<()>;
        /// Says what training may change in the picked layers.
        fn set_freezing(&mut self, selector: impl IntoSelector, freezing: Freezing) -> Result<()>;
        /// A hash of everything that is frozen.
        fn frozen_digest(&self) -> u64;
        /// All weights in order.
        fn weights(&self) -> &WeightStore;
        /// The parameters that are trained, in order.
        fn trainable_weights(&self) -> Vec<&Weight>;
        /// The weight at a path: `model.weight("dense_1/kernel")`.
        fn weight(&self, path: &str) -> Option<&Weight>;
        /// Sets the values of the weight at a path.
        fn set_weight(&mut self, path: &str, value: Tensor) -> Result<()>;
        /// Sets the values of several weights: all or none.
        fn set_weights(&mut self, values: impl IntoIterator<Item = (VariableId, Tensor)>) -> Result<()>;
        /// Sets all weights of a layer, in order.
        fn set_layer_weights(&mut self, layer: impl Into<LayerKey>, values: Vec<Tensor>) -> Result<()>;
        /// Sets the regularizer of the picked parameters.
        fn set_regularizer(&mut self, selector: impl IntoSelector, regularizer: impl Into<WeightRegularizer>) -> Result<()>;
        /// Sets the constraint of the picked parameters.
        fn set_constraint(&mut self, selector: impl IntoSelector, constraint: impl Into<Constraint>) -> Result<()>;
        /// Makes one layer of those at these paths, which must be alike.
        fn share_layers(&mut self, paths: &[impl AsRef<str>]) -> Result<()>;
        /// The paths of layers that are one.
        fn shared_layers(&self) -> Vec<Vec<String>>;
        /// Says what layers are called in PyTorch, by their paths.
        fn set_module_names(&mut self, names: impl IntoIterator<Item = (impl AsRef<str>, impl Into<String>)>) -> Result<()>;
    }

    /// Gives the model a name.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.network.set_name(name);
    }
}

/// Adapters: what is trained beside weights that stay as they are.
impl Model {
    of_network! {
        /// Puts an adapter onto the picked layers, makes it the active one, and freezes everything else:
        /// `model.adapt("block_1*", Lora::rank(8).modules_to_save("head"))`.
        fn adapt(&mut self, selector: impl IntoSelector, adapter: impl Into<Adapter>) -> Result<()>;
        /// As [`adapt`](Self::adapt), under another name, and without making it the active one.
        fn add_adapter(&mut self, name: &str, selector: impl IntoSelector, adapter: impl Into<Adapter>) -> Result<()>;
        /// Makes this adapter the only one that counts.
        fn set_adapter(&mut self, name: &str) -> Result<()>;
        /// Makes these adapters count together; none of them for the base alone.
        fn set_adapters(&mut self, names: &[&str]) -> Result<()>;
        /// Removes an adapter with its weights.
        fn delete_adapter(&mut self, name: &str) -> Result<()>;
        /// Computes the active adapters into the weights of their layers.
        fn merge_adapter(&mut self) -> Result<()>;
        /// Puts the bytes back that weights had before they were merged.
        fn unmerge_adapter(&mut self) -> Result<()>;
        /// Merges the active adapters for good.
        fn merge_and_unload(&mut self) -> Result<()>;
        /// Whether adapters are merged into the weights.
        fn is_merged(&self) -> bool;
        /// The names of its adapters.
        fn adapters(&self) -> Vec<String>;
        /// The names of the adapters that count.
        fn active_adapters(&self) -> Vec<String>;
        /// An adapter apart from the model.
        fn adapter_state(&self, name: &str) -> Result<AdapterState>;
        /// Puts an adapter with its values onto the model.
        fn insert_adapter(&mut self, name: &str, state: AdapterState) -> Result<()>;
    }
}

/// Surgery: new models out of this one, which stays as it is. They are not compiled.
impl Model {
    of_network! {
        /// A model that ends at the output of a layer: `model.cut_at("out_relu")`.
        fn cut_at(&self, layer: impl Into<LayerKey>) -> Result<Model>;
        /// A model that ends where a layer begins: `model.cut_before("head")` gives what the head takes.
        fn cut_before(&self, layer: impl Into<LayerKey>) -> Result<Model>;
        /// A model whose outputs are those of several layers, to be run with
        /// [`predict_all`](Self::predict_all).
        fn features(&self, layers: impl IntoIterator<Item = impl Into<LayerKey>>) -> Result<Model>;
        /// This model and `head` on top, with new weights.
        fn with_head(&self, head: Vec<LayerSpec>) -> Result<Model>;
        /// This model up to the output of the layer `after` (a name, a path, or a position: `-2` replaces
        /// the last layer), and then `head` with new weights.
        ///
        /// ```
        /// use regraft::layers::{Dense, Input, layers};
        /// use regraft::Sequential;
        ///
        /// let mut pretrained = Sequential::new(layers![
        ///     Input::new([8]),
        ///     Dense::new(4).activation("relu"),
        ///     Dense::new(1000),
        /// ])?;
        /// pretrained.freeze(..)?;
        /// let mut model = pretrained.replace_head(-2, layers![Dense::new(3).activation("softmax")])?;
        /// model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
        /// assert_eq!(model.count_parameters().trainable, 15);
        /// # Ok::<(), regraft::Error>(())
        /// ```
        fn replace_head(&self, after: impl Into<LayerKey>, head: Vec<LayerSpec>) -> Result<Model>;
        /// A model with another layer in the place of one:
        /// `model.replace_layer("hidden", Dense::new(32).activation("gelu"))`.
        fn replace_layer(&self, layer: impl Into<LayerKey>, with: impl Into<LayerSpec>) -> Result<Model>;
        /// A model with other layers in the place of all for which `map` gives one.
        fn map_layers(&self, map: impl Fn(&LayerInfo<'_>) -> Option<LayerSpec>) -> Result<Model>;
        /// A model with a layer in between: what took the output of `layer` takes that of `inserted`.
        fn insert_after(&self, layer: impl Into<LayerKey>, inserted: impl Into<LayerSpec>) -> Result<Model>;
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::{BatchNormalization, Dense, Input, layers};
    use crate::{Fit, Sequential, Verbosity};

    #[test]
    fn models_with_other_layers_train_and_stay_stacks() {
        let model =
            Sequential::with_seed(layers![Input::new([3]), Dense::new(4), Dense::new(2)], 1)
                .unwrap();
        let mut model = model
            .replace_layer("dense", Dense::new(4).activation("relu"))
            .and_then(|model| model.insert_after("dense", BatchNormalization::new()))
            .unwrap();
        model.freeze("dense").unwrap();
        model.compile("sgd", "mse", ()).unwrap();
        let x = ndarray::Array2::from_shape_fn((8, 3), |(i, j)| ((i * 3 + j) % 5) as f32);
        let y = ndarray::Array2::<f32>::ones((8, 2));
        let frozen = model.weight("dense/kernel").unwrap().value().clone();
        let options = Fit::new().epochs(2).verbosity(Verbosity::Silent);
        model.fit(&x, &y, options).unwrap();
        assert_eq!(model.weight("dense/kernel").unwrap().value(), &frozen);
        model.pop().unwrap();
    }
}
