//! Undoes `Content-Encoding`. Size and growth are capped while decoding, and no memory is taken because a header
//! claims it: a bomb ends at the cap, not after it.

use super::answer::Refusal;
use super::budget::Permit;
use crate::model::limits::{CONTENT_CODINGS_MAX, DECOMPRESSION_RATIO_MAX, RATIO_FREE_BYTES};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use std::io::Read;

/// The window that a zstd stream may ask for: 8 MiB (RFC 9659 section 3).
const ZSTD_WINDOW_BITS_MAX: u32 = 23;
/// First step of the output, in bytes; it doubles from there.
const OUTPUT_STEP: usize = 16 * 1024;

/// A content coding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The body without its codings; `wire` itself where there is none.
///
/// `codings` are the values of all `Content-Encoding` lines, `max` the cap in bytes. What is decoded is held in
/// `permit` too. Sync: it works on what is in memory, for milliseconds.
///
/// # Errors
/// `UnsupportedCoding` for an unknown one or more than two, `TooLarge` past the cap or when it grows past
/// [`DECOMPRESSION_RATIO_MAX`], `BadRequest` when the data are broken or cut, `Busy` when memory is short.
pub fn decode<'a>(
    wire: &Bytes,
    codings: impl Iterator<Item = &'a [u8]>,
    max: usize,
    permit: &mut Permit,
) -> Result<Bytes, Refusal> {
    let mut body = wire.clone();
    // They are listed in the order in which they were applied (RFC 9110 section 8.4).
    for coding in list(codings)?.into_iter().rev() {
        // Nothing was encoded: a header that a client sets on every request.
        if body.is_empty() {
            break;
        }
        let mut output = Output::new(max, wire.len(), permit);
        match coding {
            Coding::Gzip => read_all(MultiGzDecoder::new(&body[..]), &mut output)?,
            Coding::Deflate => deflate(&body, &mut output)?,
            Coding::Brotli => brotli(&body, &mut output)?,
            Coding::Zstd => zstd(&body, &mut output)?,
        }
        body = Bytes::from(output.bytes);
    }
    Ok(body)
}

fn list<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Coding>, Refusal> {
    let mut codings = Vec::new();
    for name in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let name = name.trim_ascii().to_ascii_lowercase();
        codings.push(match name.as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            b"zstd" => Coding::Zstd,
            _ => return Err(Refusal::UnsupportedCoding),
        });
        if codings.len() > CONTENT_CODINGS_MAX {
            return Err(Refusal::UnsupportedCoding);
        }
    }
    Ok(codings)
}

/// Decoded bytes, growing within the caps.
struct Output<'a> {
    bytes: Vec<u8>,
    filled: usize,
    max: usize,
    wire: usize,
    permit: &'a mut Permit,
}

impl<'a> Output<'a> {
    fn new(max: usize, wire: usize, permit: &'a mut Permit) -> Self {
        Self {
            bytes: Vec::new(),
            filled: 0,
            max,
            wire,
            permit,
        }
    }

    /// Room for more, at least one byte.
    fn room(&mut self) -> Result<&mut [u8], Refusal> {
        if self.filled == self.bytes.len() {
            // One byte past the cap tells a body that fits from one that does not.
            let size = (self.filled * 2)
                .max(OUTPUT_STEP)
                .min(self.max.saturating_add(1));
            self.permit.hold_also(size - self.bytes.len())?;
            self.bytes.reserve_exact(size - self.bytes.len());
            self.bytes.resize(size, 0);
        }
        Ok(self.bytes.get_mut(self.filled..).unwrap_or_default())
    }

    fn advance(&mut self, written: usize) -> Result<(), Refusal> {
        self.filled += written;
        let free = self.filled <= RATIO_FREE_BYTES;
        let grown = self.filled > self.wire.saturating_mul(DECOMPRESSION_RATIO_MAX);
        if self.filled > self.max || (grown && !free) {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.bytes.truncate(self.filled);
    }
}

fn read_all(mut decoder: impl Read, output: &mut Output<'_>) -> Result<(), Refusal> {
    loop {
        let read = decoder.read(output.room()?);
        match read.map_err(|_| Refusal::BadRequest)? {
            0 => break,
            written => output.advance(written)?,
        }
    }
    output.finish();
    Ok(())
}

/// `deflate` means zlib (RFC 9110 section 8.4.1.2), but some senders leave its frame out.
fn deflate(input: &[u8], output: &mut Output<'_>) -> Result<(), Refusal> {
    let framed = matches!(input, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0);
    if framed {
        match inflate(input, true, output) {
            // The first bytes may look like a frame by chance.
            Err(Refusal::BadRequest) => output.filled = 0,
            done => return done,
        }
    }
    inflate(input, false, output)
}

fn inflate(mut input: &[u8], framed: bool, output: &mut Output<'_>) -> Result<(), Refusal> {
    let mut decoder = Decompress::new(framed);
    loop {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let room = output.room()?;
        let status = decoder
            .decompress(input, room, FlushDecompress::None)
            .map_err(|_| Refusal::BadRequest)?;
        let read = usize::try_from(decoder.total_in() - read).unwrap_or(usize::MAX);
        let written = usize::try_from(decoder.total_out() - written).unwrap_or(usize::MAX);
        output.advance(written)?;
        input = input.get(read..).unwrap_or_default();
        match status {
            Status::StreamEnd if input.is_empty() => break,
            // Bytes after the end are not part of the body.
            Status::StreamEnd => return Err(Refusal::BadRequest),
            // No progress: the stream is cut.
            Status::Ok | Status::BufError if read == 0 && written == 0 => {
                return Err(Refusal::BadRequest);
            }
            Status::Ok | Status::BufError => {}
        }
    }
    output.finish();
    Ok(())
}

fn brotli(input: &[u8], output: &mut Output<'_>) -> Result<(), Refusal> {
    // The standard's 16 MiB at most, of which only what is decoded is touched; the decoder would also take the
    // 1 GiB that its large-window extension can claim.
    if input.first().is_some_and(|first| asks_large_window(*first)) {
        return Err(Refusal::TooLarge);
    }
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let (mut input_left, mut input_at, mut total) = (input.len(), 0, 0);
    loop {
        let room = output.room()?;
        let (mut room_left, mut written) = (room.len(), 0);
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut input_at,
            input,
            &mut room_left,
            &mut written,
            room,
            &mut total,
            &mut state,
        );
        output.advance(written)?;
        match result {
            BrotliResult::ResultSuccess if input_left == 0 => break,
            BrotliResult::NeedsMoreOutput => {}
            // Bytes after the end, a cut stream, or a broken one.
            BrotliResult::ResultSuccess
            | BrotliResult::NeedsMoreInput
            | BrotliResult::ResultFailure => return Err(Refusal::BadRequest),
        }
    }
    output.finish();
    Ok(())
}

/// Whether a brotli stream uses the large-window extension: the first bits that RFC 7932 section 9.1 calls invalid.
fn asks_large_window(first: u8) -> bool {
    first & 0x7f == 0x11
}

fn zstd(input: &[u8], output: &mut Output<'_>) -> Result<(), Refusal> {
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(input).map_err(|_| Refusal::BadRequest)?;
    decoder
        .window_log_max(ZSTD_WINDOW_BITS_MAX)
        .map_err(|_| Refusal::BadRequest)?;
    loop {
        match decoder.read(output.room()?) {
            Ok(0) => break,
            Ok(written) => output.advance(written)?,
            // The library has this text for a window past the limit, and no kind of its own.
            Err(error) if error.to_string().contains("too much memory") => {
                return Err(Refusal::TooLarge);
            }
            Err(_) => return Err(Refusal::BadRequest),
        }
    }
    output.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::*;
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

    const HELLO: &[u8] = include_bytes!("../../tests/cases/coding/hello.json");
    const HELLO_BR: &[u8] = include_bytes!("../../tests/cases/coding/hello.json.br");
    const LARGE_WINDOW_BR: &[u8] =
        include_bytes!("../../tests/cases/coding/hello.json.large-window.br");
    const WINDOW_24_BR: &[u8] = include_bytes!("../../tests/cases/coding/hello.json.window-24.br");
    const BOMB_BR: &[u8] = include_bytes!("../../tests/cases/coding/zeros-200mb.br");
    const WINDOW_ZST: &[u8] = include_bytes!("../../tests/cases/coding/zeros-20mb.window-27.zst");
    const MIB: usize = 1 << 20;

    fn run(wire: &[u8], codings: &[&str], max: usize) -> Result<Vec<u8>, Refusal> {
        let budget = Budget::new(256 * MIB);
        let mut permit = budget.permit();
        let wire = Bytes::copy_from_slice(wire);
        let lines = codings.iter().map(|line| line.as_bytes());
        let decoded = decode(&wire, lines, max, &mut permit);
        // Memory never follows the input's claims: at most the cap for each coding, doubled once.
        assert!(
            budget.held() <= 2 * max + 2 * OUTPUT_STEP,
            "{}",
            budget.held()
        );
        decoded.map(|bytes| bytes.to_vec())
    }

    fn through(mut encoder: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        through(GzEncoder::new(plain, Compression::fast()))
    }

    fn encoded(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let best = Compression::best();
        vec![
            ("gzip", gzip(plain)),
            ("X-GZip", gzip(plain)),
            ("deflate", through(ZlibEncoder::new(plain, best))),
            ("deflate", through(DeflateEncoder::new(plain, best))),
            ("zstd", zstd::encode_all(plain, 3).unwrap()),
        ]
    }

    #[test]
    fn every_coding() {
        let mut cases = encoded(HELLO);
        cases.push(("br", HELLO_BR.to_vec()));
        for (coding, wire) in cases {
            assert_eq!(run(&wire, &[coding], MIB).unwrap(), HELLO, "{coding}");
            // A body of exactly the cap fits, one byte less does not.
            assert!(run(&wire, &[coding], HELLO.len()).is_ok(), "{coding}");
            let tight = run(&wire, &[coding], HELLO.len() - 1);
            assert_eq!(tight, Err(Refusal::TooLarge), "{coding}");
            // Cut anywhere, or with something behind it: broken, never cut and accepted.
            for cut in 1..wire.len() {
                let got = run(&wire[..cut], &[coding], MIB);
                assert_eq!(got, Err(Refusal::BadRequest), "{coding} cut at {cut}");
            }
            let more = [&wire[..], b"more"].concat();
            assert_eq!(
                run(&more, &[coding], MIB),
                Err(Refusal::BadRequest),
                "{coding}"
            );
            let noise = run(b"\x1f\x8b\x08nonsense that is no stream", &[coding], MIB);
            assert_eq!(noise, Err(Refusal::BadRequest), "{coding}");
        }
    }

    #[test]
    fn lists_and_names() {
        assert_eq!(run(b"plain", &[], MIB).unwrap(), b"plain");
        assert_eq!(run(b"plain", &["identity", " , "], MIB).unwrap(), b"plain");
        assert_eq!(run(b"", &["gzip"], MIB).unwrap(), b"");
        let twice = zstd::encode_all(&gzip(HELLO)[..], 3).unwrap();
        assert_eq!(run(&twice, &["gzip, zstd"], MIB).unwrap(), HELLO);
        assert_eq!(
            run(&twice, &["gzip", "identity, ZSTD"], MIB).unwrap(),
            HELLO
        );
        for unknown in [
            "compress",
            "gzip;q=1",
            "aes128gcm",
            "gzip, gzip, gzip",
            "gz\u{e9}",
        ] {
            let refused = run(&twice, &[unknown], MIB);
            assert_eq!(refused, Err(Refusal::UnsupportedCoding), "{unknown}");
        }
        let members = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(run(&members, &["gzip"], MIB).unwrap(), b"one two");
    }

    #[test]
    fn bombs_end_at_the_cap() {
        let mib = vec![0; MIB];
        let zlib = through(ZlibEncoder::new(
            &vec![0; 12 * MIB][..],
            Compression::fast(),
        ));
        for (coding, bomb) in [
            ("gzip", gzip(&mib).repeat(200)),
            ("zstd", zstd::encode_all(&mib[..], 3).unwrap().repeat(200)),
            ("deflate", zlib),
            ("br", BOMB_BR.to_vec()),
        ] {
            let refused = run(&bomb, &[coding], 10 * MIB);
            assert_eq!(refused, Err(Refusal::TooLarge), "{coding}");
        }
        // Below the size cap, but nothing honest shrinks to a thousandth.
        let refused = run(&gzip(&vec![0; 5 * MIB]), &["gzip"], 10 * MIB);
        assert_eq!(refused, Err(Refusal::TooLarge));
        // Small ones may: a page of zeros is no attack.
        assert!(run(&gzip(&mib), &["gzip"], 10 * MIB).is_ok());
        // A bomb within a coding.
        let nested = gzip(&gzip(&mib).repeat(20));
        let refused = run(&nested, &["gzip, gzip"], 10 * MIB);
        assert_eq!(refused, Err(Refusal::TooLarge));
    }

    #[test]
    fn windows_are_capped() {
        assert_eq!(run(WINDOW_ZST, &["zstd"], 64 * MIB), Err(Refusal::TooLarge));
        assert_eq!(run(LARGE_WINDOW_BR, &["br"], MIB), Err(Refusal::TooLarge));
        assert_eq!(run(WINDOW_24_BR, &["br"], MIB).unwrap(), HELLO);
    }

    #[test]
    fn memory_is_held_while_decoding() {
        let budget = Budget::new(8 * 1024);
        let wire = Bytes::from(gzip(&vec![b'x'; 100_000]));
        let lines = std::iter::once(&b"gzip"[..]);
        let refused = decode(&wire, lines, MIB, &mut budget.permit());
        assert!(matches!(refused, Err(Refusal::Busy { .. })));
    }

    proptest::proptest! {
        #[test]
        fn noise_never_panics(noise: Vec<u8>, which in 0usize..4) {
            let coding = ["gzip", "deflate", "br", "zstd"][which];
            run(&noise, &[coding], MIB).ok();
        }

        #[test]
        fn what_was_encoded_comes_back(plain: Vec<u8>) {
            for (coding, wire) in encoded(&plain) {
                proptest::prop_assert_eq!(run(&wire, &[coding], MIB).unwrap(), plain.clone());
            }
        }
    }
}
