//! `--edit`: the request in the owner's editor before it is signed.

use super::Stop;
use crate::cli::Exit;
use crate::engine;
use crate::model::Request;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens the request and reads what became of it.
pub(super) fn edit(request: &Request, webhook: &str) -> Result<Request, Stop> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| Stop::new(Exit::No, format!("{what}: {error}"));
    let file = Temporary::new().map_err(|e| failed("no temporary file can be made", &e))?;
    std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&file.0)
        .and_then(|mut out| out.write_all(&text(request, webhook)))
        .map_err(|e| failed("the temporary file cannot be written", &e))?;
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|text| !text.trim().is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program)
        .args(words)
        .arg(&file.0)
        .status()
        .map_err(|e| failed(&format!("the editor {program} cannot be started"), &e))?;
    if !status.success() {
        return Err(Stop::new(
            Exit::No,
            format!("the editor {program} failed: nothing is sent"),
        ));
    }
    let edited = engine::read_request(&file.0)?;
    Ok(Request {
        path: edited.path,
        query: edited.query,
        method: edited.method,
        headers: edited.headers,
        wire_body: edited.wire_body,
        body: edited.body,
        ..request.clone()
    })
}

fn text(request: &Request, webhook: &str) -> Vec<u8> {
    let mark = if request.query.is_empty() { "" } else { "?" };
    let mut text = format!(
        "{} /hooks/{webhook}{}{mark}{} HTTP/1.1\n",
        request.method, request.path, request.query
    )
    .into_bytes();
    for (name, value) in request.headers.iter() {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(&request.wire_body);
    text
}

/// A file of this user alone, gone when it is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> std::io::Result<Self> {
        let name = format!("hookgate-{}.http", uuid::Uuid::now_v7().simple());
        let path = std::env::temp_dir().join(name);
        create_private(&path)?;
        Ok(Self(path))
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is not there any more is no matter.
        std::fs::remove_file(&self.0).ok();
    }
}
