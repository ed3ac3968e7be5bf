//! Accidents of operators and newcomers: what they do must end in a word of help, and never in silence.

use crate::harness::{Setup, hookgate, slug, wait_for};

fn hook() -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"{}\"\nverify = \"none\"\nevent = {{ event = \"e\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n",
        slug(0)
    )
}

#[test]
fn an_emptied_configuration_takes_no_webhook_down() {
    let gateway = Setup::new(hook()).start();
    std::fs::write(gateway.folder.path().join("webhooks.toml"), "").expect("truncated");
    gateway.signal("-HUP");
    let said = wait_for("the refusal", || {
        let said = gateway.admin("GET", "/readyz?verbose", &[], b"").text();
        said.contains("is empty").then_some(said)
    });
    assert!(said.contains("a newer file was refused"), "{said}");
    assert_eq!(gateway.post(&slug(0), &[], b"{}").status, 204);
}

#[test]
fn a_broken_certificate_is_found_by_check_and_told_by_readyz() {
    let (cert, key) = crate::tls::certificate();
    crate::tls::trust(&cert);
    let gateway = Setup::new(hook())
        .server("tls = { cert = \"c.pem\", key = \"k.pem\" }")
        .file("c.pem", cert)
        .file("k.pem", key)
        .start();
    std::fs::write(gateway.folder.path().join("c.pem"), "half a certificate").expect("written");
    wait_for("the refusal", || {
        let said = gateway.admin("GET", "/readyz?verbose", &[], b"").text();
        said.contains("c.pem holds no certificate in PEM")
            .then_some(())
    });
    assert_eq!(gateway.post(&slug(0), &[], b"{}").status, 204);
    let check = hookgate(gateway.folder.path()).arg("check").output();
    let check = check.expect("check runs");
    assert_eq!(check.status.code(), Some(3));
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(said.contains("HG0204") && said.contains("c.pem"), "{said}");
}

#[test]
fn a_newcomer_without_a_file_is_told_what_to_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let done = hookgate(folder.path())
            .args(arguments)
            .env("HOOKGATE_CONFIG", "")
            .output()
            .expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    let (code, _, said) = run(&["serve"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("webhooks.toml") && said.contains("hookgate explain HG0101"),
        "{said}"
    );
    // What it shows is a file that works.
    let (code, page, _) = run(&["explain", "HG0101"]);
    assert_eq!(code, Some(0));
    let toml = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    std::fs::write(
        folder.path().join("webhooks.toml"),
        toml.expect("a file in the page"),
    )
    .expect("written");
    let (code, out, said) = run(&["check"]);
    assert_eq!(code, Some(0), "{out}{said}");
    let (code, out, _) = run(&["--version"]);
    assert_eq!(
        (code, out.trim()),
        (Some(0), concat!("hookgate ", env!("CARGO_PKG_VERSION")))
    );
}
