//! Freezing states inside a frozen model: they arrive, behave and are saved as in Keras.
