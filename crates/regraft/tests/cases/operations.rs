//! Operations of `keras.ops` and of TensorFlow inside functional models.
