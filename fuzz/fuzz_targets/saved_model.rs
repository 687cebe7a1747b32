//! The reader of SavedModel folders: any `keras_metadata.pb` beside sound variables gives a checkpoint or an
//! error.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use regraft_io::saved_model;

const INDEX: &[u8] = include_bytes!(
    "../../fixtures/tensorflow-files/keras_2_plain_saved_model/variables/variables.index"
);
const SHARD: &[u8] = include_bytes!(
    "../../fixtures/tensorflow-files/keras_2_plain_saved_model/variables/variables.data-00000-of-00001"
);

/// A folder of this process with the variables.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let name = format!("regraft-fuzz-saved-model-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let variables = folder.join("variables");
        std::fs::create_dir_all(&variables).unwrap();
        std::fs::write(variables.join("variables.index"), INDEX).unwrap();
        std::fs::write(variables.join("variables.data-00000-of-00001"), SHARD).unwrap();
        folder
    })
}

fuzz_target!(|metadata: &[u8]| {
    std::fs::write(folder().join("keras_metadata.pb"), metadata).unwrap();
    let _ = saved_model::read(folder());
});
