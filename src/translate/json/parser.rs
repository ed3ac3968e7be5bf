//! The grammar of JSON (RFC 8259), without recursion.

use super::{DEPTH_MAX, Entry, Invalid, Kind};

/// Bodies are seldom nested deeper.
const DEPTH_USUAL: usize = 16;

/// Reads a text into entries.
pub(super) struct Parser<'t> {
    bytes: &'t [u8],
    at: usize,
    /// What was read.
    pub(super) entries: Vec<Entry>,
    /// How deep it is nested.
    pub(super) depth: usize,
}

/// An array or object that is not closed yet.
struct Open {
    entry: u32,
    is_object: bool,
}

impl<'t> Parser<'t> {
    /// At the beginning of a text, with room for `entries`.
    pub(super) fn new(text: &'t str, entries: usize) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            entries: Vec::with_capacity(entries),
            depth: 0,
        }
    }

    /// Reads one whole JSON text.
    ///
    /// # Errors
    /// Where and why it is none.
    pub(super) fn document(&mut self) -> Result<(), Invalid> {
        if u32::try_from(self.bytes.len()).is_err() {
            return Err(self.invalid("the text is too long"));
        }
        let mut open: Vec<Open> = Vec::with_capacity(DEPTH_USUAL);
        loop {
            if self.value(&mut open)? {
                continue;
            }
            loop {
                let Some(innermost) = open.last() else {
                    return self.end();
                };
                let is_object = innermost.is_object;
                match self.next()? {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            let byte = self.next()?;
                            self.key(byte)?;
                        }
                        break;
                    }
                    b'}' if is_object => self.close(&mut open),
                    b']' if !is_object => self.close(&mut open),
                    _ => return Err(self.invalid("a comma or a closing bracket is missing")),
                }
            }
        }
    }

    /// Reads a value, or the beginning of one: true when the first value inside it is next.
    fn value(&mut self, open: &mut Vec<Open>) -> Result<bool, Invalid> {
        let byte = self.next()?;
        if byte != b'{' && byte != b'[' {
            self.scalar(byte)?;
            return Ok(false);
        }
        if open.len() >= DEPTH_MAX {
            return Err(self.invalid("the nesting is too deep"));
        }
        let is_object = byte == b'{';
        open.push(Open {
            entry: short(self.entries.len()),
            is_object,
        });
        self.depth = self.depth.max(open.len());
        let kind = if is_object { Kind::Object } else { Kind::Array };
        self.push(kind, self.at, self.at);
        self.at += 1;
        let first = self.next()?;
        match (is_object, first) {
            (true, b'}') | (false, b']') => {
                self.close(open);
                return Ok(false);
            }
            (true, _) => self.key(first)?,
            (false, _) => {}
        }
        Ok(true)
    }

    /// Reads a key and its colon.
    fn key(&mut self, byte: u8) -> Result<(), Invalid> {
        if byte != b'"' {
            return Err(self.invalid("a key must be a string in double quotes"));
        }
        self.string()?;
        self.white();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.invalid("a colon is missing after a key"));
        }
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, open: &mut Vec<Open>) {
        self.at += 1;
        let (end, next) = (short(self.at), short(self.entries.len()));
        let entry = open.pop().map_or(usize::MAX, |open| open.entry as usize);
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.end = end;
            entry.next = next;
        }
    }

    /// Nothing may follow the outermost value.
    fn end(&mut self) -> Result<(), Invalid> {
        self.white();
        if self.at < self.bytes.len() {
            return Err(self.invalid("there is more after the end of the JSON"));
        }
        Ok(())
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Result<u8, Invalid> {
        self.white();
        match self.bytes.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(self.invalid("the text ends too early")),
        }
    }

    fn scalar(&mut self, byte: u8) -> Result<(), Invalid> {
        match byte {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Kind::Bool),
            b'f' => self.word("false", Kind::Bool),
            b'n' => self.word("null", Kind::Null),
            _ => Err(self.invalid("a value is missing")),
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), Invalid> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.invalid("this word is no JSON value"));
        }
        self.push(kind, self.at, end);
        self.at = end;
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<(), Invalid> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.bytes.get(self.at).copied();
        let whole = self.digits();
        if whole == 0 || (first == Some(b'0') && whole > 1) {
            return Err(self.invalid("this is no JSON number"));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.invalid("this is no JSON number"));
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.invalid("this is no JSON number"));
            }
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    fn string(&mut self) -> Result<(), Invalid> {
        let start = self.at + 1;
        let mut kind = Kind::Plain;
        self.at = start;
        loop {
            self.at = super::plain_until(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                Some(_) => {
                    return Err(self.invalid("a control character must be escaped in a string"));
                }
                None => return Err(self.invalid("a string is not closed")),
            }
        }
        self.push(kind, start, self.at);
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Invalid> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let high = self.hex4()?;
                if (0xdc00..0xe000).contains(&high) {
                    return Err(self.invalid("half of a surrogate pair"));
                }
                if (0xd800..0xdc00).contains(&high) {
                    let follows = self.bytes.get(self.at..self.at + 2) == Some(br"\u");
                    let low = if follows { self.hex4()? } else { 0 };
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.invalid("half of a surrogate pair"));
                    }
                }
                Ok(())
            }
            _ => Err(self.invalid("this escape is not allowed in a string")),
        }
    }

    fn hex4(&mut self) -> Result<u32, Invalid> {
        let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or(&[]);
        if digits.len() < 4 {
            return Err(self.invalid("an escape is cut off"));
        }
        let mut code = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return Err(self.invalid("an escape has a wrong digit"));
            };
            code = (code << 4) | value;
        }
        self.at += 6;
        Ok(code)
    }

    fn white(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = short(self.entries.len() + 1);
        self.entries.push(Entry {
            kind,
            start: short(start),
            end: short(end),
            next,
        });
    }

    fn invalid(&self, what: &'static str) -> Invalid {
        Invalid { at: self.at, what }
    }
}

/// Positions fit: the length of the text was checked first.
fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
