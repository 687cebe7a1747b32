//! Ctrl-C. A command that can end cleanly asks [`requested`] now and then while it holds a [`Guard`]; any other
//! ends at once, and so does everything at the second Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::failure::{Code, Failure, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static GUARDS: AtomicUsize = AtomicUsize::new(0);
static WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Listens to Ctrl-C from now on.
pub fn install() {
    let handler = || {
        let again = REQUESTED.swap(true, Ordering::Relaxed);
        if again || GUARDS.load(Ordering::Relaxed) == 0 {
            for path in written().iter() {
                remove_unfinished(path);
            }
            std::process::exit(Code::Interrupted as i32);
        }
    };
    // Where signals cannot be caught, Ctrl-C ends the process as it always did.
    let _ = ctrlc::set_handler(handler);
}

/// Whether Ctrl-C was pressed.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// An error if Ctrl-C was pressed.
pub fn check() -> Result<()> {
    match requested() {
        true => Err(Failure::interrupted()),
        false => Ok(()),
    }
}

/// While it lives, the first Ctrl-C ends nothing by itself.
#[derive(Debug)]
pub struct Guard;

/// From here on the command asks whether it shall end.
pub fn guard() -> Guard {
    GUARDS.fetch_add(1, Ordering::Relaxed);
    Guard
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says that `path` is going to be written: what is begun of it goes when the process is ended.
pub fn writes(path: &Path) {
    written().push(path.to_path_buf());
}

fn written() -> MutexGuard<'static, Vec<PathBuf>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary neighbours under which this process began to write `path`.
fn remove_unfinished(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let begin = regraft::io::temporary_begin(&name.to_string_lossy());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&begin) && name.ends_with(".tmp") {
            // The process ends: there is nobody to tell.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_began_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let ours = format!(".b.keras.{}.3.tmp", std::process::id());
        for name in [
            ours.as_str(),
            ".b.keras.1.3.tmp",
            "b.keras",
            ".c.keras.1.3.tmp",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        remove_unfinished(&folder.path().join("b.keras"));
        assert!(!folder.path().join(ours).exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
