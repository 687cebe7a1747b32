//! Checkpoints: Keras files of every era and safetensors, read into named arrays and written back.
