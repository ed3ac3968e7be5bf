//! Runs commands against a running gateway, as scripts do.

use super::{Gateway, hookgate};
use serde_json::Value;
use std::process::Stdio;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Lines of stdout as JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        self.out.lines().map(parse).collect()
    }
}

impl Gateway {
    /// Runs the binary in the gateway's folder, against it.
    pub fn command(&self, arguments: &[&str]) -> Ran {
        let output = hookgate(self.folder.path())
            .env("HOOKGATE_URL", format!("http://{}", self.admin))
            .env_remove("HOOKGATE_TOKEN")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        Ran {
            code: output.status.code().expect("a code"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}
