//! Keys of a batch: each item of the body has its own, since a retry may come with other neighbours.

use super::json::Pointer;
use super::value::{Source, form_fields};
use crate::model::Request;
use sha2::{Digest, Sha256};

/// Pointers that one key is made of at most.
const PARTS_MAX: usize = 8;

/// `{ each = "json:/items/*", key = "/id" }`: the items, and where each has its key. Of a list of pointers the
/// values are joined; an item that lacks one of them has no key.
#[derive(Debug, Clone)]
pub(super) struct Each {
    items: Source,
    /// None: the digest of the item's text.
    key: Vec<Pointer>,
    with: String,
    /// Every place read, as from the body's root.
    sources: Vec<Source>,
}

/// The key of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey {
    /// The key.
    pub key: String,
    /// Its first part, as it stands in the item: what an event made of the item may show.
    pub witness: String,
}

impl Each {
    pub(super) fn parse(
        items: &str,
        key: Vec<String>,
        with: Option<String>,
    ) -> Result<Self, String> {
        let bad = || {
            format!("`{items}` names no items: expected such as `json:/items/*` or `form:field#/*`")
        };
        let place = Source::parse(items)?.into_iter().next().ok_or_else(bad)?;
        let pointers = || {
            let key: Option<Vec<_>> = key.iter().map(|text| Pointer::parse(text)).collect();
            let key = key.filter(|key| (1..=PARTS_MAX).contains(&key.len()));
            key.ok_or_else(|| {
                format!("`key` is \"hash\", a JSON pointer or up to {PARTS_MAX} of them, each beginning with `/`, from the item on")
            })
        };
        let hash = key.iter().map(String::as_str).eq(["hash"]);
        let key = if hash { Vec::new() } else { pointers()? };
        let sources = match &place {
            Source::Json(root) if root.as_str().contains("/*") => {
                let paths = key.iter().map(|key| Source::Json(root.join(key)));
                paths.collect()
            }
            Source::FormJson(field, root) if root.as_str().contains("/*") => {
                let paths = key.iter().map(|key| root.join(key));
                paths.map(|p| Source::FormJson(field.clone(), p)).collect()
            }
            _ => return Err(bad()),
        };
        Ok(Self {
            items: place,
            key,
            with: with.unwrap_or_else(|| ":".to_owned()),
            sources,
        })
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The items, where the digest of each is its key.
    pub(super) fn hashed(&self) -> Option<&Source> {
        self.key.is_empty().then_some(&self.items)
    }

    pub(super) fn label(&self) -> String {
        let parts: Vec<_> = self.key.iter().map(Pointer::as_str).collect();
        if parts.is_empty() {
            return format!("hash of each {}", self.items);
        }
        format!("{} of each {}", parts.join(" + "), self.items)
    }

    /// The key of every item, in order; none at all where there are no items.
    pub(super) fn keys(&self, request: &Request) -> Vec<Option<ItemKey>> {
        match &self.items {
            Source::Json(root) => self.of(root, &request.body),
            Source::FormJson(field, root) => {
                let texts = form_fields(request, field);
                texts
                    .iter()
                    .flat_map(|text| self.of(root, text.as_bytes()))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn of(&self, root: &Pointer, json: &[u8]) -> Vec<Option<ItemKey>> {
        let items = root.values(json).into_iter();
        items.map(|item| self.one(item.get().as_bytes())).collect()
    }

    fn one(&self, item: &[u8]) -> Option<ItemKey> {
        if self.key.is_empty() {
            return Some(ItemKey {
                key: hex::encode(Sha256::digest(item)),
                witness: String::new(),
            });
        }
        let value = |pointer: &Pointer| {
            let value = pointer.read(item).into_iter().next()?;
            (!value.trim().is_empty()).then_some(value)
        };
        let parts: Option<Vec<String>> = self.key.iter().map(value).collect();
        let parts = parts?;
        Some(ItemKey {
            key: parts.join(&self.with),
            witness: parts.into_iter().next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::model::http_file;
    use crate::verify::ValueSpec;

    fn keys(spec: &str, body: &str) -> Vec<Option<String>> {
        let spec: ValueSpec = serde_json::from_str(spec).unwrap();
        let kind = if body.starts_with(['[', '{']) {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let text = format!("POST / HTTP/1.1\nHost: h\nContent-Type: {kind}\n\n{body}");
        let request = http_file::parse(text.as_bytes(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        let keys = spec.items(&request).unwrap_or_default();
        keys.into_iter().map(|key| key.map(|key| key.key)).collect()
    }

    #[test]
    fn each_item_has_its_own() {
        let some = |texts: &[&str]| -> Vec<Option<String>> {
            texts.iter().map(|t| Some((*t).to_owned())).collect()
        };
        let flat = r#"{"each":"json:/*","key":"/id"}"#;
        assert_eq!(
            keys(flat, r#"[{"id":"a"},{"id":12345678901234567890123}]"#),
            some(&["a", "12345678901234567890123"])
        );
        assert_eq!(
            keys(flat, r#"[{"id":"a"},{"x":1},7]"#),
            [Some("a".into()), None, None]
        );
        assert!(keys(flat, r#"{"id":"a"}"#).is_empty());
        assert!(keys(flat, "[]").is_empty());
        let nested = r#"{"each":"json:/e/*/m/*","key":["/id","/s"],"with":"-"}"#;
        let body = r#"{"e":[{"m":[{"id":1,"s":"x"},{"id":2,"s":""}]},{"m":[]},{"m":[{"id":3,"s":true}]}]}"#;
        assert_eq!(
            keys(nested, body),
            [Some("1-x".into()), None, Some("3-true".into())]
        );
        let hash = keys(
            r#"{"each":"json:/*","key":"hash"}"#,
            r#"[{"a": 1}, {"a":1}, {"a":1}]"#,
        );
        assert!(hash[0] != hash[1] && hash[1] == hash[2], "{hash:?}");
        let form = r#"{"each":"form:list#/*","key":"/_id"}"#;
        assert_eq!(
            keys(form, "list=%5B%7B%22_id%22%3A%22q%22%7D%5D"),
            some(&["q"])
        );
    }

    #[test]
    fn what_names_no_items_is_refused() {
        for bad in [
            r#"{"each":"json:/id","key":"/id"}"#,
            r#"{"each":"header:X","key":"/id"}"#,
            r#"{"each":"json:/*"}"#,
            r#"{"key":"/id"}"#,
            r#"{"each":"json:/*","key":"id"}"#,
            r#"{"each":"json:/*","key":[]}"#,
            r#"{"each":"json:/*","key":"/id","from":"path"}"#,
        ] {
            assert!(serde_json::from_str::<ValueSpec>(bad).is_err(), "{bad}");
        }
    }
}
