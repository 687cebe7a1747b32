//! Inputs of integers, and casts.
