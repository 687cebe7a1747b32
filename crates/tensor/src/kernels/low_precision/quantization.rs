//! How floats are kept as bytes.

/// A byte `q` stands for `(q − zero) · step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    step: f32,
    zero: u8,
    inverse: f32,
}

/// Added to a number from 0 to 255, this rounds it to a whole one, which stands in the last bits then.
const ROUND: f32 = 12_582_912.0;

impl Quantization {
    /// 256 steps from `low` to `high`, of which one is 0 exactly: borders are zeros. What is beyond is cut off.
    pub fn of_range(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let range = high - low;
        // A range of nothing, or one that is no number: everything is zero.
        let step = match range > 1e-30 && range.is_finite() {
            true => range / 255.0,
            false => 1.0,
        };
        let zero = (-low / step).round_ties_even().clamp(0.0, 255.0);
        Quantization {
            step,
            zero: zero as u8,
            inverse: 1.0 / step,
        }
    }

    /// What two neighbouring bytes are apart.
    pub fn step(&self) -> f32 {
        self.step
    }

    /// The byte that stands for 0.
    pub fn zero(&self) -> u8 {
        self.zero
    }

    /// The byte nearest to `x`, the even one of two; that of the range's end beyond it.
    #[inline(always)]
    pub fn byte(&self, x: f32) -> u8 {
        let steps = x * self.inverse + f32::from(self.zero);
        // Comparisons instead of `max` and `min`: single instructions, and NaN is 0.
        let steps = if steps > 0.0 { steps } else { 0.0 };
        let steps = if steps < 255.0 { steps } else { 255.0 };
        (steps + ROUND).to_bits() as u8
    }

    /// What a byte stands for.
    #[inline(always)]
    pub fn value(&self, byte: u8) -> f32 {
        (i32::from(byte) - i32::from(self.zero)) as f32 * self.step
    }
}
