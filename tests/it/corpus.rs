//! What was ever fed to the readers of foreign bytes (`fuzz/corpus/`) is fed to them again, and with it a few hundred
//! changed inputs each, the same ones for the same seed: so a machine without libFuzzer does a little of its work.

use hookgate::fuzz::TARGETS;
use std::fs;
use std::path::{Path, PathBuf};

/// Another seed gives other changes.
const SEED: &str = "HOOKGATE_TEST_SEED";
/// Changed inputs of each target.
const CHANGED: usize = 300;
/// Changed inputs are no longer than this; those of the corpus may be.
const BYTES_MAX: usize = 4 * 1024;
/// Files of one target, and bytes of all together.
const FILES_MAX: usize = 48;
const CORPUS_BYTES_MAX: usize = 200 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let paths = entries(&folder().join("corpus").join(name));
    let read = |path: &PathBuf| (path.display().to_string(), fs::read(path).unwrap());
    paths.iter().map(read).collect()
}

/// Says which input it was when the reader panics.
struct Told<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: \"{}\"", self.name, self.input.escape_ascii());
        }
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let run = |name: &str, input: &[u8]| {
        let _told = Told { name, input };
        (target.run)(input);
    };
    let inputs = inputs(name);
    for (path, input) in &inputs {
        run(path, input);
    }
    let seed =
        std::env::var(SEED).map_or(1, |text| text.trim().parse().expect("a seed is a number"));
    eprintln!("{SEED}={seed}");
    let tokens = tokens();
    let mut changer = Changer { state: seed };
    for i in 0..CHANGED {
        let input = changer.changed(&inputs, &tokens);
        run(
            &format!("{name}, changed input {i} of {SEED}={seed}"),
            &input,
        );
    }
}

/// Words of the formats, as libFuzzer's dictionaries write them.
fn tokens() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join("dictionary.txt")).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    lines.map(unescaped).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                tail
            }
            (b'\\', [escaped, tail @ ..]) => {
                out.push(*escaped);
                tail
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

/// Changes inputs, by a generator of numbers (SplitMix64) that gives the same ones everywhere.
struct Changer {
    state: u64,
}

impl Changer {
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`; 0 where that is 0.
    fn below(&mut self, limit: usize) -> usize {
        let number = self.number() % u64::try_from(limit.max(1)).unwrap();
        usize::try_from(number).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let end = start + self.below((length - start).min(64) + 1);
        start..end
    }

    fn changed(&mut self, inputs: &[(String, Vec<u8>)], tokens: &[Vec<u8>]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].1.clone();
        input.truncate(BYTES_MAX);
        for _ in 0..=self.below(4) {
            let range = self.range(input.len());
            match self.below(6) {
                0 => {
                    if let Some(byte) = input.get_mut(range.start) {
                        *byte ^= 1 << (range.len() % 8);
                    }
                }
                1 => drop(input.drain(range)),
                2 => {
                    let copy = input[range.clone()].to_vec();
                    let at = self.below(input.len() + 1);
                    input.splice(at..at, copy);
                }
                3 => {
                    let other = &inputs[self.below(inputs.len())].1;
                    let part = other[self.range(other.len())].to_vec();
                    input.splice(range, part);
                }
                _ => {
                    let token = tokens[self.below(tokens.len())].clone();
                    input.splice(range.start..range.start, token);
                }
            }
        }
        input
    }
}

#[test]
fn every_target_has_a_program_and_inputs_and_they_are_few() {
    let named = |folder: &str| -> Vec<String> {
        let paths = entries(&self::folder().join(folder));
        let stems = paths
            .iter()
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
        stems.collect()
    };
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(named("fuzz_targets"), names);
    assert_eq!(named("corpus"), names);
    let mut bytes = 0;
    for name in names {
        let inputs = inputs(name);
        assert!(
            (1..=FILES_MAX).contains(&inputs.len()),
            "{name}: {}",
            inputs.len()
        );
        bytes += inputs.iter().map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes}");
}

#[test]
fn cloudevents_inputs_keep_their_promises() {
    replay("cloudevents");
}

#[test]
fn config_inputs_keep_their_promises() {
    replay("config");
}

#[test]
fn definition_inputs_keep_their_promises() {
    replay("definition");
}

#[test]
fn json_inputs_keep_their_promises() {
    replay("json");
}

#[test]
fn query_inputs_keep_their_promises() {
    replay("query");
}

#[test]
fn record_inputs_keep_their_promises() {
    replay("record");
}

#[test]
fn request_inputs_keep_their_promises() {
    replay("request");
}

#[test]
fn signature_inputs_keep_their_promises() {
    replay("signature");
}

#[test]
fn template_inputs_keep_their_promises() {
    replay("template");
}

#[test]
fn template_safe_inputs_keep_their_promises() {
    replay("template_safe");
}
