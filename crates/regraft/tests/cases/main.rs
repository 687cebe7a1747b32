//! Networks that others saved, on which earlier versions were wrong or which did not open: every file
//! in `fixtures/cases` (its README is the list), and neighbours of them that committed scripts made
//! with the original frameworks. What is expected always comes from those frameworks.

mod common;

mod adapters;
mod augmentation;
mod clones;
mod compiled;
mod datasets;
mod dictionaries;
mod distillation;
mod exactness;
mod explain;
mod feature_store;
mod fitting;
mod freezing_states;
mod frozen_door;
mod frozen_precision;
mod integers;
mod keras2_metrics;
mod keras2_training;
mod loops;
mod lora;
mod masks;
mod metrics;
mod names;
mod nested;
mod no_weights;
mod nothing_trained;
mod operations;
mod other_adapters;
mod plans;
mod policies;
mod predictor;
mod pytorch;
mod pytorch_networks;
mod recurrent;
mod resizing;
mod resuming;
mod shared_layers;
mod single_weights;
mod sizes;
mod strings;
mod weight_identity;
mod wrapped_layers;
