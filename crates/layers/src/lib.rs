//! Layers, initializers, regularizers, losses, models and freezing.
