//! Cutting a model and giving it a new head, as models that can be trained; see
//! [`regraft_layers::Model::cut_at`].

use regraft_layers::{LayerExt, LayerKey, LayerSpec};

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
