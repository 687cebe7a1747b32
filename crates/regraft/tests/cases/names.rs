//! Names with `/` and adapted statistics in Keras 2's SavedModels and checkpoints.
