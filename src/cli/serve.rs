//! `serve`.

use super::{Exit, Global};
use std::process::ExitCode;

pub(super) fn run(_global: &Global) -> ExitCode {
    Exit::Bug.into()
}
