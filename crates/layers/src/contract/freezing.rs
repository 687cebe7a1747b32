//! What a layer may change while a model is trained: three states, and a fourth for layers with
//! statistics that are unfrozen around them.

use std::collections::BTreeMap;
use std::fmt;

/// What training may change in a layer, and how the layer behaves meanwhile.
///
/// | | parameters | statistics | dropout, noise |
/// |---|---|---|---|
/// | `Trainable` | trained | updated | active |
/// | `FrozenStatistics` | trained | fixed and used | off |
/// | `FrozenParams` | fixed | updated | active |
/// | `Frozen` | fixed | fixed and used | off |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Freezing {
    /// Parameters are trained, statistics updated, dropout active.
    #[default]
    Trainable,
    /// Parameters are trained, but the layer behaves as in inference: a batch normalization uses its
    /// moving statistics and leaves them as they are. This is what unfreezing a frozen base gives
    /// its batch normalizations.
    FrozenStatistics,
    /// Parameters are fixed; statistics and dropout as in training.
    FrozenParams,
    /// Nothing changes, and the layer behaves as in inference. This is what `freeze` gives.
    Frozen,
}

/// Weights of a layer that were frozen (`false`) or unfrozen (`true`) alone. A state is never unfrozen
/// alone: it moves where its layer behaves as in training.
pub(crate) type Alone = BTreeMap<String, bool>;

impl Freezing {
    /// Whether parameters are trained.
    pub fn trains_parameters(self) -> bool {
        matches!(self, Freezing::Trainable | Freezing::FrozenStatistics)
    }

    /// Whether the layer behaves as in training: statistics move, dropout drops.
    pub fn behaves_as_in_training(self) -> bool {
        matches!(self, Freezing::Trainable | Freezing::FrozenParams)
    }
}

impl Freezing {
    /// The name under which a configuration has it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Freezing::Trainable => "trainable",
            Freezing::FrozenStatistics => "frozen_statistics",
            Freezing::FrozenParams => "frozen_params",
            Freezing::Frozen => "frozen",
        }
    }

    /// The state that a configuration calls `key`.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        let states = [
            Freezing::Trainable,
            Freezing::FrozenStatistics,
            Freezing::FrozenParams,
            Freezing::Frozen,
        ];
        states.into_iter().find(|state| state.key() == key)
    }

    /// The same, with parameters trained.
    pub(crate) fn with_parameters(self) -> Self {
        match self.behaves_as_in_training() {
            true => Freezing::Trainable,
            false => Freezing::FrozenStatistics,
        }
    }

    /// The same, with parameters fixed.
    pub(crate) fn without_parameters(self) -> Self {
        match self.behaves_as_in_training() {
            true => Freezing::FrozenParams,
            false => Freezing::Frozen,
        }
    }

    /// The same, behaving as in inference.
    pub(crate) fn as_in_inference(self) -> Self {
        match self.trains_parameters() {
            true => Freezing::FrozenStatistics,
            false => Freezing::Frozen,
        }
    }
}

impl fmt::Display for Freezing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Freezing::Trainable => "trainable",
            Freezing::FrozenStatistics => "frozen statistics",
            Freezing::FrozenParams => "frozen parameters",
            Freezing::Frozen => "frozen",
        })
    }
}
