//! Any bytes are a file of rows or none, and each row that is read is one that was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_features::Segment;

fuzz_target!(|data: &[u8]| {
    let Ok(segment) = Segment::new(data) else {
        return;
    };
    // Of no rows the width says nothing.
    let mut row = vec![0.0; if segment.rows() > 0 { segment.width() } else { 0 }];
    for at in 0..segment.rows() {
        let _ = (segment.key(at), segment.read(at, &mut row));
    }
});
