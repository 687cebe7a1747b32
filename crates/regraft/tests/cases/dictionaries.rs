//! Inputs, outputs and losses given as dictionaries: names and order as Keras has them.
