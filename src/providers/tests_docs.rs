//! `docs/providers.md` says how a provider is written: every key that the loader knows is in it, and what it shows
//! loads.

use super::load;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/providers.md");

/// The block of the page that begins so.
fn block(begin: &str) -> &'static str {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    let mut blocks = blocks.filter_map(|block| block.strip_prefix("toml\n"));
    blocks.find(|block| block.starts_with(begin)).unwrap()
}

/// What the loader says of a `provider.toml`.
fn error(folder: &Path, text: &str) -> Option<String> {
    let provider = folder.join("templates/providers/shop");
    std::fs::create_dir_all(&provider).unwrap();
    std::fs::write(provider.join("provider.toml"), text).unwrap();
    let problems = load("shop", Some(folder)).err()?;
    Some(problems.first().unwrap().message.clone())
}

#[test]
fn the_page_on_providers_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let whole = block("title");
    assert_eq!(error(folder.path(), whole), None);

    let table = |line: &str| format!("title = \"Shop\"\n{line}\n");
    let shake = |line: &str| {
        table(&format!(
            "[[handshake]]\ntitle = \"t\"\nmatch = {{ method = \"GET\" }}\n{line}"
        ))
    };
    for text in [
        table("zzz = 1"),
        table("answer = { zzz = 1 }"),
        table("secret = { zzz = 1 }"),
        table("[[setup]]\nzzz = 1"),
        table("[[setup]]\nwhere = \"w\"\nfields = [{ zzz = 1 }]"),
        table("delivery_key = [{ zzz = 1 }]"),
        table("[[handshake]]\nzzz = 1"),
        table("[[handshake]]\ntitle = \"t\"\nmatch = { zzz = 1 }"),
        shake("answer = { zzz = 1 }"),
        shake("confirm = { zzz = 1 }"),
        shake("teaches = { zzz = 1 }"),
        // Their values: words of one list.
        table("evidence = \"zzz\""),
    ] {
        let said = error(folder.path(), &text).unwrap();
        let (_, known) = said
            .split_once("expected ")
            .unwrap_or_else(|| panic!("{said}"));
        let keys: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() > 1, "{said}");
        for key in keys {
            let named = [
                format!("`{key}`"),
                format!("`{key} = "),
                format!("{key} = "),
            ];
            let in_list = PAGE.contains("{ name, value, note }") && "name value note".contains(key);
            assert!(
                in_list || named.iter().any(|name| PAGE.contains(name)),
                "docs/providers.md does not name `{key}`: {said}"
            );
        }
    }
}
