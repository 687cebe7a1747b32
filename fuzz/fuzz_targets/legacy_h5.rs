//! The reader of legacy `.h5`: any bytes give a checkpoint or an error, and what was read can be written
//! and read again to the same tensors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::{Checkpoint, legacy_h5};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = legacy_h5::read_bytes(bytes)
        && let Ok(written) = legacy_h5::to_bytes(&checkpoint)
    {
        let again = legacy_h5::read_bytes(written).expect("what was written can be read");
        // Without a model's config only the layers are written.
        let count = |read: &Checkpoint| read.layers.iter().map(|l| l.weights.len()).sum::<usize>();
        assert_eq!(count(&again), count(&checkpoint));
    }
});
