//! How far a predicted distribution lies from the target: Kullback–Leibler and Poisson. After
//! <https://keras.io/api/metrics/probabilistic_metrics/>.

use super::mean::mean_metric;
use super::regression::EPSILON;

mean_metric! {
    /// The mean over rows of `Σ t ln(t / p)`, both kept between `1e-7` and 1.
    KLDivergence, "kl_divergence", "keras.metrics.KLDivergence", Down,
    |targets, predictions| {
        let clip = |value: f32| f64::from(value.clamp(EPSILON, 1.0));
        let pairs = targets.iter().zip(predictions);
        pairs.map(|(&t, &p)| clip(t) * (clip(t) / clip(p)).ln()).sum()
    }
}

mean_metric! {
    /// The mean of `p − t ln(p + 1e-7)`: the negative log-likelihood of counts `t` under Poisson
    /// rates `p`, up to a term of `t` alone.
    Poisson, "poisson", "keras.metrics.Poisson", Down,
    |targets, predictions| {
        let pairs = targets.iter().zip(predictions);
        let sum: f64 = pairs
            .map(|(&t, &p)| f64::from(p) - f64::from(t) * f64::from(p + EPSILON).ln())
            .sum();
        sum / targets.len() as f64
    }
}
