//! Accidents of operators and newcomers: what they do must end in a word of help, and never in silence.

use crate::harness::http::{self, Target};
use crate::harness::{Setup, hookgate, slug, wait_for};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The listeners that a process says it has bound, and its standard output.
fn listeners(child: &mut Child) -> (BufReader<ChildStdout>, Target, Target) {
    let mut lines = BufReader::new(child.stdout.take().expect("stdout"));
    let mut listener = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let address = line.trim().rsplit('/').next().expect("an address");
        let address = address.parse().expect("an address");
        Target {
            address,
            tls: false,
        }
    };
    let (public, admin) = (listener(), listener());
    (lines, public, admin)
}

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

#[test]
fn a_reader_of_stdout_that_has_stopped_does_not_hold_up_the_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = "[[sink]]\nname = \"out\"\nkind = \"ndjson\"\npath = \"-\"\n";
    let text = Setup::new(format!("{}{sink}", hook())).toml();
    std::fs::write(folder.path().join("webhooks.toml"), text).expect("written");
    let mut child = hookgate(folder.path())
        .arg("serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let (lines, public, admin) = listeners(&mut child);
    // More than a pipe holds, and nobody reads on.
    let body = vec![b'x'; 20_000];
    for _ in 0..20 {
        let reply = http::send(public, "POST", &format!("/hooks/{}", slug(0)), &[], &body);
        assert_eq!(reply.status, 204);
    }
    let (mut held, mut before) = (0, None);
    wait_for("a write that does not end", || {
        let sinks = http::send(admin, "GET", "/api/v1/sinks", &[], b"").json();
        let sink = &sinks["data"][0];
        let now = Some((sink["lag"].as_u64()?, sink["delivered"].as_u64()?));
        held = if now == before && sink["lag"] != 0 {
            held + 1
        } else {
            0
        };
        before = now;
        (held == 30).then_some(())
    });
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(told.expect("kill").success());
    let status = wait_for("the end", || child.try_wait().expect("wait"));
    assert_eq!(status.code(), Some(0));
    drop(lines);
}

#[test]
fn a_limit_on_the_size_of_files_refuses_requests_and_kills_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = Setup::new(hook()).toml();
    std::fs::write(folder.path().join("webhooks.toml"), text).expect("written");
    let mut child = Command::new("bash")
        .current_dir(folder.path())
        .args(["-c", "ulimit -f 1000 && exec \"$0\" serve -c webhooks.toml"])
        .arg(env!("CARGO_BIN_EXE_hookgate"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let (lines, public, admin) = listeners(&mut child);
    let body = vec![b'x'; 200_000];
    let path = format!("/hooks/{}", slug(0));
    let mut accepted = 0_u64;
    let refused = wait_for("a refusal", || {
        let reply = http::send(public, "POST", &path, &[], &body);
        accepted += u64::from(reply.status == 204);
        (reply.status != 204).then_some(reply)
    });
    assert_eq!(refused.status, 503);
    assert!(accepted > 0 && refused.header("retry-after").is_some());
    let alive = http::send(admin, "GET", "/livez", &[], b"");
    assert_eq!(alive.status, 200);
    child.kill().expect("kill -9");
    child.wait().expect("its end");
    drop(lines);
    // The feed's own file may have met the limit too: it catches up once there is room.
    let mut child = hookgate(folder.path())
        .arg("serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let (lines, _, admin) = listeners(&mut child);
    wait_for("every one that was accepted", || {
        let kept = http::send(admin, "GET", "/api/v1/deliveries?limit=1", &[], b"").json();
        let last = kept["data"][0]["seq"].as_u64()?;
        assert_eq!(kept["data"][0]["outcome"], "accepted");
        (last >= accepted).then_some(())
    });
    child.kill().expect("kill -9");
    child.wait().expect("its end");
    drop(lines);
}
