//! A layer that is used at several places is one layer.
