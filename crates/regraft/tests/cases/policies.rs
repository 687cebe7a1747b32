//! Policies of element types: computed in float32, named, and kept.
