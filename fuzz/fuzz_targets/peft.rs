//! The reader of adapters' folders: any bytes of the two files give an adapter or an error, and what was read
//! can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::peft;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[low, high], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (config, weights) = rest.split_at(length);
    if let Ok(adapter) = peft::read_bytes(config, weights)
        && let Ok((config, weights)) = peft::to_bytes(&adapter)
    {
        let again = peft::read_bytes(&config, weights).expect("what was written can be read");
        assert_eq!(again.config, adapter.config);
        assert_eq!(again.tensors.len(), adapter.tensors.len());
    }
});
