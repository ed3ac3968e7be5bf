//! The keys on disk, so that a start need not read the whole log: `keys.snap`, written beside and renamed.
//!
//! `magic 8 · head u64 · cleared u64 · marks u64 · marks × (u64, i64) · (u64, u64)… · 0 u64 · 0 u64 · crc32 u32`.
//! A snapshot that is missing, torn or ahead of the log is not used; the log is read instead.

use super::Keys;
use crate::model::Seq;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::PoisonError;

const MAGIC: &[u8; 8] = b"hgkeys\0\x01";
const NAME: &str = "keys.snap";
const NAME_NEW: &str = "keys.snap.new";
/// More marks than this no log has (they are 1,024 deliveries apart).
const MARKS_MAX: u64 = 1 << 24;

/// What a snapshot covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    /// All keys up to this delivery are in it.
    pub(crate) head: Seq,
    /// Requests up to this delivery were deleted, or stay.
    pub(crate) cleared: Seq,
}

/// Writes a snapshot of what is known up to `covered.head`, atomically and synced.
pub(crate) fn write(keys: &Keys, folder: &Path, covered: Covered) -> io::Result<()> {
    let new = folder.join(NAME_NEW);
    let mut out = Summed::new(BufWriter::with_capacity(1 << 16, File::create(&new)?));
    out.write_all(MAGIC)?;
    let marks: Vec<_> = {
        let rest = keys.rest();
        let marks = rest.marks.iter().filter(|(seq, _)| *seq <= covered.head);
        marks.copied().collect()
    };
    for word in [covered.head, covered.cleared, marks.len() as u64] {
        out.write_all(&word.to_le_bytes())?;
    }
    for (seq, received) in marks {
        out.write_all(&seq.to_le_bytes())?;
        out.write_all(&received.to_le_bytes())?;
    }
    // Older holders of a fingerprint first, so that reading puts the newest into the table.
    let collided = keys.rest().collided.clone();
    for (print, seq) in collided {
        write_pair(&mut out, print, seq, covered.head)?;
    }
    for shard in &keys.shards {
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        for (print, seq) in shard.entries() {
            write_pair(&mut out, print, seq, covered.head)?;
        }
    }
    out.write_all(&[0; 16])?;
    let crc = out.crc.clone().finalize();
    out.write_all(&crc.to_le_bytes())?;
    let file = out
        .inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(new, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

fn write_pair(out: &mut impl Write, print: u64, seq: Seq, head: Seq) -> io::Result<()> {
    if seq > head {
        return Ok(());
    }
    out.write_all(&print.to_le_bytes())?;
    out.write_all(&seq.to_le_bytes())
}

/// Reads a snapshot; `None` when there is none that can be used.
pub(crate) fn read(folder: &Path) -> Option<(Keys, Covered)> {
    let file = File::open(folder.join(NAME)).ok()?;
    match parse(BufReader::with_capacity(1 << 16, file)) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::warn!(%error, "the snapshot of delivery keys is not usable; the log is read instead");
            None
        }
    }
}

fn parse(file: impl Read) -> io::Result<(Keys, Covered)> {
    let mut input = Summed::new(file);
    if &input.array::<8>()? != MAGIC {
        return Err(io::Error::other("it has another form"));
    }
    let covered = Covered {
        head: input.word()?,
        cleared: input.word()?,
    };
    let count = input.word()?;
    if count > MARKS_MAX {
        return Err(io::Error::other("it is damaged"));
    }
    let keys = Keys::new();
    for _ in 0..count {
        let seq = input.word()?;
        let received = i64::from_le_bytes(input.array()?);
        keys.rest().marks.push((seq, received));
    }
    loop {
        let (print, seq) = (input.word()?, input.word()?);
        if seq == 0 {
            break;
        }
        keys.insert(print, seq, true);
    }
    let want = input.crc.clone().finalize();
    if u32::from_le_bytes(input.array()?) != want {
        return Err(io::Error::other("its checksum does not match"));
    }
    Ok((keys, covered))
}

/// Reads or writes, and sums what went through.
struct Summed<T> {
    inner: T,
    crc: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            crc: crc32fast::Hasher::new(),
        }
    }
}

impl<T: Read> Summed<T> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    fn word(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.crc.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_keys() -> Keys {
        let keys = Keys::new();
        for seq in 1..=3_000_u64 {
            keys.insert(seq.wrapping_mul(0x9E37_79B9_7F4A_7C15), seq, false);
            keys.mark(seq, i64::try_from(seq).unwrap());
        }
        keys
    }

    #[test]
    fn what_is_written_is_read_up_to_the_head() {
        let folder = tempfile::tempdir().unwrap();
        let covered = Covered {
            head: 2_000,
            cleared: 17,
        };
        write(&some_keys(), folder.path(), covered).unwrap();
        let (keys, found) = read(folder.path()).unwrap();
        assert_eq!(found, covered);
        assert_eq!(keys.len(), 2_000);
        assert_eq!(
            keys.get(2_000_u64.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            Some(2_000)
        );
        assert_eq!(keys.rest().marks, vec![(1, 1), (1_025, 1_025)]);
    }

    #[test]
    fn a_torn_or_flipped_snapshot_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let covered = Covered {
            head: 50,
            cleared: 0,
        };
        write(&some_keys(), folder.path(), covered).unwrap();
        let path = folder.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            assert!(read(folder.path()).is_none(), "byte {at} flipped");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(read(folder.path()).is_none(), "cut at {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(folder.path()).is_none());
    }
}
