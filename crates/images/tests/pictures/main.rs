//! Pictures of every kind beside Pillow, TensorFlow and Keras (`fixtures/golden_images.py`), and files that are none.

mod damaged;
mod files;
mod found;
mod golden;
mod scanned;
