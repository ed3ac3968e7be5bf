//! The commands as scripts see them: what goes to stdout, what to stderr, and the exit code.

use crate::harness::sign;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// Lines of stdout or stderr as JSON.
    fn json(text: &str) -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }
}

/// Runs the binary in a folder, with no variable of ours set but `env`.
fn run(folder: &Path, arguments: &[&str], stdin: &str, env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
    for name in ["CONFIG", "LISTEN", "ADMIN", "STORE_PATH", "LOG"] {
        command.env_remove(format!("HOOKGATE_{name}"));
    }
    let mut child = command
        .current_dir(folder)
        .args(arguments)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const TOML: &str = r#"
[[webhook]]
name = "shop"
slug = "fakeslug00000000000001"
verify = { scheme = "bearer", token = { env = "SHOP_TOKEN" } }
when = "body.kind != 'ping'"
event = { event = "shop.{{ body.kind }}", resource = { "prefect.resource.id" = "order.{{ body.id }}" }, payload = {} }

[[webhook]]
name = "raw"
slug = "fakeslug00000000000002"
verify = "none"
template = "raw.json.j2"
"#;
const REQUEST: &str =
    "POST /hooks/x HTTP/1.1\nContent-Type: application/json\n\n{\"kind\": \"paid\", \"id\": 7}";
const TOKEN: (&str, &str) = ("SHOP_TOKEN", "fake-shop-token-0001");

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("templates")).unwrap();
    for (name, text) in [
        ("webhooks.toml", TOML),
        ("templates/raw.json.j2", "{{ body.text }}"),
        ("paid.http", REQUEST),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn help_version_and_wrong_usage() {
    let folder = folder();
    let bare = run(folder.path(), &[], "", &[]);
    assert_eq!(bare.code, 0);
    assert_eq!(bare.out.matches("\n  hookgate ").count(), 4, "{}", bare.out);
    let version = run(folder.path(), &["version"], "", &[]);
    assert_eq!(
        (version.code, version.out.as_str()),
        (0, concat!("hookgate ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    for wrong in [
        &["chek"][..],
        &["check", "--nope"],
        &["render"],
        &["check", "-q", "-v"],
    ] {
        let ran = run(folder.path(), wrong, "", &[]);
        assert!(
            ran.code == 2 && ran.out.is_empty() && !ran.err.is_empty(),
            "{wrong:?}"
        );
    }
}

#[test]
fn check_says_what_is_wrong() {
    let folder = folder();
    let missing = run(folder.path(), &["check", "--json"], "", &[]);
    assert_eq!(missing.code, 3);
    let findings = Ran::json(&missing.out);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["code"], "HG0209");
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!(findings[0]["webhook"], "shop");
    assert_eq!(
        (&findings[0]["file"], &findings[0]["line"]),
        (&"webhooks.toml".into(), &5.into())
    );
    assert_eq!(run(folder.path(), &["check"], "", &[TOKEN]).code, 0);
    assert_eq!(
        run(folder.path(), &["check", "--no-secrets"], "", &[]).code,
        0
    );
    assert_eq!(run(folder.path(), &["check", "none.toml"], "", &[]).code, 3);
    assert_eq!(
        run(folder.path(), &["check", "--test", "none"], "", &[TOKEN]).code,
        6
    );
    // The flag wins over the variable, the variable over the default.
    let elsewhere = [TOKEN, ("HOOKGATE_CONFIG", "none.toml")];
    assert_eq!(run(folder.path(), &["check"], "", &elsewhere).code, 3);
    assert_eq!(
        run(
            folder.path(),
            &["check", "-c", "webhooks.toml"],
            "",
            &elsewhere
        )
        .code,
        0
    );
    let address = [TOKEN, ("HOOKGATE_LISTEN", "nowhere")];
    let ran = run(folder.path(), &["check"], "", &address);
    assert!(
        ran.code == 3 && ran.out.contains("HOOKGATE_LISTEN"),
        "{}",
        ran.out
    );
}

#[test]
fn colours_follow_the_reader() {
    let folder = folder();
    let plain = run(folder.path(), &["check"], "", &[]);
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
    let coloured = run(folder.path(), &["check", "--color", "always"], "", &[]);
    assert!(coloured.out.contains('\u{1b}'), "{}", coloured.out);
}

#[test]
fn render_prints_events() {
    let folder = folder();
    let ran = run(
        folder.path(),
        &["render", "paid.http", "--webhook", "shop", "--json"],
        "",
        &[],
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let events = Ran::json(&ran.out);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event"], "shop.paid");
    assert_eq!(events[0]["resource"]["prefect.resource.id"], "order.7");
    let arguments = [
        "render",
        "-",
        "-w",
        "shop",
        "--json",
        "--set",
        "body.kind=sent",
        "--set",
        "body.id=x",
    ];
    let ran = run(folder.path(), &arguments, REQUEST, &[]);
    assert!(
        ran.out.contains("shop.sent") && ran.out.contains("order.x"),
        "{}",
        ran.out
    );
    let arguments = [
        "render",
        "paid.http",
        "-w",
        "shop",
        "--set",
        "body.kind=ping",
    ];
    let ran = run(folder.path(), &arguments, "", &[]);
    assert!(
        ran.code == 0 && ran.out.is_empty() && ran.err.contains("ignored"),
        "{}",
        ran.err
    );
}

#[test]
fn render_says_why_not() {
    let folder = folder();
    let json = |arguments: &[&str]| {
        let ran = run(
            folder.path(),
            &[&["render", "--json"], arguments].concat(),
            REQUEST,
            &[TOKEN],
        );
        assert_eq!(ran.out, "");
        let errors = Ran::json(&ran.err);
        assert!(
            errors.iter().any(|e| e["severity"] == "error"),
            "{}",
            ran.err
        );
        let code = errors.last().unwrap()["code"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        (ran.code, code)
    };
    assert_eq!(
        json(&["paid.http", "-w", "shop", "--verify"]),
        (1, "HG0501".into())
    );
    assert_eq!(json(&["paid.http", "-w", "nobody"]), (6, String::new()));
    assert_eq!(json(&["paid.http"]), (2, String::new()));
    assert_eq!(json(&["none.http", "-w", "shop"]), (2, "HG0101".into()));
    assert_eq!(
        json(&["-", "-w", "shop", "--set", "nothing"]),
        (2, String::new())
    );
    assert_eq!(
        json(&["-", "-w", "shop", "-c", "none.toml"]),
        (3, "HG0101".into())
    );
    std::fs::write(folder.path().join("bad.j2"), "{{ body.").unwrap();
    assert_eq!(json(&["-", "--template", "bad.j2"]), (3, "HG0301".into()));
    std::fs::write(folder.path().join("bad.j2"), "no event").unwrap();
    assert_eq!(json(&["-", "--template", "bad.j2"]), (1, "HG0306".into()));
}

#[test]
fn a_template_needs_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let template = r#"{"event": "{{ body.kind }}", "resource": {"prefect.resource.id": "r"}}"#;
    std::fs::write(folder.path().join("t.j2"), template).unwrap();
    let ran = run(
        folder.path(),
        &["render", "-", "--template", "t.j2"],
        REQUEST,
        &[],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let event: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(event["event"], "paid");
}

#[test]
fn the_catalogue_and_the_codes() {
    let folder = folder();
    let ran = run(folder.path(), &["providers", "--json"], "", &[]);
    let providers = Ran::json(&ran.out);
    for name in ["github", "stripe", "slack", "standard-webhooks"] {
        assert!(providers.iter().any(|p| p["name"] == name), "{name}");
        let page = run(folder.path(), &["providers", name], "", &[]);
        assert_eq!(page.code, 0);
        for part in ["signature", "delivery key", "In webhooks.toml", "https://"] {
            assert!(page.out.contains(part), "{name}: {part}\n{}", page.out);
        }
        let one = run(folder.path(), &["providers", name, "--json"], "", &[]);
        let one = &Ran::json(&one.out)[0];
        assert!(!one["samples"].as_array().unwrap().is_empty(), "{one}");
        assert!(
            one["verify"].is_string() && one["setup"].is_array(),
            "{one}"
        );
    }
    let ran = run(folder.path(), &["providers", "githb"], "", &[]);
    assert!(ran.code == 6 && ran.err.contains("github"), "{}", ran.err);
    let ran = run(folder.path(), &["explain", "hg0312"], "", &[]);
    assert!(
        ran.code == 0 && ran.out.starts_with("# HG0312"),
        "{}",
        ran.out
    );
    assert_eq!(run(folder.path(), &["explain", "HG9999"], "", &[]).code, 6);
    let all = run(folder.path(), &["explain"], "", &[]);
    assert!(all.out.lines().count() > 40, "{}", all.out);
}

/// A kept request is checked and translated as it was received: encoded, under the public URL.
#[test]
fn an_encoded_request_signed_with_its_url() {
    let folder = folder();
    let slug = "fakeslug00000000000009";
    let toml = format!(
        "[server]\npublic_url = \"https://hooks.example.com\"\n[[webhook]]\nname = \"z\"\nslug = \"{slug}\"\n\
         verify = {{ scheme = \"hmac-sha256\", header = \"X-Sig\", signed = [\"{{url}}\", \"{{body}}\"], secret = {{ env = \"SIGN\" }} }}\n\
         event = {{ event = \"{{{{ body.kind }}}}\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n\
         [[webhook.test]]\nname = \"t\"\nrequest = \"z.http\"\nverify = true\nexpect = [{{ event = \"paid\" }}]\n"
    );
    std::fs::write(folder.path().join("webhooks.toml"), toml).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"{\"kind\": \"paid\"}").unwrap();
    let body = encoder.finish().unwrap();
    let url = format!("https://hooks.example.com/hooks/{slug}?a=1");
    let signature = hex::encode(sign::hmac_sha256(
        b"fake-sign-0001",
        &[url.as_bytes(), &body],
    ));
    let mut file = format!(
        "POST /hooks/{{slug}}?a=1 HTTP/1.1\nContent-Type: application/json\nContent-Encoding: gzip\nX-Sig: {signature}\n\n"
    )
    .into_bytes();
    file.extend(body);
    std::fs::write(folder.path().join("z.http"), file).unwrap();
    let env = [("SIGN", "fake-sign-0001")];
    let ran = run(
        folder.path(),
        &["render", "z.http", "--verify", "--json"],
        "",
        &env,
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(Ran::json(&ran.out)[0]["event"], "paid");
    let ran = run(folder.path(), &["check"], "", &env);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = run(
        folder.path(),
        &["render", "z.http", "--verify", "--set", "query.a=2"],
        "",
        &env,
    );
    assert!(ran.code == 1 && ran.err.contains("HG0503"), "{}", ran.err);
}

#[test]
fn health_without_a_gateway() {
    let folder = folder();
    let ran = run(
        folder.path(),
        &["health", "--url", "http://127.0.0.1:1"],
        "",
        &[],
    );
    assert_eq!(ran.code, 4);
    assert!(
        ran.err.starts_with("not reachable: http://127.0.0.1:1: "),
        "{}",
        ran.err
    );
    let ran = run(
        folder.path(),
        &["health"],
        "",
        &[("HOOKGATE_URL", "https://x")],
    );
    assert_eq!(ran.code, 2, "{}", ran.err);
    let ran = run(
        folder.path(),
        &["health", "--json"],
        "",
        &[("HOOKGATE_ADMIN", "0.0.0.0:1")],
    );
    assert_eq!(ran.code, 4);
    let said = &Ran::json(&ran.out)[0];
    assert_eq!(
        (&said["ready"], &said["url"]),
        (&false.into(), &"http://127.0.0.1:1".into())
    );
}
