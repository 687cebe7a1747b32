//! The reader of `.weights.json`: any JSON over sound shards gives a checkpoint or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::{Error, sharded};

const SHARDS: [&[u8]; 3] = [
    include_bytes!("../../fixtures/keras-files/small_00000.weights.h5"),
    include_bytes!("../../fixtures/keras-files/small_00001.weights.h5"),
    include_bytes!("../../fixtures/keras-files/small_00002.weights.h5"),
];

fuzz_target!(|index: &[u8]| {
    let _ = sharded::read_with(index, |name| {
        let shard = (0..3).find(|i| name == format!("small_{i:05}.weights.h5"));
        shard
            .map(|i| SHARDS[i].to_vec())
            .ok_or_else(|| Error::NotFound(regraft_tensor::Detail::new(name, "a shard", "none")))
    });
});
