#![doc = include_str!("../README.md")]

#[cfg(target_endian = "big")]
compile_error!("weight files are little-endian and are read in place");

mod architecture;
mod archive;
mod atomic;
mod checkpoint;
mod compilation;
mod config_order;
mod convert;
mod crc32c;
mod data_type;
mod detect;
mod error;
mod event_file;
mod family;
mod format;
mod hdf5;
mod input;
pub mod keras_archive;
pub mod keras_weights;
pub mod legacy_h5;
mod lora;
mod naming;
pub mod peft;
mod protobuf;
pub mod pytorch;
pub mod safetensors;
pub mod saved_model;
pub mod sharded;
mod tensor_data;
pub mod tensorflow_checkpoint;
pub mod tensorflow_js;

pub use atomic::{temporary_begin, write_file};
pub use checkpoint::{Checkpoint, Metadata, SavedLayer, SavedOptimizer, SavedWeight};
pub use convert::{Converted, write};
pub use data_type::{DataType, Element};
pub use detect::{read, read_bytes};
pub use error::{Error, Result};
pub use event_file::EventFile;
pub use format::{Dialect, Format};
pub use naming::ContainerKeys;
pub use regraft_tensor::snake_case;
pub use tensor_data::TensorData;
