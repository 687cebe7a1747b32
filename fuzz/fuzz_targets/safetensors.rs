//! The reader of `.safetensors`: any bytes give a checkpoint or an error, and what was read can be written
//! and read again to the same tensors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::safetensors;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = safetensors::read_bytes(bytes)
        && let Ok(written) = safetensors::to_bytes(&checkpoint)
    {
        let again = safetensors::read_bytes(written).expect("what was written can be read");
        assert_eq!(again.tensors().count(), checkpoint.tensors().count());
    }
});
