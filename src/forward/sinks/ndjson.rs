//! Lines of JSON, to a file or standard output.
//!
//! The file is opened for each batch: it may have been rotated away, and what a crash or a full disk cut
//! off is mended before anything is appended.

use super::super::error::SinkError;
use super::super::{NdjsonTarget, window::Item};
use super::{Proof, Sink};
use futures_util::future::BoxFuture;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a block when looking for the last line's start.
const BLOCK_BYTES: usize = 64 * 1024;
/// A last line longer than this is none of ours.
const LINE_BYTES_MAX: u64 = 2 * crate::model::limits::EVENT_BYTES_MAX as u64;

/// A file or standard output.
#[derive(Debug)]
pub(super) struct Ndjson {
    target: NdjsonTarget,
}

impl Ndjson {
    /// Opens nothing yet: a missing folder is the sink's trouble, not the start's.
    pub(super) fn new(target: &NdjsonTarget) -> Self {
        Self {
            target: target.clone(),
        }
    }
}

impl Sink for Ndjson {
    fn events_max(&self) -> usize {
        usize::MAX
    }

    fn send<'a>(&'a self, batch: &'a [Arc<Item>]) -> BoxFuture<'a, Result<Proof, SinkError>> {
        let mut lines = String::with_capacity(batch.iter().map(|i| i.json.len() + 1).sum());
        for item in batch {
            lines.push_str(&item.json);
            lines.push('\n');
        }
        let target = self.target.clone();
        Box::pin(async move {
            let write = move || match target {
                NdjsonTarget::Stdout => to_stdout(lines.as_bytes()),
                NdjsonTarget::File(path) => append(&path, lines.as_bytes()),
            };
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => Ok(Proof::Delivered),
                Ok(Err(error)) => Err(of_io(&error)),
                Err(_) => Err(SinkError::retry("the writing thread ended")),
            }
        })
    }
}

fn to_stdout(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = open(path)?;
    mend_last_line(&mut file)?;
    file.write_all(lines)?;
    file.sync_data()?;
    if is_new && let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        // The name of a new file is on disk only once its folder is.
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

/// A last line without an end is completed if it is whole JSON or none of ours, else cut off: its event is
/// sent again.
fn mend_last_line(file: &mut File) -> io::Result<()> {
    // A pipe or a terminal has neither length nor last line.
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() == 0 {
        return Ok(());
    }
    let (start, tail) = last_line(file, meta.len())?;
    if tail.is_empty() {
        return Ok(());
    }
    let is_whole = serde_json::from_slice::<serde::de::IgnoredAny>(&tail).is_ok();
    if is_whole || tail.first() != Some(&b'{') {
        return file.write_all(b"\n");
    }
    file.set_len(start)
}

/// Where the text after the last line end starts, and that text (empty: the file ends as it should).
fn last_line(file: &mut File, len: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut start = len;
    let mut tail = Vec::new();
    let mut block = vec![0; BLOCK_BYTES];
    while start > 0 && len - start <= LINE_BYTES_MAX {
        let size = usize::try_from(start).map_or(BLOCK_BYTES, |s| s.min(BLOCK_BYTES));
        let from = start - size as u64;
        let Some(part) = block.get_mut(..size) else {
            break;
        };
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        let line_end = part.iter().rposition(|b| *b == b'\n');
        let kept = part.get(line_end.map_or(0, |at| at + 1)..).unwrap_or(&[]);
        start -= kept.len() as u64;
        tail.splice(0..0, kept.iter().copied());
        if line_end.is_some() {
            return Ok((start, tail));
        }
    }
    // Where the line starts is not known: it is none of ours unless the file starts with it.
    let is_ours = start == 0;
    Ok((start, if is_ours { tail } else { vec![b' '] }))
}

fn of_io(error: &io::Error) -> SinkError {
    let message = format!("the file cannot be written: {error}");
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::ReadOnlyFilesystem => SinkError::misconfigured(message),
        _ => SinkError::retry(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mends_and_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let content = || std::fs::read_to_string(&path).unwrap();
        append(&path, b"{\"a\":1}\n").unwrap();
        assert_eq!(content(), "{\"a\":1}\n");
        for (before, after) in [
            ("{\"a\":1}\n{\"b\":", "{\"a\":1}\n{\"c\":3}\n"),
            ("{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"),
            ("notes of mine", "notes of mine\n{\"c\":3}\n"),
            ("{\"b\":", "{\"c\":3}\n"),
            ("", "{\"c\":3}\n"),
        ] {
            std::fs::write(&path, before).unwrap();
            append(&path, b"{\"c\":3}\n").unwrap();
            assert_eq!(content(), after, "{before}");
        }
        // A cut line longer than a block.
        let long = format!("{{\"a\":1}}\n{{\"b\":\"{}", "x".repeat(3 * BLOCK_BYTES));
        std::fs::write(&path, long).unwrap();
        append(&path, b"{\"c\":3}\n").unwrap();
        assert_eq!(content(), "{\"a\":1}\n{\"c\":3}\n");
    }

    #[test]
    fn errors_say_who_must_act() {
        let folder = tempfile::tempdir().unwrap();
        let missing = append(&folder.path().join("none/events"), b"x\n").unwrap_err();
        assert_eq!(of_io(&missing).result(), "misconfigured");
        let is_folder = append(folder.path(), b"x\n").unwrap_err();
        assert_eq!(of_io(&is_folder).result(), "misconfigured");
        let full = io::Error::from(ErrorKind::StorageFull);
        assert_eq!(of_io(&full).result(), "retry");
    }
}
