//! What all heads are told beside features and labels.

use std::sync::Arc;

use crate::Result;
use crate::factor::Factor;
use crate::factorised::Factorised;
use crate::features::Features;
use crate::samples::{Samples, Told};

/// What all heads are told beside features and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub told: Told,
    pub factorised: Option<Factorised>,
}

impl Options {
    /// The features factorised: as it was given, or anew.
    pub fn factor(&self, features: &dyn Features, labels: &[i32]) -> Result<Arc<Factor>> {
        let samples = Samples::new(features, labels, &self.told)?;
        match &self.factorised {
            Some(factorised) => factorised.of(samples),
            None => Ok(Arc::new(Factor::new(features, samples)?)),
        }
    }
}

/// Setters that all heads have.
macro_rules! shared_settings {
    () => {
        /// Which samples belong together, by number: duplicates, crops of one picture, pictures of one scene. What is
        /// left out is a group as a whole, so that an estimate never knows one half of what it is tested on.
        /// Default: each sample alone.
        #[must_use]
        pub fn groups(mut self, groups: impl Into<Vec<usize>>) -> Self {
            self.options.told.groups = Some(groups.into());
            self
        }

        /// How much a sample of a class counts. Default: [`ClassWeight::Equal`](crate::ClassWeight).
        #[must_use]
        pub fn class_weight(mut self, weight: crate::ClassWeight) -> Self {
            self.options.told.class_weight = weight;
            self
        }

        /// The number of classes; labels lie below it. Default: one more than the largest label.
        #[must_use]
        pub fn classes(mut self, classes: usize) -> Self {
            self.options.told.classes = Some(classes);
            self
        }

        /// What the features that will be given were factorised to, with the same labels and class weights; with
        /// others [`Error::Setting`](crate::Error::Setting) says so. Default: they are factorised.
        #[must_use]
        pub fn factorised(mut self, factorised: &crate::Factorised) -> Self {
            self.options.factorised = Some(factorised.clone());
            self
        }
    };
}
pub(crate) use shared_settings;
