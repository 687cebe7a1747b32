//! Image layers that are called with `training=True`.
