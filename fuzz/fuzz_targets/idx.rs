//! The reader of idx files, gzipped or not: any bytes give an array of the shape it says, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_data::parse_idx;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = parse_idx(bytes, "fuzz") {
        assert_eq!(array.shape().iter().product::<usize>(), array.len());
        assert_eq!(array.to_tensor().shape(), array.shape());
        if let Ok(labels) = array.to_labels() {
            assert_eq!(labels.histogram().total(), array.len());
        }
    }
});
