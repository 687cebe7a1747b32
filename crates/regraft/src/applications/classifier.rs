//! Another number of classes for a network that has learnt: timm's `reset_classifier`.

use regraft_tensor::Detail;

use crate::{Error, Model, Registry, Result};

impl Model {
    /// A new model that tells `classes` classes: its last layer with weights, a `Dense` or a `Conv2D`, has as many
    /// outputs, is called as before and has new weights; with as many classes as before it keeps what it has learnt.
    /// Everything else stays, what follows that layer too.
    ///
    /// ```
    /// use regraft::applications::torchvision;
    ///
    /// let backbone = torchvision::squeezenet1_1().input_shape([64, 64, 3]).build()?;
    /// let model = backbone.model.reset_classifier(5)?;
    /// assert_eq!(model.output_shape()?.to_string(), "(None, 5)");
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for 0 classes ([`cut_before`](Self::cut_before) ends a model where its classifier begins), and
    /// [`Error::Model`] for a model whose last layer with weights is another one.
    pub fn reset_classifier(&self, classes: usize) -> Result<Model> {
        if classes == 0 {
            let detail = Detail::new("classes", "at least 1", classes);
            let help = "`cut_before` ends a model where its classifier begins";
            return Err(Error::Setting(detail.help(help)));
        }
        let places = self.network.places();
        let last = places.iter().rfind(|place| !place.weights.is_empty());
        let setting = last.and_then(|place| match place.class_name {
            "Dense" => Some("units"),
            "Conv2D" => Some("filters"),
            _ => None,
        });
        let (Some(last), Some(setting)) = (last, setting) else {
            let expected = "a model that ends with a Dense or a Conv2D, as a classifier";
            let received = last.map_or("no weights", |place| place.class_name);
            let detail = Detail::new(self.name(), expected, received);
            return Err(Error::Model(
                detail.help("`replace_head` puts any layers in place of the last ones"),
            ));
        };
        let mut config = self.get_layer(last.path.as_str())?.config();
        config.insert(setting.to_string(), classes.into());
        let layer = Registry::new().layer(last.class_name, &config)?;
        self.replace_layer(last.path.as_str(), layer)
    }
}
