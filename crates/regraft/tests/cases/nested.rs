//! Models in models in models, in legacy files.
