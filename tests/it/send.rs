//! `send`: an owner makes the sender's requests, right ones and wrong ones, and sees what comes of them.

use crate::harness::{Gateway, Setup, hookgate, sign, slug};
use serde_json::Value;
use std::process::Output;

fn webhooks() -> String {
    let entry = |n: usize, name: &str, more: &str| {
        format!(
            "[[webhook]]\nname = \"{name}\"\nslug = \"{}\"\n{more}\n",
            slug(n)
        )
    };
    let event =
        "event = { event = \"e.{{ body.n }}\", resource = { \"prefect.resource.id\" = \"r\" } }";
    [
        entry(1, "github", "provider = \"github\"\nsecret = { env = \"GITHUB\" }"),
        entry(2, "stripe", "provider = \"stripe\"\nsecret = { env = \"STRIPE\" }"),
        entry(3, "gitlab", "provider = \"gitlab\"\nsecret = { env = \"GITLAB\" }"),
        entry(4, "discord", "provider = \"discord\"\nsecret = { env = \"DISCORD\" }"),
        entry(
            5,
            "own",
            &format!("{event}\nverify = {{ scheme = \"hmac-sha256\", header = \"X-Sig\", signed = \"{{url}}{{body}}\", secret = {{ env = \"OWN\" }} }}\n[[webhook.test]]\nname = \"seven\"\nrequest = \"seven.http\""),
        ),
    ]
    .concat()
}

const OWN: &str = "fake-own-secret-0001";
const GITLAB: &str = "fake-gitlab-secret-0001";
/// The public key of RFC 8032, 7.1, test 1.
const DISCORD: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn start() -> Gateway {
    Setup::new(webhooks())
        .env("GITHUB", sign::GITHUB_SECRET)
        .env("STRIPE", sign::STRIPE_SECRET)
        .env("GITLAB", GITLAB)
        .env("DISCORD", DISCORD)
        .env("OWN", OWN)
        .file(
            "seven.http",
            "POST /hooks/x HTTP/1.1\nContent-Type: application/json\n\n{\"n\":7}",
        )
        .start()
}

/// Runs `send` beside the gateway with the secrets of one webhook alone.
fn send(gateway: &Gateway, arguments: &[&str]) -> Output {
    let secret = match arguments[0] {
        "github" => ("GITHUB", sign::GITHUB_SECRET),
        "stripe" => ("STRIPE", sign::STRIPE_SECRET),
        "gitlab" => ("GITLAB", GITLAB),
        "discord" => ("DISCORD", DISCORD),
        _ => ("OWN", OWN),
    };
    let url = format!("http://{}", gateway.admin);
    hookgate(gateway.folder.path())
        .arg("send")
        .args(arguments)
        .args(["--url", &url])
        .env(secret.0, secret.1)
        .output()
        .unwrap()
}

/// The lines of `--json`, and the exit code.
fn sent(gateway: &Gateway, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = send(gateway, &[arguments, &["--json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert!(
        !lines.is_empty() || !output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), lines)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_senders_request_is_taken_and_shown() {
    let gateway = start();
    let output = send(
        &gateway,
        &["github", "push", "--set", "body.ref=refs/heads/fake"],
    );
    let out = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{out}{}",
        text(&output.stderr)
    );
    assert!(
        out.contains("204  accepted   github push  →  github.push"),
        "{out}"
    );
    assert!(
        out.contains(&format!("http://{}/deliveries/", gateway.admin)),
        "{out}"
    );
    assert!(!out.contains(&slug(1)), "{out}");
    let events = gateway.all_events(10);
    assert_eq!(events.len(), 1);
    let record = gateway.api(&format!(
        "/api/v1/deliveries/{}",
        events[0]["delivery"].as_str().unwrap()
    ));
    assert_eq!(record["verification"]["verified"], true, "{record}");
    assert_eq!(record["verification"]["scheme"], "hmac-sha256");
    // Twice by itself is two deliveries; as a sender repeats itself it is one.
    let (code, lines) = sent(
        &gateway,
        &["github", "push", "--count", "2", "--rate", "100/s"],
    );
    assert_eq!((code, lines.len()), (0, 2));
    assert!(
        lines.iter().all(|line| line["outcome"] == "accepted"),
        "{lines:?}"
    );
    assert_ne!(lines[0]["key"], lines[1]["key"]);
    let (code, lines) = sent(&gateway, &["github", "push", "--duplicate"]);
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(
        (code, outcomes),
        (0, vec!["accepted".into(), "duplicate".into()])
    );
}

#[test]
fn what_hurts_is_refused_for_its_own_reason() {
    let gateway = start();
    for (arguments, code) in [
        (&["github", "push", "--bad-signature"][..], "HG0503"),
        (&["gitlab", "--bad-signature"], "HG0505"),
        (&["stripe", "--old-timestamp"], "HG0504"),
        (&["stripe", "--old-timestamp", "6m"], "HG0504"),
        (&["github", "push", "--unsigned"], "HG0501"),
    ] {
        let (exit, lines) = sent(&gateway, arguments);
        assert_eq!((exit, &lines[0]["status"]), (1, &401.into()), "{lines:?}");
        assert_eq!(lines[0]["code"], code, "{arguments:?}: {lines:?}");
        assert_eq!(lines[0]["outcome"], "rejected");
    }
    let (exit, lines) = sent(&gateway, &["stripe", "--old-timestamp", "4m"]);
    assert_eq!((exit, &lines[0]["outcome"]), (0, &"accepted".into()));
    let output = send(&gateway, &["stripe", "--bad-signature"]);
    let out = text(&output.stdout);
    assert!(out.contains("401  rejected   stripe"), "{out}");
    assert!(out.contains("HG0503 no signature matches"), "{out}");
}

#[test]
fn own_schemes_files_and_nothing_at_all() {
    let gateway = start();
    for arguments in [
        &["own", "seven"][..],
        &["own"],
        &["own", "--request", "seven.http"],
    ] {
        let (exit, lines) = sent(&gateway, arguments);
        assert_eq!(exit, 0, "{lines:?}");
        assert_eq!(lines[0]["events"][0], "e.7", "{lines:?}");
    }
    let (exit, lines) = sent(&gateway, &["own", "--set", "body.n=8"]);
    assert_eq!((exit, &lines[0]["events"][0]), (0, &"e.8".into()));
}

#[test]
fn what_cannot_be_sent_is_said() {
    let gateway = start();
    for (arguments, exit, said) in [
        (&["githib"][..], 6, "did you mean `github`?"),
        (&["github", "pusk"], 6, "did you mean `push`?"),
        (&["github", "--old-timestamp"], 1, "signs no time"),
        (
            &["discord"],
            1,
            "only the sender, who has the private one, can sign",
        ),
        (
            &["github", "--to", "https://hooks.example.com"],
            2,
            "is not this machine",
        ),
        (
            &["github", "--to", "http://127.0.0.1:1"],
            4,
            "does not answer",
        ),
        (
            &["github", "--count", "2", "--duplicate"],
            2,
            "cannot be used with",
        ),
    ] {
        let output = send(&gateway, arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
    assert_eq!(gateway.all_events(10).len(), 0);
}

/// The arguments of a `curl` that was printed, as a shell would split them.
fn words(command: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let script = format!("set -- {command}\nfor word; do printf '%s\\0' \"$word\"; done");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let words = text(&output.stdout);
    words.split_terminator('\0').map(str::to_owned).collect()
}

/// Sends what a printed `curl` would.
fn replay(gateway: &Gateway, command: &str, variables: &[(&str, &str)]) -> Value {
    let command: Vec<&str> = command.lines().filter(|l| !l.starts_with('#')).collect();
    let words = words(&command.join("\n"), variables);
    let after = |flag: &str| {
        let pairs = words.windows(2).filter(move |pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let url = words
        .iter()
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let path = url.splitn(4, '/').nth(3).unwrap();
    let lines = after("-H");
    let headers: Vec<(&str, &str)> = lines.iter().filter_map(|l| l.split_once(": ")).collect();
    let host = gateway.public.to_string();
    let headers = [&headers[..], &[("Host", host.as_str())]].concat();
    let body = after("--data-raw").concat();
    let reply = gateway.send(
        &after("-X")[0],
        &format!("/{path}"),
        &headers,
        body.as_bytes(),
    );
    gateway.delivery(&reply)
}

#[test]
fn the_printed_curl_is_taken() {
    let gateway = start();
    for (webhook, secret) in [
        ("github", sign::GITHUB_SECRET),
        ("stripe", sign::STRIPE_SECRET),
        ("gitlab", GITLAB),
        ("own", OWN),
    ] {
        let output = send(&gateway, &[webhook, "--as-curl"]);
        let command = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(!command.contains(secret), "{command}");
        assert_eq!(
            webhook == "gitlab",
            command.contains("$GITLAB"),
            "{command}"
        );
        let record = replay(&gateway, &command, &[("GITLAB", GITLAB)]);
        assert_eq!(record["outcome"], "accepted", "{webhook}: {record}");
        assert_eq!(record["verification"]["verified"], true, "{record}");
    }
}
