//! Masks: made, passed on and used as in Keras.
