//! The reader of `.weights.h5`, and so HDF5: any bytes give a checkpoint or an error, and what was read can be written
//! and read again to the same tensors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::keras_weights;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = keras_weights::read_bytes(bytes)
        && let Ok(written) = keras_weights::to_bytes(&checkpoint)
    {
        let again = keras_weights::read_bytes(written).expect("what was written can be read");
        assert_eq!(again.tensors().count(), checkpoint.tensors().count());
    }
});
