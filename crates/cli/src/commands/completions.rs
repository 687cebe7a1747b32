//! `regraft completions`: what makes a shell complete the arguments.

use clap::Args;
use clap_complete::Shell;
use regraft::extend::json;

use crate::failure::Result;
use crate::output::Answer;

/// Print what makes a shell complete arguments of regraft
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  regraft completions bash > ~/.local/share/bash-completion/completions/regraft
  regraft completions zsh > ~/.zfunc/_regraft
  regraft completions fish > ~/.config/fish/completions/regraft.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// For the arguments of `whole`.
    pub fn run(&self, mut whole: clap::Command) -> Result<Answer> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole, "regraft", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        let json = json!({"shell": self.shell.to_string(), "script": script});
        Ok(Answer::new(script, json))
    }
}
