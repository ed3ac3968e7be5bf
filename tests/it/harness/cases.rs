//! Signed, forged and handshake requests with what is expected of them, from `tests/cases`.

use base64::Engine as _;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One case.
pub struct Case(pub Value);

/// Where a request goes.
pub struct Target<'a> {
    /// Without the query.
    pub base: &'a str,
    /// With its `?`, where there is one.
    pub query: &'a str,
}

impl Case {
    /// The cases of `<name>.json` and of every file in the folder `<folder>`.
    pub fn all(name: &str, folder: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let entries = root.join(folder).read_dir().expect("the folder");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        files.push(root.join(format!("{name}.json")));
        files.sort();
        let read = |file: &PathBuf| -> Vec<Value> {
            let text = std::fs::read_to_string(file).expect("cases");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
        };
        files.iter().flat_map(read).map(Self).collect()
    }

    /// A text of the case; empty where it has none.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or("")
    }

    /// The name that `provider = "…"` takes.
    pub fn provider(&self) -> &str {
        // Some senders have a second form, whose cases have a name of their own.
        let name = self.text("provider");
        name.strip_suffix("-form").unwrap_or(name)
    }

    /// Sender and name, for messages.
    pub fn label(&self) -> String {
        format!("{}: {}", self.text("provider"), self.text("name"))
    }

    /// Its clock.
    pub fn now(&self) -> i64 {
        self.0["now"].as_i64().expect("a clock")
    }

    /// What the owner configures.
    pub fn secrets(&self) -> Vec<&str> {
        match self.0["secrets"].as_array() {
            Some(list) => list.iter().filter_map(Value::as_str).collect(),
            None => vec![self.text("secret")],
        }
    }
}

/// URL of a request, apart.
pub fn target(request: &Value) -> Target<'_> {
    let url = request["url"].as_str().expect("a URL");
    let (base, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    Target { base, query }
}

/// Header lines of a request, in order.
pub fn headers(request: &Value) -> Vec<(&str, &str)> {
    let list = request["headers_list"].as_array().into_iter().flatten();
    let pairs = list.map(|pair| (pair[0].as_str(), pair[1].as_str()));
    let table = request["headers"].as_object().into_iter().flatten();
    let more = table.map(|(name, value)| (Some(name.as_str()), value.as_str()));
    pairs
        .chain(more)
        .map(|(name, value)| (name.expect("a name"), value.expect("a value")))
        .collect()
}

/// Body of a request.
pub fn body(request: &Value) -> Vec<u8> {
    match request["body_base64"].as_str() {
        Some(text) => base64::prelude::BASE64_STANDARD
            .decode(text)
            .expect("base64"),
        None => request["body"].as_str().unwrap_or("").as_bytes().to_vec(),
    }
}
