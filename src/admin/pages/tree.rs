//! JSON as a tree that a template draws: every value becomes a line of text with its kind.

use serde::Serialize;
use serde_json::Value;

/// Values of one document that are drawn; the rest is counted.
const NODES_MAX: usize = 1_000;
/// Depth below which a value is shown as one line of JSON.
const DEPTH_MAX: usize = 16;
/// Bytes of a path; longer ones end there.
const PATH_BYTES_MAX: usize = 512;
/// Characters of one text that are drawn.
const TEXT_CHARS_MAX: usize = 2_000;

/// One value.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    key: String,
    /// As a template or a search names it: `body.commits.0.id`.
    path: String,
    /// `text`, `plain` (number, true, null), `object`, `array`.
    kind: &'static str,
    /// The value, or the number of children.
    text: String,
    open: bool,
    children: Vec<Node>,
}

/// A document, cut to what a page can show.
#[derive(Debug, Serialize)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Whether values were left out.
    cut: bool,
}

/// How the parts of a path are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    /// As in templates: `body["a b"]`.
    Body,
    /// As in searches: `payload."a b"`.
    Payload,
    /// Of a whole event: `resource.prefect.resource.id` would say nothing, so values have no names.
    Event,
}

impl Paths {
    fn root(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Payload => "payload",
            Self::Event => "",
        }
    }

    fn below(self, path: &str, key: &str) -> String {
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if path.len() > PATH_BYTES_MAX {
            return path.to_owned();
        }
        if plain {
            return format!("{path}.{key}");
        }
        let quoted = Value::from(key);
        match self {
            Self::Body => format!("{path}[{quoted}]"),
            Self::Payload | Self::Event => format!("{path}.{quoted}"),
        }
    }
}

/// The tree of a JSON text; none where it is not JSON.
pub(super) fn of_json(text: &[u8], paths: Paths) -> Option<Tree> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let mut left = NODES_MAX;
    let top = node(
        String::new(),
        paths.root().to_owned(),
        paths,
        &value,
        0,
        &mut left,
    );
    let nodes = match value {
        Value::Object(_) | Value::Array(_) if !top.children.is_empty() => top.children,
        _ => vec![top],
    };
    Some(Tree {
        nodes,
        cut: left == 0,
    })
}

fn node(
    key: String,
    path: String,
    paths: Paths,
    value: &Value,
    depth: usize,
    left: &mut usize,
) -> Node {
    *left = left.saturating_sub(1);
    let leaf = |kind, text: String| Node {
        key: key.clone(),
        path: path.clone(),
        kind,
        text,
        open: false,
        children: Vec::new(),
    };
    match value {
        Value::String(text) => leaf("text", cut(text)),
        Value::Number(_) | Value::Bool(_) | Value::Null => leaf("plain", value.to_string()),
        _ if depth >= DEPTH_MAX => leaf("plain", cut(&value.to_string())),
        Value::Array(items) => {
            let pairs = items.iter().enumerate().map(|(i, v)| (i.to_string(), v));
            branch((key, path, paths), "array", items.len(), pairs, depth, left)
        }
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(k, v)| (k.clone(), v));
            branch(
                (key, path, paths),
                "object",
                fields.len(),
                pairs,
                depth,
                left,
            )
        }
    }
}

fn branch<'a>(
    (name, path, paths): (String, String, Paths),
    kind: &'static str,
    size: usize,
    pairs: impl Iterator<Item = (String, &'a Value)>,
    depth: usize,
    left: &mut usize,
) -> Node {
    let mut children = Vec::new();
    for (key, value) in pairs {
        if *left == 0 {
            break;
        }
        let below = paths.below(&path, &key);
        children.push(node(cut(&key), below, paths, value, depth + 1, left));
    }
    Node {
        key: name,
        path,
        kind,
        text: size.to_string(),
        open: depth < 3 && size <= 12,
        children,
    }
}

/// At most so many characters, with an ellipsis where some were cut.
fn cut(text: &str) -> String {
    super::show::cut(text, TEXT_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Tree> {
        of_json(text, Paths::Body)
    }

    #[test]
    fn numbers_stay_exact_and_size_is_bounded() {
        let tree = read(br#"{"n": 12345678901234567890.10, "s": "<b>", "a": [1, {}]}"#).unwrap();
        assert_eq!(tree.nodes[0].text, "12345678901234567890.10");
        assert_eq!(tree.nodes[1].text, "<b>");
        assert_eq!(tree.nodes[2].children.len(), 2);
        let many = format!("[{}0]", "0,".repeat(5_000));
        let tree = read(many.as_bytes()).unwrap();
        assert!(tree.cut && tree.nodes.len() < NODES_MAX);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(read(deep.as_bytes()).is_some());
        assert!(read(b"no").is_none());
    }

    #[test]
    fn paths_are_those_of_templates_and_searches() {
        let text = br#"{"a b": [{"c": 1}]}"#;
        let path = |paths| {
            let tree = of_json(text, paths).unwrap();
            tree.nodes[0].children[0].children[0].path.clone()
        };
        assert_eq!(path(Paths::Body), r#"body["a b"].0.c"#);
        assert_eq!(path(Paths::Payload), r#"payload."a b".0.c"#);
    }
}
