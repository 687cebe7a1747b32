//! Cutting a model and giving it a new head, as models that can be trained; see
//! [`regraft_layers::Model::cut_at`].

use regraft_layers::{LayerExt, LayerInfo, LayerKey, LayerSpec};

use crate::Result;
use crate::trainable::{Model, Network, Trainable};

impl<N: Network> Trainable<N> {
    /// A new model that ends at the output of a layer, not compiled:
    /// `model.cut_at("out_relu")`. Layers keep their names, weights and freezing states;
    /// nothing that is done to the new model changes this one.
    ///
    /// # Errors
    /// A layer that is not there, with the nearest names; one that is called more than once.
    pub fn cut_at(&self, layer: impl Into<LayerKey>) -> Result<Self> {
        Ok(N::from_model(self.network.model().cut_at(layer)?)?.into())
    }

    /// A new model whose outputs are those of several layers, not compiled:
    /// `model.features(["block1_pool", "block5_pool"])`, to be run with
    /// [`predict_all`](Self::predict_all).
    ///
    /// # Errors
    /// As [`cut_at`](Self::cut_at), and if no layer is named.
    pub fn features<K: Into<LayerKey>>(
        &self,
        layers: impl IntoIterator<Item = K>,
    ) -> Result<Model> {
        Ok(self.network.model().features(layers)?.into())
    }

    /// A new model: this one up to the output of the layer `after` (a name, a path, or a position:
    /// `-2` replaces the last layer), and then `head` with new weights; not compiled.
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
    ///
    /// # Errors
    /// As [`cut_at`](Self::cut_at), and what the layers of the head refuse.
    pub fn replace_head(&self, after: impl Into<LayerKey>, head: Vec<LayerSpec>) -> Result<Self> {
        Ok(N::from_model(self.network.model().replace_head(after, head)?)?.into())
    }

    /// A new model with another layer in the place of one, not compiled:
    /// `model.replace_layer("hidden", Dense::new(32).activation("gelu"))`. Weights that both have under one
    /// name in one shape keep their values. See [`regraft_layers::Model::replace_layer`].
    ///
    /// # Errors
    /// A layer that is not there, what the new layer refuses, and what those after it refuse of its output.
    pub fn replace_layer(
        &self,
        layer: impl Into<LayerKey>,
        with: impl Into<LayerSpec>,
    ) -> Result<Self> {
        Ok(N::from_model(self.network.model().replace_layer(layer, with)?)?.into())
    }

    /// A new model with other layers in the place of all for which `map` gives one, not compiled; as
    /// [`replace_layer`](Self::replace_layer) otherwise.
    ///
    /// # Errors
    /// As [`replace_layer`](Self::replace_layer).
    pub fn map_layers(&self, map: impl Fn(&LayerInfo<'_>) -> Option<LayerSpec>) -> Result<Self> {
        Ok(N::from_model(self.network.model().map_layers(map)?)?.into())
    }

    /// A new model with a layer in between, not compiled: what took the output of `layer` takes that of
    /// `inserted`.
    ///
    /// # Errors
    /// As [`replace_layer`](Self::replace_layer), and a layer that is called several times.
    pub fn insert_after(
        &self,
        layer: impl Into<LayerKey>,
        inserted: impl Into<LayerSpec>,
    ) -> Result<Self> {
        Ok(N::from_model(self.network.model().insert_after(layer, inserted)?)?.into())
    }

    /// A new model: this one and `head` on top, with new weights; not compiled.
    ///
    /// # Errors
    /// What the layers of the head refuse.
    pub fn with_head(&self, head: Vec<LayerSpec>) -> Result<Self> {
        Ok(N::from_model(self.network.model().with_head(head)?)?.into())
    }
}

/// A model as a layer of another: `f.apply(backbone.named("backbone"), &[x])`.
impl<N: Network + Into<LayerSpec>> From<Trainable<N>> for LayerSpec {
    fn from(model: Trainable<N>) -> Self {
        model.network.into()
    }
}

impl<N: Network + Into<LayerSpec>> LayerExt for Trainable<N> {}

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
