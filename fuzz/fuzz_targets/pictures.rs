//! Pictures of every format: any bytes give a picture of the size it says, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_images::{Inspection, Limits, Resize, decode};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        pixels: 1 << 20,
        bytes: 1 << 24,
    };
    if let Ok(picture) = decode(bytes, &limits) {
        assert_eq!(picture.pixels().len(), picture.width() * picture.height() * 3);
        assert!(Inspection::of(&picture, [0; 32]).is_some());
        assert!(picture.resize(&Resize::new([8, 5])).is_ok());
    }
});
