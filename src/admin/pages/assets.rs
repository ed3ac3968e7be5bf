//! Style sheet, icons and scripts: under one address that changes when any of them does.
//!
//! `/ui/<hash>/<name>` holds the hash of all assets, not of one, so that modules import each other (and the
//! style sheet its icons) by plain relative names, and browsers may keep what they fetched for good.

use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// One file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    name: String,
    pub(super) media_type: &'static str,
    pub(super) content: Cow<'static, str>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Assets {
    /// `/ui/1a2b3c4d5e6f`.
    pub(super) base: String,
    /// Names of the modules, which every page loads; each looks for what it is about and else does nothing.
    pub(super) modules: Vec<String>,
    assets: Vec<Asset>,
}

/// What an asset is, by the end of its name; none: not an asset.
fn media_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "js" => Some("text/javascript; charset=utf-8"),
        _ => None,
    }
}

impl Assets {
    /// Takes what is an asset among the files of the top folder.
    pub(super) fn of(files: &[(String, Cow<'static, str>)]) -> Self {
        let mut assets: Vec<Asset> = files
            .iter()
            .filter(|(name, _)| !name.contains('/'))
            .filter_map(|(name, content)| {
                Some(Asset {
                    media_type: media_type(name)?,
                    name: name.clone(),
                    content: content.clone(),
                })
            })
            .collect();
        assets.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hash = Sha256::new();
        for asset in &assets {
            for part in [asset.name.as_str(), &asset.content] {
                hash.update(part.len().to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let digest = hex::encode(hash.finalize());
        Self {
            base: format!("/ui/{}", digest.get(..12).unwrap_or("")),
            modules: assets
                .iter()
                .map(|asset| &asset.name)
                .filter(|name| name.ends_with(".js"))
                .cloned()
                .collect(),
            assets,
        }
    }

    /// The asset at `/ui/{hash}/{name}`; one of another version is not there.
    pub(super) fn find(&self, hash: &str, name: &str) -> Option<&Asset> {
        let current = self.base.strip_prefix("/ui/") == Some(hash);
        let mut assets = self.assets.iter();
        assets.find(|asset| current && asset.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(script: &str) -> Vec<(String, Cow<'static, str>)> {
        [
            ("base.html", ""),
            ("style.css", "a{}"),
            ("live.js", script),
            ("deep/b.js", ""),
        ]
        .map(|(name, content)| (name.to_owned(), Cow::Owned(content.to_owned())))
        .into()
    }

    #[test]
    fn one_hash_for_all() {
        let (old, new) = (Assets::of(&files("1")), Assets::of(&files("2")));
        assert_ne!(old.base, new.base);
        assert_eq!(old.modules, ["live.js"]);
        let hash = old.base.strip_prefix("/ui/").unwrap();
        assert!(old.find(hash, "live.js").is_some());
        assert!(old.find(hash, "base.html").is_none() && new.find(hash, "live.js").is_none());
    }
}
