//! Reads a weight file and writes what it holds to another file, of the same format, or as
//! safetensors if its name ends so: `cargo run --example rewrite -- IN OUT`.
//! `fixtures/keras_loads_rewritten.py` lets Keras judge.

use std::path::Path;

use regraft_io::{Format, keras_archive, keras_weights, legacy_h5, safetensors, sharded};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("two arguments are needed: the file to read and the file to write".into());
    };
    let to = Path::new(to);
    let checkpoint = regraft_io::read(from)?;
    let is_safetensors = to.extension().is_some_and(|ending| ending == "safetensors");
    match checkpoint.format {
        _ if is_safetensors => safetensors::write(to, &checkpoint)?,
        Format::KerasWeights(_) => keras_weights::write(to, &checkpoint)?,
        Format::KerasArchive(_) => keras_archive::write(to, &checkpoint)?,
        // As large as the largest tensor, so that there are as many shards as possible.
        Format::Sharded(_) => {
            let sizes = checkpoint
                .tensors()
                .map(|(_, weight)| weight.tensor.bytes().len());
            sharded::write(to, &checkpoint, sizes.max().unwrap_or(1))?;
        }
        Format::LegacyWeights | Format::LegacyModel => legacy_h5::write(to, &checkpoint)?,
        Format::Safetensors => safetensors::write(to, &checkpoint)?,
        other => return Err(format!("cannot write {other}").into()),
    }
    println!("{} -> {}", checkpoint.format, to.display());
    Ok(())
}
