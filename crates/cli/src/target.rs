//! A file that a command is going to write.

use std::path::Path;

use regraft::extend::Detail;

use crate::failure::{Failure, Result};
use crate::interrupt;

/// Says that `path` is going to be written: an error if it is there and may not be replaced. What is begun of it
/// goes when the process is ended.
pub fn claim(path: &Path, force: bool) -> Result<()> {
    if path.exists() && !force {
        let at = path.display().to_string();
        let detail = Detail::new(
            at,
            "the name of a file that is not there yet",
            "one that is",
        );
        return Err(Failure::new(
            "this would replace a file",
            detail.help("take --force"),
        ));
    }
    interrupt::writes(path);
    Ok(())
}
