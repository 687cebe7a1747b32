//! What torchvision's and timm's networks have in common, and how one is built.

use std::fmt;
use std::sync::Arc;

use regraft_layers::{LayerOutput, Result};
use regraft_tensor::Detail;

use super::library::Library;
use super::published::{Published, published};
use super::writer::{Conventions, Torch, linear};
use crate::applications::weights::WeightsFile;
use crate::applications::{Application, Architecture, Blocks, Options, Preprocessing};

/// The layers of a family of networks.
pub(super) trait Body: fmt::Debug + Send + Sync {
    /// From the image to the features.
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput>;

    /// From the features to what the classifier takes.
    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = torch.global_pool("avgpool", features)?;
        torch.dropout("dropout", x)
    }

    /// The layer that tells the classes.
    fn classifier(&self) -> &'static str;

    /// The classifier.
    fn classify(
        &self,
        torch: &mut Torch<'_, '_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let layer = linear(options.classes).activation(options.classifier_activation.clone());
        torch.blocks.apply(self.classifier(), layer, features)
    }

    /// What follows a pooling in place of the top.
    fn after_pooling(
        &self,
        _torch: &mut Torch<'_, '_>,
        pooled: LayerOutput,
    ) -> Result<LayerOutput> {
        Ok(pooled)
    }

    /// Layers whose outputs are the features of the stages, each half as large as the one before.
    fn stages(&self) -> Vec<String>;

    /// The first convolution, which sees the colours.
    fn first(&self) -> &'static str;

    /// Beginnings of names of tensors that belong to the top, or to what is not built.
    fn beside(&self) -> &'static [&'static str];

    /// What tensors are called here that state dicts call otherwise.
    fn renamed(&self, _tensor: &str) -> Option<String> {
        None
    }

    /// Whether the top sees an image as a row.
    fn flattens(&self) -> bool {
        false
    }

    /// The smallest number of rows and columns.
    fn minimum_size(&self) -> usize {
        32
    }
}

/// A network of [`torchvision`](crate::applications::torchvision) or [`timm`](crate::applications::timm).
#[derive(Clone, Debug)]
pub struct PyTorchNetwork {
    pub(super) library: Library,
    pub(super) name: &'static str,
    pub(super) body: Arc<dyn Body>,
    pub(super) conventions: Conventions,
    pub(super) tag: Option<String>,
}

impl PyTorchNetwork {
    pub(super) fn new(library: Library, name: &'static str, body: impl Body + 'static) -> Self {
        PyTorchNetwork {
            library,
            name,
            body: Arc::new(body),
            conventions: Conventions {
                epsilon: 1e-5,
                momentum: 0.1,
                same: false,
                dropout: 0.0,
                drop_path: 0.0,
            },
            tag: None,
        }
    }

    pub(super) fn epsilon(mut self, epsilon: f32) -> Self {
        self.conventions.epsilon = epsilon;
        self
    }

    pub(super) fn momentum(mut self, momentum: f32) -> Self {
        self.conventions.momentum = momentum;
        self
    }

    pub(super) fn same(mut self) -> Self {
        self.conventions.same = true;
        self.epsilon(1e-3)
    }

    pub(super) fn dropout(mut self, rate: f32) -> Self {
        self.conventions.dropout = rate;
        self
    }

    pub(super) fn drop_path(mut self, rate: f32) -> Self {
        self.conventions.drop_path = rate;
        self
    }

    pub(super) fn application(self) -> Application<PyTorchNetwork> {
        Application::new(self).classifier_activation("linear")
    }

    /// Who wrote it.
    pub fn library(&self) -> Library {
        self.library
    }

    /// What it is called there.
    pub fn network(&self) -> &'static str {
        self.name
    }

    /// The published weights that are meant.
    pub(super) fn published(&self) -> Option<Published> {
        let mut all = published(self.library, self.name);
        match &self.tag {
            Some(tag) => all.find(|it| it.tag == tag),
            None => all.next(),
        }
    }

    pub(super) fn check_tag(&self) -> Result<(), Detail> {
        let Some(tag) = self.tag.as_ref().filter(|_| self.published().is_none()) else {
            return Ok(());
        };
        let known: Vec<&str> = published(self.library, self.name)
            .map(|it| it.tag)
            .collect();
        let expected = match known.is_empty() {
            true => "no tag: nobody publishes weights of this network".to_string(),
            false => known.join(", "),
        };
        Err(Detail::new("weights_tag", expected, format!("{tag:?}")))
    }
}

impl Architecture for PyTorchNetwork {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        self.published().map_or(224, |published| published.size)
    }

    fn minimum_size(&self) -> usize {
        self.body.minimum_size()
    }

    fn preprocessing(&self, options: &Options) -> Preprocessing {
        let colours = self.published().map(|it| it.preprocessing);
        let colours = colours.unwrap_or(Preprocessing::Torch);
        match (options.input_shape[2], colours) {
            // Of grey pixels the means of what colours have.
            (1, Preprocessing::Torch) => Preprocessing::Scaled {
                scale: 1.0 / (255.0 * 0.226),
                offset: -0.449 / 0.226,
            },
            (_, colours) => colours,
        }
    }

    fn imagenet_weights(&self, _options: &Options) -> Option<WeightsFile> {
        self.published().map(|published| published.file())
    }

    fn check(&self, _options: &Options) -> Result<(), Detail> {
        self.check_tag()?;
        let rates = [
            ("drop_rate", self.conventions.dropout),
            ("drop_path_rate", self.conventions.drop_path),
        ];
        let wrong = rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate));
        wrong.map_or(Ok(()), |(name, rate)| {
            Err(Detail::new(*name, "a rate from 0 to below 1", rate))
        })
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> Result<LayerOutput> {
        self.body.features(&mut self.writer(blocks), image)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let mut torch = self.writer(blocks);
        let x = self.body.top(&mut torch, features)?;
        self.body.classify(&mut torch, x, options)
    }

    fn after_pooling(&self, blocks: &mut Blocks<'_>, pooled: LayerOutput) -> Result<LayerOutput> {
        match blocks.sizes(pooled).len() {
            1 => self.body.after_pooling(&mut self.writer(blocks), pooled),
            _ => Ok(pooled),
        }
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        Some(["avgpool", "maxpool_end"])
    }

    fn pytorch(&self) -> Option<&PyTorchNetwork> {
        Some(self)
    }
}

impl PyTorchNetwork {
    fn writer<'b, 'f>(&self, blocks: &'b mut Blocks<'f>) -> Torch<'b, 'f> {
        Torch {
            blocks,
            conventions: self.conventions,
        }
    }
}

impl Application<PyTorchNetwork> {
    /// The rate of the dropout in front of the classifier, timm's `drop_rate`; the library's default unless told
    /// otherwise.
    pub fn drop_rate(self, rate: f32) -> Self {
        self.changed(|network| network.conventions.dropout = rate)
    }

    /// The rate with which the last branch is left out in training, timm's `drop_path_rate`; the library's default
    /// unless told otherwise. Earlier branches have smaller ones. Networks without such branches ignore it.
    pub fn drop_path_rate(self, rate: f32) -> Self {
        self.changed(|network| network.conventions.drop_path = rate)
    }

    /// Which of the published weights [`pretrained`](Application::pretrained) loads: torchvision's `IMAGENET1K_V1`,
    /// timm's `a1_in1k`; the library's default unless told otherwise. It decides the size of the images and what is
    /// expected of their colours.
    pub fn weights_tag(self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        self.changed(|network| network.tag = Some(tag))
    }

    fn changed(mut self, change: impl FnOnce(&mut PyTorchNetwork)) -> Self {
        let mut network = PyTorchNetwork::clone(&self.architecture);
        change(&mut network);
        self.architecture = Arc::new(network);
        self
    }
}
