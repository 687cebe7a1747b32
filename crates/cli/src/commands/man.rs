//! `regraft man`: the manual pages.

use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man as Page;
use regraft::extend::json;
use regraft::io::write_file;

use crate::failure::{Failure, Result};
use crate::output::Answer;

/// Print the manual page, or write all of them to a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  regraft man | man -l -
  regraft man --folder ~/.local/share/man/man1")]
pub struct Man {
    /// Write a page for every command to this folder: regraft.1, regraft-inspect.1, …
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Man {
    /// Of `whole` and its commands.
    pub fn run(&self, mut whole: clap::Command) -> Result<Answer> {
        whole.build();
        let Some(folder) = &self.folder else {
            let page = rendered(whole)?;
            let json = json!({"page": page});
            return Ok(Answer::new(page, json));
        };
        let inner = whole.get_subcommands().cloned().map(|inner| {
            let name = format!("regraft-{}", inner.get_name());
            inner.name(name)
        });
        let mut written = Vec::new();
        for command in [whole.clone()].into_iter().chain(inner) {
            let path = folder.join(format!("{}.1", command.get_name()));
            write_file(&path, rendered(command)?.as_bytes())?;
            written.push(path.display().to_string());
        }
        let json = json!({"written": written});
        Ok(Answer::new(written.join("\n"), json))
    }
}

fn rendered(command: clap::Command) -> Result<String> {
    let mut page = Vec::new();
    let rendered = Page::new(command).render(&mut page);
    rendered.map_err(|error| Failure::io(Path::new("the manual page"), "to be made", &error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
