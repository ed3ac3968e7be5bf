//! `completions` and `man`: made from the same definitions as the help.

use super::{Cli, Exit, Global, output};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// What `completions` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Shells {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Pages {
    /// The page of this command, such as `replay` or `sinks pause` [default: of hookgate]
    command: Vec<String>,
}

pub(super) fn completions(shells: &Shells) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shells.shell, &mut Cli::command(), "hookgate", &mut script);
    output::out(&String::from_utf8_lossy(&script));
    Exit::Done
}

pub(super) fn man(global: &Global, pages: &Pages) -> Exit {
    let mut command = Cli::command();
    // Gives subcommands their whole names and the flags that are the same everywhere.
    command.build();
    for name in &pages.command {
        let Some(found) = command.find_subcommand(name).cloned() else {
            super::fail(
                global,
                &format!("there is no command {name:?}"),
                Some("hookgate help"),
            );
            return Exit::Usage;
        };
        command = found;
    }
    let name = format!("hookgate {}", pages.command.join(" "));
    let name = name.trim().replace(' ', "-");
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(command.display_name(name)).render(&mut page);
    if made.is_err() {
        return Exit::Bug;
    }
    output::out(&String::from_utf8_lossy(&page));
    Exit::Done
}
