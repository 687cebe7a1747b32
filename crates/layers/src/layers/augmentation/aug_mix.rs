//! Images mixed with changed versions of themselves.

use regraft_tensor::Detail;
use serde_json::json;

use super::common::{Common, ValueRange, require_gray_or_colour};
use super::factor::{Factor, pair};
use super::fill::check_interpolation;
use super::rand_augment::Changes;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::{Interpolation, object};
use crate::settings::{FromSettings, Map, Settings, number, require};

/// While it trains, makes `num_chains` versions of the images, each by up to `chain_depth` of the changes of
/// [`RandAugment`](super::RandAugment) one after the other, and gives `w x + (1 − w) Σ vᵢ xᵢ`, cut off at the
/// range. `w` is of a beta and the `vᵢ` of a Dirichlet distribution, all parameters `alpha`; they and the choice of the
/// changes are drawn for the whole batch.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | 3 chains, 3 changes, `factor` 0.3, `alpha` 1, all changes, bilinear, pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/aug_mix/>.
#[derive(Clone, Debug)]
pub struct AugMix {
    num_chains: usize,
    chain_depth: usize,
    factor: Factor,
    alpha: f32,
    all_ops: bool,
    interpolation: Interpolation,
    value_range: ValueRange,
    common: Common,
}

impl Default for AugMix {
    fn default() -> Self {
        AugMix {
            num_chains: 3,
            chain_depth: 3,
            factor: Factor::Within(0.3),
            alpha: 1.0,
            all_ops: true,
            interpolation: Interpolation::Bilinear,
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }
}

impl AugMix {
    /// A layer with Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many versions there are, and how many changes make one at most.
    #[must_use]
    pub fn chains(mut self, num_chains: usize, chain_depth: usize) -> Self {
        self.num_chains = num_chains;
        self.chain_depth = chain_depth;
        self
    }

    /// How strong the changes are: up to this, or from one to another, each from 0 to 1.
    #[must_use]
    pub fn factor(mut self, factor: impl Into<Factor>) -> Self {
        self.factor = factor.into();
        self
    }

    /// The parameter of the distributions of the weights.
    #[must_use]
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// Whether brightness, colour, contrast and sharpness are among the changes.
    #[must_use]
    pub fn all_ops(mut self, all_ops: bool) -> Self {
        self.all_ops = all_ops;
        self
    }

    /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
    #[must_use]
    pub fn interpolation(mut self, interpolation: impl Into<Interpolation>) -> Self {
        self.interpolation = interpolation.into();
        self
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }

    fn changes(&self) -> Changes {
        let (factor, range) = (self.factor.range(0.0), self.value_range.0);
        Changes::new(factor, range, &self.interpolation, self.all_ops)
    }
}

augmentation!(AugMix);

impl Transformation for AugMix {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({
            "value_range": self.value_range.serialize(),
            "num_chains": self.num_chains,
            "chain_depth": self.chain_depth,
            "factor": pair(self.factor.range(0.0)),
            "alpha": number(self.alpha),
            "all_ops": self.all_ops,
            "interpolation": self.interpolation.name(),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        let sizes = (self.num_chains, self.chain_depth);
        let fits = (1..=100).contains(&sizes.0) && sizes.1 <= 100;
        require(
            fits,
            "num_chains, chain_depth",
            "from 1 to 100, at most 100",
            sizes,
        )?;
        let positive = self.alpha.is_finite() && self.alpha > 0.0;
        require(positive, "alpha", "a positive number", self.alpha)?;
        check_interpolation(&self.interpolation)?;
        self.value_range.check()?;
        require_gray_or_colour(channels)?;
        let last = !self.common.channels_first;
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        self.changes().check(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let (changes, alpha) = (self.changes(), f64::from(self.alpha));
        let shares = draws.gamma(self.num_chains, alpha);
        let sum = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let weight = draws.beta(1, alpha)[0];
        let mut mixed = vec![0.0; x.len()];
        for share in shares {
            let mut version = x.to_vec();
            for _ in 0..self.chain_depth {
                let number = draws.below(changes.len() + 1);
                let (key, step) = draws.fork();
                // The last is no change.
                if number < changes.len() {
                    changes.make(number, &mut version, images, key, step);
                }
            }
            let share = (share / sum) as f32;
            for (mixed, version) in mixed.iter_mut().zip(version) {
                *mixed += version * share;
            }
        }
        for ((y, &x), mixed) in y.iter_mut().zip(x).zip(mixed) {
            *y = self.value_range.clip(weight * x + (1.0 - weight) * mixed);
        }
    }
}

impl FromSettings for AugMix {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(AugMix {
            num_chains: settings.optional_size("num_chains")?.unwrap_or(3),
            chain_depth: settings.optional_size("chain_depth")?.unwrap_or(3),
            factor: settings.factor("factor", 0.3)?,
            alpha: settings.number("alpha", 1.0)?,
            all_ops: settings.flag("all_ops", true)?,
            interpolation: settings.text("interpolation", "bilinear")?.into(),
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
