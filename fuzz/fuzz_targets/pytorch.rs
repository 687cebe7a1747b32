//! The reader of `.pt` and `.pth`: any bytes give a checkpoint or an error, and the tensors that are read have
//! the sizes of their shapes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::pytorch;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = pytorch::read_bytes(bytes) {
        for (_, weight) in checkpoint.tensors() {
            let tensor = &weight.tensor;
            assert_eq!(
                tensor.bytes().len(),
                tensor.len() * tensor.data_type().size()
            );
        }
    }
});
