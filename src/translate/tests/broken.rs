//! Templates that are broken, and what is said about each: `tests/cases/broken`.

use super::{request, translate};
use crate::config::Severity;
use crate::config::findings::render_problem;
use crate::translate::{Template, Translator};
use std::path::Path;

const BODY: &str = r#"{"name": "Ada", "n": 7, "nil": null, "list": [3, 1], "mixed": [1, "a"], "total": 4, "repository": {"stars": 5}}"#;

fn said(name: &str, source: &str) -> String {
    let problem = match Template::compile(&format!("templates/{name}"), source.to_owned()) {
        Err(problem) => problem,
        Ok(template) => {
            let request = request(&[("content-type", "application/json")], BODY.as_bytes());
            match translate(&Translator::Template(template), &request) {
                Err(failure) => failure.problem,
                Ok(translated) => panic!("{name} gives {:?}", translated.events),
            }
        }
    };
    // Without colours.
    anstream::adapter::strip_str(&render_problem(Severity::Error, &problem)).to_string()
}

#[test]
fn broken_templates_teach() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/broken");
    let mut count = 0;
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => folder.join("said") }, {
        insta::glob!(&folder, "*.j2", |path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let source = std::fs::read_to_string(path).unwrap();
            insta::assert_snapshot!(said(name, &source));
            count += 1;
        });
    });
    assert!(count >= 50, "{count}");
}
