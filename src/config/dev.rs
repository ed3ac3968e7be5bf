//! The webhook that `dev` brings along: it takes whatever is sent to it.

use super::{Config, Overrides, Webhook, load_text};
use std::path::Path;
use std::sync::Arc;

/// Name and slug of the webhook. The slug is no secret: it is on loopback, and printed.
pub(crate) const NAME: &str = "try";

/// What it would look like in a file. An event without a payload has the request's method, headers and body.
const TEXT: &str = r#"
[[webhook]]
name = "try"
slug = "try"
description = "Accepts anything and keeps it: built into `hookgate dev`."
verify = "none"
methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
subpaths = true
event = { event = "http.{{ method|lower }}", resource = { "prefect.resource.id" = "webhook.try" } }
"#;

/// Adds the webhook, unless the file has one of that name or slug.
pub(super) fn add(file: &Path, webhooks: &mut Vec<Arc<Webhook>>) {
    let taken = |webhook: &Arc<Webhook>| {
        let old = webhook.old_slugs.iter().map(|old| &old.slug);
        let mut slugs = std::iter::once(&webhook.slug).chain(old);
        webhook.name == NAME || slugs.any(|slug| slug.expose() == NAME)
    };
    if !webhooks.iter().any(taken) {
        webhooks.extend(built_in(file));
    }
}

fn built_in(file: &Path) -> Option<Arc<Webhook>> {
    let Config {
        mut webhooks,
        routes,
        ..
    } = load_text(file, TEXT.to_owned(), &Overrides::default()).config?;
    drop(routes);
    let webhook = Arc::into_inner(webhooks.pop()?)?;
    Some(Arc::new(Webhook { line: 0, ..webhook }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn dev() -> Overrides {
        Overrides {
            dev: true,
            ..Overrides::default()
        }
    }

    #[test]
    fn it_needs_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(&folder.path().join("webhooks.toml"), &dev());
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let config = loaded.config.unwrap();
        assert_eq!(config.webhooks.len(), 1);
        assert_eq!((config.webhooks[0].line, config.routes.len()), (0, 1));
        assert!(config.edge.listen.ip().is_loopback() && config.admin.listen.ip().is_loopback());
        // Without it the file is wanted.
        let loaded = load(&folder.path().join("webhooks.toml"), &Overrides::default());
        assert!(loaded.has_errors());
    }

    #[test]
    fn the_files_webhooks_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("webhooks.toml");
        let own = "[[webhook]]\nname = \"NAME\"\nslug = \"SLUG\"\nverify = \"none\"\n\
             event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }\n";
        for (name, slug, count) in [
            ("a", "fakeslug00000000000001", 2),
            ("try", "x", 1),
            ("b", "try", 1),
        ] {
            let text = own.replace("NAME", name).replace("SLUG", slug);
            let config = load_text(&file, text, &dev()).config.unwrap();
            assert_eq!(config.webhooks.len(), count, "{name}");
            assert!(config.webhooks[0].line > 0);
        }
    }
}
