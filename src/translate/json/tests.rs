use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn agree(text: &str) {
    let ours = Doc::parse(text.to_owned());
    let theirs = serde_json::from_str::<Value>(text);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{text:?} {ours:?} {theirs:?}");
    assert_eq!(is_json(text), theirs.is_ok());
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        let again: Value = serde_json::from_str(&ours.root().to_compact()).unwrap();
        assert_eq!(again, theirs, "{text:?}");
    }
}

#[test]
fn reads_what_serde_json_reads() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true ",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".5",
        "1e5",
        "1E+5",
        "1e",
        "1.5e-7",
        "123456789012345678901234567890",
        "\"a",
        "\"\\x\"",
        "\"\\u00e9\\n\\\"\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\u12\"",
        "\"\t\"",
        "[1][2]",
        "[1}",
        "{\"a\":1]",
        "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"x\"}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"\\u0061\":1,\"a\":2}",
        "1 2",
        "[[]",
        "\u{feff}1",
    ] {
        agree(text);
    }
    agree(&format!("{}{}", "[".repeat(127), "]".repeat(127)));
    agree(&format!("{}1{}", "[".repeat(5000), "]".repeat(5000)));
}

/// Of a repeated key the first place and the last value count, however many members there are.
#[test]
fn repeated_keys_of_objects_of_all_sizes() {
    for size in [0, 1, 2, FEW_MEMBERS, FEW_MEMBERS + 1, 24, 25, 128, 129, 300] {
        for (every, key) in [(1_000, "k"), (3, "k"), (1, "k"), (4, "\\u006b")] {
            let mut wanted: indexmap::IndexMap<String, usize> = indexmap::IndexMap::new();
            let mut texts = Vec::new();
            for i in 0..size {
                // Each so often the first key again, perhaps written another way.
                let repeats = i > 0 && i % every == 0;
                let (name, number) = if repeats { (key, 0) } else { ("k", i) };
                texts.push(format!("\"{name}{number}\":{i}"));
                wanted.insert(format!("k{number}"), i);
            }
            let doc = Doc::parse(format!("{{{}}}", texts.join(","))).unwrap();
            let root = doc.root();
            let wanted: Vec<_> = wanted
                .into_iter()
                .map(|(key, value)| (key, value.to_string()))
                .collect();
            let found: Vec<_> = root
                .members()
                .map(|(key, value)| (key.into_owned(), value.raw().to_owned()))
                .collect();
            assert_eq!(found, wanted, "{size} {every}");
            assert_eq!(root.len(), wanted.len());
            for (key, value) in &wanted {
                assert_eq!(root.get(key).unwrap().raw(), value);
            }
            let again: serde_json::Value = serde_json::from_str(&root.to_compact()).unwrap();
            assert_eq!(again.as_object().unwrap().len(), wanted.len());
        }
    }
}

#[test]
fn large_objects_and_arrays_have_an_index() {
    let members: Vec<String> = (0..500).map(|i| format!("\"k{i}\": {i}")).collect();
    let text = format!(
        "{{{}, \"k7\": \"last\", \"l\": [{}]}}",
        members.join(","),
        vec!["1"; 99].join(",")
    );
    let doc = Doc::parse(text).unwrap();
    let root = doc.root();
    assert_eq!(root.len(), 501);
    assert_eq!(root.get("k7").unwrap().text(), "last");
    assert_eq!(root.get("k499").unwrap().raw(), "499");
    assert!(root.get("k500").is_none());
    assert_eq!(root.members().nth(7).unwrap().1.text(), "last");
    let list = root.get("l").unwrap();
    assert_eq!(
        (
            list.len(),
            list.item(98).unwrap().raw(),
            list.item(99).is_none()
        ),
        (99, "1", true)
    );
    assert_eq!(list.items().count(), 99);
}

proptest! {
    #[test]
    fn any_text_is_judged_as_by_serde_json(text in r#"[\[\]{}:,"\\ a0-9eE.+\-nulltrfs/]{0,24}"#) {
        agree(&text);
    }

    #[test]
    fn plain_text_ends_where_it_ends(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x20), Just(0x80), Just(0xa2)], 0..40), from in 0_usize..40) {
        let rest = bytes.get(from..).unwrap_or(&[]);
        let ends = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\');
        prop_assert_eq!(plain_until(&bytes, from), from + ends.unwrap_or(rest.len()));
    }

    #[test]
    fn any_string_survives(text in any::<String>()) {
        let mut json = String::new();
        string_into(&mut json, &text);
        let doc = Doc::parse(json).unwrap();
        prop_assert_eq!(doc.root().text(), text);
    }
}
