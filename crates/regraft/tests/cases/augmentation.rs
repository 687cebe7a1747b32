//! Augmentation layers: nothing in inference, active in training.
