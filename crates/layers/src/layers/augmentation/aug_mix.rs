//! Images mixed with changed versions of themselves.

use regraft_tensor::Detail;

use super::common::{BoxFormat, ValueRange, ranged, require_gray_or_colour};
use super::factor::{Factor, pair};
use super::fill::check_interpolation;
use super::rand_augment::Changes;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
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
    pub struct AugMix as "keras.layers.AugMix" {
        /// A layer with Keras' defaults.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        num_chains: usize = 3,
        chain_depth: usize = 3,
        /// How strong the changes are: up to this, or from one to another, each from 0 to 1.
        factor: Factor = Factor::Within(0.3),
        /// The parameter of the distributions of the weights.
        alpha: f32 = 1.0,
        /// Whether brightness, colour, contrast and sharpness are among the changes.
        all_ops: bool = true,
        /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
        interpolation: Interpolation = Interpolation::Bilinear,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |it, config| {
        config["factor"] = pair(it.factor.range(0.0));
    }
}

impl AugMix {
    /// How many versions there are, and how many changes make one at most.
    #[must_use]
    pub fn chains(mut self, num_chains: usize, chain_depth: usize) -> Self {
        self.num_chains = num_chains;
        self.chain_depth = chain_depth;
        self
    }

    fn changes(&self) -> Changes {
        let (factor, range) = (self.factor.range(0.0), self.value_range.0);
        Changes::new(factor, range, &self.interpolation, self.all_ops)
    }
}

augmentation!(AugMix);
ranged!(AugMix);

impl Transformation for AugMix {
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
        let last = !self.data_format.is_channels_first();
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
