//! The reader of TensorFlow.js models: any JSON over sound shards, and a sound JSON over any bytes, give a
//! checkpoint or an error. A first byte of a space chooses the latter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::{Error, tensorflow_js};

const MODEL: &[u8] = include_bytes!("../../fixtures/tensorflow-files/js_uint8_plain/model.json");
const SHARDS: [&[u8]; 3] = [
    include_bytes!("../../fixtures/tensorflow-files/js_uint8_plain/group1-shard1of3.bin"),
    include_bytes!("../../fixtures/tensorflow-files/js_uint8_plain/group1-shard2of3.bin"),
    include_bytes!("../../fixtures/tensorflow-files/js_uint8_plain/group1-shard3of3.bin"),
];

fuzz_target!(|bytes: &[u8]| {
    let missing =
        |name: &str| Error::NotFound(regraft_tensor::Detail::new(name, "a shard", "none"));
    match bytes.split_first() {
        Some((b' ', bytes)) => {
            // The whole in the first shard; the others are empty.
            let _ = tensorflow_js::read_with(MODEL, |name| match name.contains("shard1") {
                true => Ok(bytes.to_vec()),
                false => Ok(Vec::new()),
            });
        }
        Some((_, json)) => {
            let _ = tensorflow_js::read_with(json, |name| {
                let shard = (0..3).find(|i| name.contains(&format!("shard{}", i + 1)));
                shard
                    .map(|i| SHARDS[i].to_vec())
                    .ok_or_else(|| missing(name))
            });
        }
        None => {}
    }
});
