use super::*;
use proptest::prelude::*;

mod pages;
mod schemes;
mod webhooks;

/// A folder with a `webhooks.toml` and other files.
pub(super) fn folder(toml: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("webhooks.toml", toml)]) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn load_text(toml: &str, files: &[(&str, &str)]) -> Loaded {
    let folder = folder(toml, files);
    load(&folder.path().join("webhooks.toml"), &Overrides::default())
}

/// Findings a line each: severity, code, place, marked text, message, help.
fn lines(loaded: &Loaded) -> String {
    let line = |finding: &Finding| {
        let problem = &finding.problem;
        let place = problem.place.as_ref().map_or_else(String::new, |place| {
            let (from, to) = (
                place.column as usize - 1,
                place.end_column.unwrap() as usize - 1,
            );
            let source = place.source.as_deref().unwrap();
            let marked: String = source.chars().skip(from).take(to - from).collect();
            let file = if place.file == "webhooks.toml" {
                ""
            } else {
                &place.file
            };
            format!(" {file}{}:{} ‹{marked}›", place.line, place.column)
        });
        let severity = if finding.severity == Severity::Error {
            "E"
        } else {
            "W"
        };
        let help = problem
            .help
            .as_ref()
            .map_or_else(String::new, |h| format!("\n    {h}"));
        format!(
            "{severity} {}{place} {}{help}\n",
            problem.code, problem.message
        )
    };
    loaded.findings.iter().map(line).collect()
}

fn findings(toml: &str) -> String {
    lines(&load_text(toml, &[]))
}

#[test]
fn an_empty_file_has_the_defaults() {
    let folder = folder("", &[]);
    let file = folder.path().join("webhooks.toml");
    let config = load(&file, &Overrides::default()).config.unwrap();
    assert_eq!(config.file, file);
    assert_eq!(config.files, [file]);
    assert_eq!(config.edge.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.store.path, folder.path().join("data"));
    assert_eq!(config.store.retention.as_secs(), 30 * 86_400);
    assert_eq!(config.store.requests, config.store.retention);
    assert_eq!(config.store.dedup.as_secs(), 72 * 3_600);
    assert_eq!(config.store.queue, 4_096);
    assert_eq!(config.edge.max_body, 10 << 20);
    assert_eq!(config.edge.min_rate, 1_024);
    assert_eq!(config.edge.timeouts.body_total.as_secs(), 60);
    assert!(config.routes.is_empty() && config.sinks.is_empty());
}

#[test]
fn overrides_win_and_are_checked() {
    let folder = folder(
        "[server]\nlisten = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:0\"",
        &[],
    );
    let file = folder.path().join("webhooks.toml");
    let mut overrides = Overrides {
        listen: Some("[::1]:0".into()),
        store_path: Some("/var/lib/hookgate".into()),
        ..Overrides::default()
    };
    let config = load(&file, &overrides).config.unwrap();
    assert_eq!(config.edge.listen.to_string(), "[::1]:0");
    assert_eq!(config.admin.listen.port(), 0);
    assert_eq!(config.store.path, PathBuf::from("/var/lib/hookgate"));
    overrides.listen = Some("here".into());
    overrides.admin = Some("0.0.0.0:1".into());
    insta::assert_snapshot!(lines(&load(&file, &overrides)), @r#"
    E HG0204 HOOKGATE_LISTEN: "here" is no address with port, such as "127.0.0.1:8080" or "[::]:8080"
    W HG0218 the admin listener 0.0.0.0:1 of HOOKGATE_ADMIN is reachable from elsewhere, and there is no `admin_token`: without a token in the store it does not start
        set one: `export HOOKGATE_ADMIN_TOKEN=$(openssl rand -hex 32)` and `admin_token = { env = "HOOKGATE_ADMIN_TOKEN" }` in [server]; or keep one in the store: `hookgate token create owner --scope admin --store PATH`; or listen on 127.0.0.1
    "#);
}

#[test]
fn an_unreadable_file() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let loaded = load(path, &Overrides::default());
        assert!(loaded.config.is_none());
        lines(&loaded).replace(&folder.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!(said(&folder.path().join("none.toml")), @r#"
    E HG0101 DIR/none.toml cannot be read: there is no such file
        write one: `hookgate explain HG0101` shows the smallest; or name another with -c FILE or HOOKGATE_CONFIG
    "#);
    insta::assert_snapshot!(said(folder.path()), @r#"
    E HG0101 DIR cannot be read: it is not a regular file
        write one: `hookgate explain HG0101` shows the smallest; or name another with -c FILE or HOOKGATE_CONFIG
    "#);
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"a = 1\nb = \"\xe9\"\n").unwrap();
    insta::assert_snapshot!(said(&latin), @r#"
    E HG0101 DIR/latin.toml cannot be read: line 2 is not UTF-8 text
        write one: `hookgate explain HG0101` shows the smallest; or name another with -c FILE or HOOKGATE_CONFIG
    "#);
}

#[test]
fn all_syntax_errors_come_at_once() {
    let broken = load_text(
        "[[webhook]]\nslug = \"fake-slug-0001\nname = \"x\"\ntoken: 'fake-token = 1\nsecret = \"\"\"\nfake-key\n\"\"\"\nx = \n",
        &[],
    );
    let shown = serde_json::to_string(&broken.findings).unwrap();
    assert!(
        shown.contains("HG0102") && !shown.contains("fake-"),
        "{shown}"
    );
    insta::assert_snapshot!(findings("[server\nlisten = 1\n[store]\npath = \npath = 'x\n[[webhook]]\nslug = \"fake-secret-slug-0001\n"), @r#"
    E HG0102 1:8 ‹› not valid TOML: unclosed table, expected `]`
    E HG0102 4:8 ‹› not valid TOML: string values must be quoted, expected literal string
    E HG0102 5:10 ‹› not valid TOML: invalid literal string, expected `'`
    E HG0102 7:30 ‹› not valid TOML: invalid basic string, expected `"`
    "#);
}

#[test]
fn server_and_store() {
    insta::assert_snapshot!(findings(r#"
sever = 1
[server]
listn = "127.0.0.1:1"
listen = "localhost:80"
admin = 8081
admin_hosts = ["http://a", 7]
public_url = "hooks.example.com"
trusted_proxies = ["10.0.0.0/99", "::1"]
max_body = "65 MiB"
min_rate = "fast"
queue = 0
log_format = "jsn"
events = "127.0.0.1:1"
tls = { cert = "none.pem" }
timeouts = { head = "0s", body = "1s", body_idle = 3 }
[store]
kind = "postgres"
retention = "7d"
requests = "30d"
max_size = "1 KiB"
dedup = "3 days"
path = ""
"#), @r#"
    E HG0201 2:1 ‹sever› unknown key `sever` in this file
        did you mean `server`?
    E HG0201 4:1 ‹listn› unknown key `listn` in [server]
        did you mean `listen`?
    E HG0204 5:10 ‹"localhost:80"› `listen`: "localhost:80" is no address with port, such as "127.0.0.1:8080" or "[::]:8080"
    E HG0202 6:9 ‹8081› `admin` must be an address such as "127.0.0.1:8080", not a whole number
    E HG0204 7:16 ‹"http://a"› `admin_hosts[0]`: must be a host name alone, without scheme, port and path
    E HG0202 7:28 ‹7› `admin_hosts[1]` must be text, not a whole number
    E HG0204 8:14 ‹"hooks.example.com"› `public_url`: not a URL (relative URL without a base); write it whole, such as "https://hooks.example.com"
    E HG0204 9:20 ‹"10.0.0.0/99"› `trusted_proxies[0]`: "10.0.0.0/99" is no network, such as "10.0.0.0/8", nor an address
    E HG0204 10:12 ‹"65 MiB"› `max_body`: must be between 1 byte and 64 MiB
    E HG0204 11:12 ‹"fast"› `min_rate`: "fast" is no size; write a number and B, KB, KiB, MB, MiB, GB, GiB or TiB, such as "10 MiB"
    E HG0204 12:9 ‹0› `queue`: must be between 1 and 1000000
    E HG0204 13:14 ‹"jsn"› `log_format`: "jsn" is none of "auto", "json", "text"
        did you mean "json"?
    E HG0201 14:1 ‹events› `events` is not supported yet in this version
        remove it; nothing is read of it
    E HG0101 15:16 ‹"none.pem"› `tls.cert` cannot be read: there is no such file
        a relative path starts at this file's folder
    E HG0203 15:7 ‹{ cert = "none.pem" }› `tls` lacks the key `key`
        tls needs both: { cert = "chain.pem", key = "key.pem" }
    E HG0204 16:21 ‹"0s"› `timeouts.head`: must be longer than 0
    E HG0202 16:52 ‹3› `timeouts.body_idle` must be a duration such as "10s", not a whole number
    E HG0201 16:27 ‹body› unknown key `body` in `timeouts`
        known here: head, body_idle, body_total, shutdown
    E HG0204 18:8 ‹"postgres"› `kind`: "postgres" is none of "sqlite"
    W HG0214 20:12 ‹"30d"› `requests` is longer than `retention`, which deletes requests too
        raise `retention`, or leave `requests` out
    E HG0204 21:12 ‹"1 KiB"› `max_size`: must be between 1 MiB and 1024 TiB
    E HG0204 22:9 ‹"3 days"› `dedup`: "3 days" is no duration; write a number and ms, s, m, h or d, such as "15m"
    E HG0204 23:8 ‹""› `path`: cannot be empty
    "#);
}

#[test]
fn listeners_are_apart() {
    let same = "[server]\nlisten = \"127.0.0.1:8081\"\n";
    insta::assert_snapshot!(findings(same), @r#"
    E HG0204 `listen` and `admin` are both 127.0.0.1:8081
        senders must not reach the admin listener: give it another port
    "#);
    let free = "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    assert_eq!(findings(free), "");
}

#[test]
fn an_exposed_admin_listener_needs_a_token() {
    insta::assert_snapshot!(findings("[server]\nadmin = \"0.0.0.0:8081\"\n"), @r#"
    W HG0218 2:9 ‹"0.0.0.0:8081"› the admin listener 0.0.0.0:8081 is reachable from elsewhere, and there is no `admin_token`: without a token in the store it does not start
        set one: `export HOOKGATE_ADMIN_TOKEN=$(openssl rand -hex 32)` and `admin_token = { env = "HOOKGATE_ADMIN_TOKEN" }` in [server]; or keep one in the store: `hookgate token create owner --scope admin --store PATH`; or listen on 127.0.0.1
    "#);
    let env = "[server]\nadmin = \"0.0.0.0:8081\"\nadmin_token = { env = \"CARGO_PKG_NAME\" }\n";
    assert_eq!(findings(env), "");
}

#[test]
fn secrets_come_from_elsewhere() {
    let toml = |secret: &str| format!("[server]\nadmin_token = {secret}\n");
    let said = |secret: &str, files: &[(&str, &str)]| lines(&load_text(&toml(secret), files));
    insta::assert_snapshot!(said("\"fake-token-0001\"", &[]), @r#"
    E HG0202 2:15 ‹"***************"› `admin_token`: a secret is never written into this file
        put it into a variable or a file and write { env = "NAME" } or { file = "path" }; if this file was shared, change the secret
    "#);
    insta::assert_snapshot!(said("{ env = \"HOOKGATE_NO_SUCH_VARIABLE\" }", &[]), @r#"
    E HG0209 2:23 ‹"HOOKGATE_NO_SUCH_VARIABLE"› variable HOOKGATE_NO_SUCH_VARIABLE is not set
        export HOOKGATE_NO_SUCH_VARIABLE before starting hookgate; `check --no-secrets` goes without secrets
    "#);
    insta::assert_snapshot!(said("{ file = \"none\" }", &[]), @r#"
    E HG0209 2:24 ‹"none"› file none cannot be read: there is no such file
        a relative path starts at this file's folder
    "#);
    insta::assert_snapshot!(said("{ file = \"blank\" }", &[("blank", " \n")]), @r#"
    E HG0210 2:15 ‹{ file = "blank" }› `admin_token`: file blank holds nothing
        a blank secret would let anyone in; set it, or remove the key
    "#);
    insta::assert_snapshot!(said("{ file = \"a\", env = \"B\" }", &[]), @r#"
    E HG0204 2:15 ‹{ file = "a", env = "B" }› `admin_token`: must say where the secret is, once
        write { env = "NAME" } or { file = "path" }
    "#);
    insta::assert_snapshot!(said("{ fil = \"a\" }", &[]), @r#"
    E HG0204 2:15 ‹{ fil = "*" }› `admin_token`: must say where the secret is, once
        write { env = "NAME" } or { file = "path" }
    E HG0201 2:17 ‹fil› unknown key `fil` in `admin_token`
        did you mean `file`?
    "#);
    insta::assert_snapshot!(said("[]", &[]), @r#"E HG0202 2:15 ‹[]› `admin_token` must be a table, not a list"#);
    let loaded = load_text(&toml("{ file = \"t\" }"), &[("t", "fake-token-0001\r\n")]);
    let config = loaded.config.unwrap();
    assert_eq!(config.admin.token.unwrap().expose(), "fake-token-0001");
    assert_eq!(loaded.secrets, 1);
    assert!(config.files.iter().any(|file| file.ends_with("t")));
    let no_secrets = Overrides {
        no_secrets: true,
        ..Overrides::default()
    };
    let folder = folder(&toml("{ env = \"HOOKGATE_NO_SUCH_VARIABLE\" }"), &[]);
    assert!(
        load(&folder.path().join("webhooks.toml"), &no_secrets)
            .config
            .is_some()
    );
}

proptest! {
    /// Whatever the text is, it loads or is refused with findings that can be shown.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[\\[\\]a-z=\"'{}., \n0-9#-]{0,200}") {
        let loaded = load_text(&text, &[]);
        prop_assert_eq!(loaded.config.is_none(), loaded.has_errors());
        for finding in &loaded.findings {
            prop_assert!(!findings::render(finding).is_empty());
        }
    }
}

#[test]
fn mistakes_in_sinks() {
    insta::assert_snapshot!(findings(r#"
[[sink]]
name = "a"
kind = "prefect"
url = "http://169.254.169.254/api"
token = "fake-token-0001"
path = "x"
match = "evnt:a"
batch = { events = 0, size = 1 }
from = "newest"
max_lag = "0s"
[[sink]]
name = "a"
kind = "http"
auth = { user = "a:b" }
headers = { "X-Api-Key" = "fake-key-0001", "bad name" = "x", "X-Org" = "1" }
[[sink]]
name = "l"
kind = "ndjson"
url = "http://127.0.0.1:1"
"#), @r#"
    E HG0204 5:7 ‹"http://169.254.169.254/api"› `url`: a link-local address is no place for events
    E HG0202 6:9 ‹"***************"› `token`: a secret is never written into this file
        put it into a variable or a file and write { env = "NAME" } or { file = "path" }; if this file was shared, change the secret
    W HG0214 7:1 ‹path› `path` has no effect on a sink of kind prefect
        remove it
    E HG0204 8:10 ‹e› `match`: there is no key `evnt:`
        did you mean event:?
    E HG0204 9:20 ‹0› `batch.events`: must be between 1 and 10000
    E HG0201 9:23 ‹size› unknown key `size` in `batch`
        known here: events, bytes, wait
    E HG0204 10:8 ‹"newest"› `from`: "newest" is none of "now", "oldest"
    E HG0204 11:11 ‹"0s"› `max_lag`: must be longer than 0
    E HG0203 12:1 ‹[[sink]]› [[sink]] lacks the key `url`
        url = "http://127.0.0.1:4200/api", for example
    E HG0206 13:8 ‹"a"› the sink `a` stands in line 3 already
        a sink's name is its cursor's: choose another
    E HG0203 15:8 ‹{ user = "a:b" }› `auth` lacks the key `password`
        auth = { user = "name", password = { env = "NAME" } }
    E HG0204 15:8 ‹{ user = "a:b" }› `auth`: a user name cannot hold a colon
    E HG0202 16:27 ‹"*************"› `headers.X-Api-Key`: a secret is never written into this file
        put it into a variable or a file and write { env = "NAME" } or { file = "path" }; if this file was shared, change the secret
    E HG0204 16:57 ‹"*"› `headers.bad name`: is no header name
    E HG0203 17:1 ‹[[sink]]› [[sink]] lacks the key `path`
        path = "events.ndjson", or "-" for standard output
    W HG0214 20:1 ‹url› `url` has no effect on a sink of kind ndjson
        remove it
    "#);
}

#[test]
fn sinks_load() {
    let toml = r#"
[[sink]]
name = "h"
kind = "http"
url = "http://10.0.0.1/in/"
headers = { "X-Org" = "1" }
match = "event:a.*"
from = "oldest"
[[sink]]
name = "l"
kind = "ndjson"
path = "-"
enabled = false
"#;
    let loaded = load_text(toml, &[]);
    let said = lines(&loaded);
    let config = loaded.config.unwrap_or_else(|| panic!("{said}"));
    let [h, l] = config.sinks.as_slice() else {
        panic!()
    };
    assert!(
        matches!(&h.kind, crate::forward::SinkKind::Http(t, _) if t.url == "http://10.0.0.1/in")
    );
    assert_eq!((h.batch_events, h.batch_bytes), (200, 4_000_000));
    assert!(h.filter.is_some() && h.enabled && !l.enabled && l.filter.is_none());
}

#[test]
fn a_finding_as_people_see_it() {
    let loaded = load_text("[server]\nlistn = \"127.0.0.1:1\"\n", &[]);
    let text = findings::render(&loaded.findings[0]);
    let plain = anstream::adapter::strip_str(&text).to_string();
    insta::assert_snapshot!(plain, @r#"
    error[HG0201]: unknown key `listn` in [server]
      ╭▸ webhooks.toml:2:1
      │
    2 │ listn = "127.0.0.1:1"
      │ ━━━━━
      │
      ├ help: did you mean `listen`?
      ╰ more: hookgate explain HG0201
    "#);
    insta::assert_snapshot!(findings::github(&loaded.findings[0], "conf/"), @r#"::error file=conf/webhooks.toml,line=2,col=1,endColumn=6,title=HG0201::unknown key `listn` in [server]%0Ahelp: did you mean `listen`?"#);
    insta::assert_snapshot!(serde_json::to_string(&loaded.findings[0]).unwrap(), @r#"{"severity":"error","code":"HG0201","message":"unknown key `listn` in [server]","file":"webhooks.toml","line":2,"column":1,"end_column":6,"source":"listn = \"127.0.0.1:1\"","help":"did you mean `listen`?"}"#);
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_of_the_file() {
    let folder = folder(
        "[server]\ntls = { cert = \"c.pem\", key = \"k.pem\" }\n",
        &[("c.pem", "no certificate"), ("k.pem", "no key")],
    );
    let loaded = load(&folder.path().join("webhooks.toml"), &Overrides::default());
    assert!(loaded.config.is_none());
    let said = lines(&loaded).replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @r#"
    E HG0204 2:7 ‹{ cert = "c.pem", key = "k.pem" }› `tls`: DIR/c.pem holds no certificate in PEM
        both are PEM files: the certificate with its chain, and the private key that belongs to it
    "#);
}

#[test]
fn what_is_known_is_listed_once_and_a_lonely_test_is_told_where_it_belongs() {
    let said = |toml: &str| {
        let folder = folder(toml, &[]);
        lines(&load(
            &folder.path().join("webhooks.toml"),
            &Overrides::default(),
        ))
    };
    let known = said("[[webhook]]\nname = \"a\"\nqqqqqqqqqq = 1\n");
    assert!(
        known.contains("known here: name, slug, provider"),
        "{known}"
    );
    assert!(!known.contains("cloudevents, cloudevents"), "{known}");
    insta::assert_snapshot!(said("[[webhook.test]]\nname = \"x\"\n"), @r#"
    E HG0202 1:3 ‹webhook› `webhook` is a list of tables
        [[webhook.test]] belongs below the [[webhook]] that it tests
    "#);
}
