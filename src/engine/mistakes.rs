//! Mistakes that authors make, and all that they are told: `tests/cases/mistakes`. A template, or the lines of a webhook,
//! with `undefined = "error"`, and one request.

use super::{parse_request, receive, translate};
use crate::config::findings::{render, render_problem};
use crate::config::{self, Overrides, Severity};
use crate::model::Outcome;
use std::path::Path;

const HEAD: &str = "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nverify = \"none\"\nundefined = \"error\"\n";

fn said(path: &Path) -> String {
    let source = std::fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.toml");
    let text = if path.extension().unwrap() == "toml" {
        format!("{HEAD}{source}")
    } else {
        let templates = folder.path().join("templates");
        std::fs::create_dir(&templates).unwrap();
        std::fs::write(templates.join("t.json.j2"), source).unwrap();
        format!("{HEAD}template = \"t.json.j2\"\n")
    };
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, &Overrides::default());
    let mut said: Vec<String> = loaded.findings.iter().map(render).collect();
    if let Some(config) = &loaded.config {
        let webhook = &config.webhooks[0];
        let bytes = std::fs::read(path.with_file_name("request.http")).unwrap();
        let mut request = parse_request(&bytes, Path::new("."), "request.http").unwrap();
        receive(&mut request, webhook, None).unwrap();
        let made = translate(webhook, &request);
        said.push(match made.error {
            Some(problem) => render_problem(Severity::Error, &problem),
            None => format!("{:?}", made.outcome),
        });
        if made.outcome != Outcome::Parked {
            let told = made.undefined.iter();
            said.extend(told.map(|problem| render_problem(Severity::Warning, problem)));
        }
    }
    anstream::adapter::strip_str(&said.join("\n\n")).to_string()
}

#[test]
fn mistakes_are_told_with_their_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/mistakes");
    let mut count = 0;
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => folder.join("said") }, {
        insta::glob!(&folder, "*.{j2,toml}", |path| {
            let said = said(path);
            insta::assert_snapshot!(said);
            // File, line and column.
            assert!(said.contains("╭▸ ") && said.contains('━'), "{said}");
            count += 1;
        });
    });
    assert!(count >= 35, "{count}");
}
