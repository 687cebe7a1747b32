//! Settings that several kinds of adapters have.

/// Defines these setters, of fields of the same names.
macro_rules! setters {
    ($($setting:ident),*) => {
        $($crate::adapters::setters::setter!($setting);)*
    };
}

macro_rules! setter {
    (dropout) => {
        /// Drops elements of what goes into A while training, with this probability.
        pub fn dropout(mut self, rate: f32) -> Self {
            self.dropout = rate;
            self
        }
    };
    (bias) => {
        /// Trains copies of biases, too.
        pub fn bias(mut self, bias: $crate::adapters::Bias) -> Self {
            self.bias = bias;
            self
        }
    };
    (modules_to_save) => {
        /// The picked layers are trained as a whole: the adapter has copies of all their weights, statistics
        /// included.
        pub fn modules_to_save(mut self, selector: impl $crate::IntoSelector) -> Self {
            self.modules_to_save = Some(selector.into_selector());
            self
        }
    };
    (seed) => {
        /// The seed of first values that are random, if not the model's.
        pub fn seed(mut self, seed: u64) -> Self {
            self.seed = Some(seed);
            self
        }
    };
}

pub(super) use {setter, setters};
