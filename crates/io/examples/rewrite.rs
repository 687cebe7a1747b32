//! Reads a weight file and writes what it holds to another file, in the format that its name's ending asks for:
//! `cargo run -p regraft-io --example rewrite -- IN OUT`, or several pairs. `fixtures/keras_loads_rewritten.py` and
//! `fixtures/keras_loads_converted.py` let Keras judge.

use std::path::Path;

use regraft_io::{Format, sharded};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (pairs, rest) = arguments.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err("two arguments are needed: the file to read and the file to write".into());
    }
    for [from, to] in pairs {
        let to = Path::new(to);
        let checkpoint = regraft_io::read(from)?;
        let format = Format::of_path(to, checkpoint.config.is_some())?;
        let mut dropped = Vec::new();
        match format {
            // As large as the largest tensor, so that there are as many shards as possible.
            Format::Sharded(_) => {
                let converted = checkpoint.for_format(format)?;
                dropped = converted.dropped;
                let tensors = converted.checkpoint.tensors();
                let sizes = tensors.map(|(_, weight)| weight.tensor.bytes().len());
                let largest = sizes.max().unwrap_or(1);
                sharded::write(to, &converted.checkpoint, largest)?;
            }
            _ => dropped.extend(regraft_io::write(to, &checkpoint)?),
        }
        println!("{} -> {}", checkpoint.format, to.display());
        for dropped in dropped {
            println!("  left out: {dropped}");
        }
    }
    Ok(())
}
