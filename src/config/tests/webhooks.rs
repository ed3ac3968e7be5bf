//! Mistakes in `[[webhook]]`, and what a right one loads to.

use super::*;

/// A webhook with everything it needs, and more lines.
fn webhook(lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nverify = \"none\"\n{lines}\n"
    )
}

const EVENT: &str = "event = { event = \"e\", resource = { \"prefect.resource.id\" = \"r\" } }\n";

fn with_event(lines: &str) -> String {
    webhook(&format!("{EVENT}{lines}"))
}

/// The only webhook of a file that must load.
fn only(toml: &str) -> Arc<Webhook> {
    let loaded = load_text(toml, &[]);
    let said = lines(&loaded);
    Arc::clone(&loaded.config.unwrap_or_else(|| panic!("{said}")).webhooks[0])
}

#[test]
fn the_three_ways_load() {
    let toml = format!(
        "{}\n[[webhook]]\nname = \"t\"\nslug = \"fakeslug00000000000002\"\nverify = \"none\"\n\
         template = \"t.json.j2\"\nenabled = false\n\
         [[webhook]]\nname = \"c\"\nslug = \"fakeslug00000000000003\"\ncloudevents = true\n\
         verify = {{ scheme = \"bearer\", token = {{ env = \"CARGO_PKG_NAME\" }} }}\n\
         [[webhook]]\nname = \"g\"\nslug = \"fakeslug00000000000004\"\nprovider = \"github\"\n\
         secret = [{{ env = \"CARGO_PKG_NAME\" }}, {{ env = \"CARGO_PKG_VERSION\", until = 2099-01-01T00:00:00Z }}]\n{EVENT}",
        with_event("")
    );
    let loaded = load_text(&toml, &[("templates/t.json.j2", "null")]);
    assert_eq!(lines(&loaded), "");
    let config = loaded.config.unwrap();
    let [w, t, c, g] = config.webhooks.as_slice() else {
        panic!()
    };
    assert!(matches!(w.translator, Translator::Definition(_)) && w.verifier.is_open());
    assert!(matches!(t.translator, Translator::Template(_)) && !t.enabled);
    assert!(matches!(c.translator, Translator::CloudEvents(_)) && !c.verifier.is_open());
    assert_eq!(w.methods, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
    assert_eq!(c.methods, ["POST", "PUT", "PATCH"]);
    assert_eq!(c.masking.query, ["access_token"]);
    assert_eq!((w.line, t.line), (1, 8));
    assert!(g.methods.contains(&"POST".to_owned()) && !g.methods.contains(&"GET".to_owned()));
    assert!(g.accept_parked && !w.accept_parked);
    assert!(matches!(&g.key, KeyRule::Values(values) if !values.is_empty()));
    assert_eq!(g.secrets.len(), 2);
    assert_eq!(config.routes.len(), 3);
    assert!(
        config
            .files
            .iter()
            .any(|file| file.ends_with("templates/t.json.j2"))
    );
}

const MISTAKES: &str = r#"
[server]
listn = "127.0.0.1:1"
max_body = true
[[webhook]]
name = "Orders"
slug = "fake slug 0001"
event = { event = "e", resource = { "prefect.resource.id" = "r" } }
[[webhook]]
name = "a"
slug = "fakeslug00000000000001"
template = "none.json.j2"
verify = "nobody"
[[webhook]]
name = "a"
slug = "fakeslug00000000000001"
provider = "githb"
secret = { env = "HOOKGATE_NO_SUCH_VARIABLE" }
[[webhook]]
name = "b"
slug = "fakeslug00000000000002"
event = { event = "e", resource = { "prefect.resource.id" = "r" } }
cloudevents = true
when = "body.type =="
[[webhook]]
name = "c"
slug = "fakeslug00000000000003"
provider = "github"
evnt = 1
[[sink]]
name = "s"
kind = "prefct"
"#;

#[test]
fn ten_mistakes_at_once() {
    let said = findings(MISTAKES);
    assert!(
        !said.contains("fakeslug") && !said.contains("fake slug"),
        "{said}"
    );
    insta::assert_snapshot!(said, @r#"
    E HG0201 3:1 ‹listn› unknown key `listn` in [server]
        did you mean `listen`?
    E HG0202 4:12 ‹true› `max_body` must be a size such as "10 MiB", not true or false
    W HG0216 5:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    E HG0204 6:8 ‹"Orders"› `name`: a name is made of a-z, 0-9 and -, at most 128 of them
        "orders" would do
    E HG0204 7:8 ‹"**************"› `slug`: a slug is made of A-Z a-z 0-9 _ -; character 5 is none of them
    E HG0213 12:12 ‹"none.json.j2"› the template "none.json.j2" cannot be read: there is no such file
        the name starts at the folder templates/ beside this file
    E HG0204 13:10 ‹"nobody"› `verify`: as text it can only be "none"
        write verify = { scheme = "hmac-sha256", header = "X-Signature", secret = { env = "NAME" } }
    E HG0206 15:8 ‹"a"› the webhook `a` stands in line 10 already
        a webhook's name is in its events' ids: choose another
    E HG0205 16:8 ‹"**********************"› the webhook `a` (line 11) has this slug already
        a slug is one webhook's alone: make a new one
    E HG0211 17:12 ‹"githb"› there is no provider `githb`
        Did you mean `github` or `gitlab` or `gitea`?
    E HG0209 18:18 ‹"HOOKGATE_NO_SUCH_VARIABLE"› variable HOOKGATE_NO_SUCH_VARIABLE is not set
        export HOOKGATE_NO_SUCH_VARIABLE before starting hookgate; `check --no-secrets` goes without secrets
    W HG0216 19:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    E HG0208 23:1 ‹cloudevents› `event` says already how requests become events
        keep `event` or `cloudevents`
    E HG0301 24:19 ‹==› `when`: The template does not compile: unexpected end of input, expected expression.
    E HG0212 28:12 ‹"github"› GitHub signs its requests, but there is no `secret` to check them with
        add secret = { env = "GITHUB_WEBHOOK_SECRET" }; or verify = "none", and anyone who knows the URL can call it
    E HG0201 29:1 ‹evnt› unknown key `evnt` in [[webhook]]
        did you mean `event`?
    E HG0204 32:8 ‹"prefct"› `kind`: "prefct" is none of "prefect", "http", "ndjson"
        did you mean "prefect"?
    "#);
}

#[test]
fn a_slug_in_a_url_is_hidden_too() {
    let url = "public_url = \"https://a.example/hooks/fakeslug00000000000001?x\"";
    let said = findings(&with_event(url));
    assert!(
        said.contains("HG0204") && !said.contains("fakeslug"),
        "{said}"
    );
}

#[test]
fn names_and_slugs() {
    insta::assert_snapshot!(findings(&format!("[[webhook]]\n{EVENT}")), @r#"
    E HG0203 1:1 ‹[[webhook]]› [[webhook]] lacks the key `name`
        name = "github", for example
    E HG0203 1:1 ‹[[webhook]]› [[webhook]] lacks the key `slug`
        slug = 22 or more random characters of A-Z a-z 0-9, the last part of its URL
    W HG0216 1:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    "#);
    insta::assert_snapshot!(findings(&format!("[[webhook]]\nname = \"\"\nslug = 7\n{EVENT}")), @r#"
    W HG0216 1:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    E HG0204 2:8 ‹""› `name`: cannot be empty
    E HG0202 3:8 ‹*› `slug` must be text, not a whole number
    "#);
    let short = with_event("").replace("00000000000001", "");
    insta::assert_snapshot!(findings(&short), @r#"
    W HG0215 3:8 ‹"********"› a slug of 8 characters can be guessed
        use 22 random characters or more
    "#);
    insta::assert_snapshot!(findings("webhook = 1"), @r#"E HG0202 1:11 ‹1› `webhook` must be a list, not a whole number"#);
    insta::assert_snapshot!(findings("[webhook]\nname = \"w\""), @r#"
    E HG0202 1:1 ‹[webhook]› `webhook` is a list of tables
        write [[webhook]], with two brackets on each side
    "#);
}

#[test]
fn ways_of_translation() {
    insta::assert_snapshot!(findings(&webhook("")), @r#"
    E HG0207 1:1 ‹[[webhook]]› the webhook says not how requests become events
        add one of `event = { … }`, `template = "name.json.j2"`, `cloudevents = true`
    "#);
    insta::assert_snapshot!(findings(&webhook("event = 1\ntemplate = 2\ncloudevents = false")), @r#"
    E HG0202 5:9 ‹1› `event` must be a table, not a whole number
    E HG0208 6:1 ‹template› `event` says already how requests become events
        keep `event` or `template`
    E HG0202 6:12 ‹2› `template` must be text, not a whole number
    E HG0204 7:15 ‹false› `cloudevents`: can be true or a table
        leave the key out
    "#);
    insta::assert_snapshot!(findings(&webhook("cloudevents = { percent_decod = true }")), @r#"
    E HG0201 5:17 ‹percent_decod› unknown key `percent_decod` in `cloudevents`
        did you mean `percent_decode`?
    "#);
    let overrides = "cloudevents = { event = \"{{ cloudevent. }}\", resource = { name = \"x\" }, payload = \"{{ cloudevent.data|fromjsn }}\", relatd = [], delivery_key = \"x\" }";
    insta::assert_snapshot!(findings(&webhook(overrides)), @r#"
    E HG0402 5:57 ‹{ name = "x" }› The event's resource has no `prefect.resource.id`.
        It names what the event is about: `resource = { "prefect.resource.id" = "order.{{ body.id }}" }`.
    E HG0301 5:25 ‹"{{ cloudevent. }}"› `event`: The template does not compile: unexpected end of variable block, expected identifier or integer.
    E HG0302 5:83 ‹"{{ cloudevent.data|fromjsn }}"› `payload`: There is no filter `fromjsn`.
        Did you mean the filter `fromjson`?
    E HG0201 5:116 ‹relatd› unknown key `relatd` in `cloudevents`
        did you mean `related`?
    E HG0201 5:129 ‹delivery_key› unknown key `delivery_key` in `cloudevents`
        known here: percent_decode, event, resource, occurred, payload, related, id, follows
    "#);
    insta::assert_snapshot!(findings(&webhook("event = { resource = { \"prefect.resource.id\" = \"{{ body.x + }}\" } }")), @r#"
    E HG0402 5:9 ‹{ resource = { "prefect.resource.id" = "{{ body.x + }}" } }› The event has no `event`.
    E HG0301 5:48 ‹"{{ body.x + }}"› `resource.prefect.resource.id`: The template does not compile: unexpected end of variable block.
    "#);
    insta::assert_snapshot!(findings(&webhook("event = { event = \"e\", evnt = 1, resource = {} }")), @r#"
    E HG0201 5:31 ‹1› An event has no field `evnt`.
        Did you mean `event`?
    E HG0402 5:45 ‹{}› The event's resource has no `prefect.resource.id`.
        It names what the event is about: `resource = { "prefect.resource.id" = "order.{{ body.id }}" }`.
    "#);
}

#[test]
fn templates_in_files() {
    let said = |name: &str, files: &[(&str, &str)]| {
        lines(&load_text(&webhook(&format!("template = {name}")), files))
    };
    let broken = (
        "templates/a.json.j2",
        "{\n  \"event\": \"{{ body.x | }}\"\n}",
    );
    insta::assert_snapshot!(said("\"a.json.j2\"", &[broken]), @r#"E HG0301 templates/a.json.j22:25 ‹}}› The template does not compile: unexpected end of variable block, expected identifier."#);
    insta::assert_snapshot!(said("\"a.json.j\"", &[broken]), @r#"
    E HG0213 5:12 ‹"a.json.j"› the template "a.json.j" cannot be read: there is no such file
        did you mean "a.json.j2"?
    "#);
    insta::assert_snapshot!(said("\"../secret\"", &[("secret", "x")]), @r#"
    E HG0213 5:12 ‹"../secret"› the template "../secret" cannot be read: a template lies in the folder templates/, or below it
        the name starts at the folder templates/ beside this file
    "#);
    insta::assert_snapshot!(said("\"/etc/passwd\"", &[]), @r#"
    E HG0213 5:12 ‹"/etc/passwd"› the template "/etc/passwd" cannot be read: a template lies in the folder templates/, or below it
        the name starts at the folder templates/ beside this file
    "#);
    insta::assert_snapshot!(said("\"a\\u0000b\"", &[]), @r#"
    E HG0213 5:12 ‹"a\u0000b"› the template "a\0b" cannot be read: a template lies in the folder templates/, or below it
        the name starts at the folder templates/ beside this file
    "#);
    insta::assert_snapshot!(said("\"sub\"", &[("templates/sub/x", "")]), @r#"
    E HG0213 5:12 ‹"sub"› the template "sub" cannot be read: it is not a regular file
        the name starts at the folder templates/ beside this file
    "#);
    assert_eq!(said("\"sub/x\"", &[("templates/sub/x", "null")]), "");
}

#[test]
#[cfg(unix)]
fn links_stay_in_the_folder() {
    use std::os::unix::fs::symlink;
    let folder = folder(
        &webhook("template = \"a\""),
        &[("templates/b", "null"), ("out", "null")],
    );
    let link = folder.path().join("templates/a");
    let file = folder.path().join("webhooks.toml");
    symlink("b", &link).unwrap();
    assert!(load(&file, &Overrides::default()).config.is_some());
    std::fs::remove_file(&link).unwrap();
    symlink("../out", &link).unwrap();
    insta::assert_snapshot!(lines(&load(&file, &Overrides::default())), @r#"
    E HG0213 5:12 ‹"a"› the template "a" cannot be read: it is a link that leaves the folder templates/
        did you mean "b"?
    "#);
}

#[test]
fn inline_templates_and_expressions_are_placed_in_the_file() {
    let template = |text: &str| findings(&webhook(&format!("template = {{ inline = {text} }}")));
    insta::assert_snapshot!(template("\"\"\"\n{\n \"event\": \"{{ body.x | }}\"}\"\"\""), @r#"E HG0301 7:24 ‹}}› The template does not compile: unexpected end of variable block, expected identifier."#);
    insta::assert_snapshot!(template("'{\"event\": \"{{ body.x | }}\"}'"), @r#"E HG0301 5:47 ‹}}› The template does not compile: unexpected end of variable block, expected identifier."#);
    insta::assert_snapshot!(template("\"{\\\"event\\\": \\\"{{ body.x | }}\\\"}\""), @r#"E HG0301 5:23 ‹"{\"event\": \"{{ body.x | }}\"}"› The template does not compile: unexpected end of variable block, expected identifier. (line 1, column 24 of the text)"#);
    insta::assert_snapshot!(findings(&with_event("when = \"body.type ==\"\ndelivery_key = \"a b\"")), @r#"
    E HG0301 6:19 ‹==› `when`: The template does not compile: unexpected end of input, expected expression.
    E HG0301 7:19 ‹b› `delivery_key`: The template does not compile: unexpected input after expression.
    "#);
}

#[test]
fn verification() {
    let said = |lines: &str| findings(&with_event("").replace("verify = \"none\"", lines));
    let env = "{ env = \"CARGO_PKG_NAME\" }";
    insta::assert_snapshot!(said(""), @r#"
    W HG0216 1:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    "#);
    insta::assert_snapshot!(said(&format!("secret = {env}")), @r#"
    W HG0216 1:1 ‹[[webhook]]› anyone who knows the URL can call this webhook
        add `verify` or a provider with a secret; verify = "none" says that it is meant
    W HG0214 4:1 ‹secret› `secret` has no effect: nothing here is checked with it
        remove it
    "#);
    insta::assert_snapshot!(said(&format!("verify = \"none\"\nsecret = {env}")), @r#"
    W HG0214 5:1 ‹secret› `secret` has no effect: `verify = "none"` asks for nothing
        remove it
    "#);
    insta::assert_snapshot!(said("provider = \"github\""), @r#"
    E HG0212 4:12 ‹"github"› GitHub signs its requests, but there is no `secret` to check them with
        add secret = { env = "GITHUB_WEBHOOK_SECRET" }; or verify = "none", and anyone who knows the URL can call it
    "#);
    assert_eq!(said("provider = \"github\"\nverify = \"none\""), "");
    insta::assert_snapshot!(said("provider = \"github\"\nsecret = \"fake-secret-0001\""), @r#"
    E HG0202 5:10 ‹"****************"› `secret`: a secret is never written into this file
        put it into a variable or a file and write { env = "NAME" } or { file = "path" }; if this file was shared, change the secret
    "#);
    insta::assert_snapshot!(said("provider = \"gihub\""), @r#"
    E HG0211 4:12 ‹"gihub"› there is no provider `gihub`
        Did you mean `github`?
    "#);
    insta::assert_snapshot!(said("verify = { scheme = \"hmac-sha255\" }"), @r#"
    E HG0204 4:21 ‹"hmac-sha255"› `verify.scheme`: "hmac-sha255" is none of "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512", "ed25519", "ecdsa-p256-sha256", "rsa-sha1", "rsa-sha256", "sha1", "sha256", "jwt", "body-token", "twilio", "twilio-sha256", "adyen-items", "braintree", "contentful", "hook0", "aws-sns", "paypal", "plivo", "bearer", "basic", "header-token", "query-token", "path-token", "address", "none"
        did you mean "hmac-sha256"?
    "#);
    insta::assert_snapshot!(said("verify = { scheme = \"hmac-sha256\", header = \"X-S\" }"), @r#"
    E HG0212 4:10 ‹{ scheme = "hmac-sha256", header = "X-S" }› the scheme needs a secret, and there is none
        add secret = { env = "NAME" } to `verify`
    "#);
    insta::assert_snapshot!(said(&format!("verify = {{ scheme = \"hmac-sha256\", hedder = \"X-S\", secret = {env} }}")), @r#"
    E HG0201 4:36 ‹hedder› unknown key `hedder` in `verify`
        did you mean `header`?
    "#);
    insta::assert_snapshot!(said(&format!("verify = {{ scheme = \"bearer\", token = {env}, secret = {env} }}")), @r#"
    E HG0204 4:39 ‹{ env = "CARGO_PKG_NAME" }› `verify.token`: there is a `secret` too
        they mean the same: keep one
    "#);
    insta::assert_snapshot!(said(&format!("verify = {{ scheme = \"basic\", secret = {env} }}")), @r#"
    E HG0221 4:39 ‹{ env = "CARGO_PKG_NAME" }› secret 1 is not `user:password`
        write user and password with a colon between them
    "#);
    insta::assert_snapshot!(said(&format!("provider = \"standard-webhooks\"\nsecret = {env}")), @"");
    let two = format!(
        "verify = {{ any = [{{ scheme = \"bearer\", token = {env} }}, {{ scheme = \"header-token\", header = \"X-T\", secret = {env} }}] }}"
    );
    assert_eq!(said(&two), "");
    insta::assert_snapshot!(said(&two.replace("header-token", "header-tokn")), @r#"
    E HG0204 4:89 ‹"header-tokn"› `verify.any[1].scheme`: "header-tokn" is none of "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512", "ed25519", "ecdsa-p256-sha256", "rsa-sha1", "rsa-sha256", "sha1", "sha256", "jwt", "body-token", "twilio", "twilio-sha256", "adyen-items", "braintree", "contentful", "hook0", "aws-sns", "paypal", "plivo", "bearer", "basic", "header-token", "query-token", "path-token", "address", "none"
        did you mean "header-token"?
    "#);
}

#[test]
fn topics_and_their_subscriptions() {
    let said = |lines: &str| findings(&with_event("").replace("verify = \"none\"", lines));
    let sns = "provider = \"aws-sns\"\n";
    let topic = "topics = [\"arn:aws:sns:eu-central-1:123456789012:orders\"]";
    insta::assert_snapshot!(said(sns), @r#"
    W HG0230 1:1 ‹[[webhook]]› every customer of the service can send this webhook signed messages: it lists no `topics`
        add topics = ["arn:aws:sns:eu-central-1:123456789012:orders"]
    "#);
    insta::assert_snapshot!(said(&format!("{sns}confirm_subscription = true")), @r#"
    E HG0204 5:24 ‹true› `confirm_subscription`: there are no `topics`: anyone's subscription would be confirmed
        add topics = ["arn:aws:sns:eu-central-1:123456789012:orders"]
    "#);
    insta::assert_snapshot!(said(&format!("{sns}topics = [\"arn:aws:sns:eu-central-1:123456789012:*\", \"orders\", 1]")), @r#"
    E HG0204 5:11 ‹"arn:aws:sns:eu-central-1:123456789012:*"› `topics[0]`: a topic is named whole, without `*` or `?`
        such as "arn:aws:sns:eu-central-1:123456789012:orders"
    E HG0204 5:54 ‹"orders"› `topics[1]`: is no ARN of a topic
        such as "arn:aws:sns:eu-central-1:123456789012:orders"
    E HG0202 5:64 ‹1› `topics[2]` must be text, not a whole number
    "#);
    insta::assert_snapshot!(said(&format!("{sns}topics = []")), @r#"
    E HG0204 5:10 ‹[]› `topics`: lists 1 to 100 topics
    "#);
    assert_eq!(said(&format!("{sns}{topic}")), "");
    assert_eq!(
        said(&format!("{sns}{topic}\nconfirm_subscription = true")),
        ""
    );
    insta::assert_snapshot!(said(&format!("{sns}{topic}\nconfirm_subscription = \"yes\"")), @r#"
    E HG0202 6:24 ‹"yes"› `confirm_subscription` must be true or false, not text
    "#);
    insta::assert_snapshot!(said(&format!("verify = \"none\"\n{topic}\nconfirm_subscription = true")), @r#"
    W HG0214 5:1 ‹topics› `topics` has no effect: this webhook's messages have no topics that are checked
        remove it
    W HG0214 6:1 ‹confirm_subscription› `confirm_subscription` has no effect: this webhook's messages have no topics that are checked
        remove it
    "#);
    let own = "verify = { scheme = \"aws-sns\", origins = [\"sns.{region}.amazonaws.com\"] }\n";
    insta::assert_snapshot!(said(&format!("{own}{topic}\nconfirm_subscription = true")), @r#"
    W HG0214 6:1 ‹confirm_subscription› `confirm_subscription` has no effect: no handshake of this webhook asks for it
        name the provider, or remove it
    "#);
}

#[test]
fn keys_at_a_url_or_in_a_file() {
    let said = |lines: &str| findings(&with_event("").replace("verify = \"none\"", lines));
    let jwt = |jwks: &str, more: &str| {
        said(&format!(
            "verify = {{ scheme = \"jwt\", header = \"X\", algorithms = [\"RS256\"], audience = \"a\", jwks = {jwks}{more} }}"
        ))
    };
    assert_eq!(jwt("{ url = \"https://keys.example.com/jwks\" }", ""), "");
    insta::assert_snapshot!(jwt("{ url = \"http://keys.example.com/jwks\" }", ""), @r#"
    E HG0204 4:89 ‹{ url = "http://keys.example.com/jwks" }› `verify`: `jwks`: `http://keys.example.com/jwks` begins not with https://
    "#);
    insta::assert_snapshot!(jwt("{ url = \"https://10.0.0.1/jwks\" }", ""), @r#"
    E HG0204 4:89 ‹{ url = "https://10.0.0.1/jwks" }› `verify`: `jwks`: `https://10.0.0.1/jwks` has no host name
    "#);
    insta::assert_snapshot!(jwt("{ file = \"absent.json\" }", ""), @r#"
    E HG0101 4:10 ‹{ scheme = "jwt", header = "X", algorithms = ["RS256"], audience = "a", jwks = { file = "absent.json" } }› `jwks`: file absent.json cannot be read: there is no such file
    "#);
    insta::assert_snapshot!(jwt("{ file = \"webhooks.toml\" }", ""), @r#"
    E HG0204 4:10 ‹{ scheme = "jwt", header = "X", algorithms = ["RS256"], audience = "a", jwks = { file = "webhooks.toml" } }› `verify`: `jwks.file`: it is no JSON
    "#);
    insta::assert_snapshot!(jwt("{ url = \"https://keys.example.com/jwks\" }", ", secret = { env = \"CARGO_PKG_NAME\" }"), @r#"
    W HG0214 4:132 ‹secret› `verify.secret` has no effect: this scheme asks for none
        remove it
    "#);
    insta::assert_snapshot!(said("provider = \"google-pubsub\""), @r#"
    E HG0212 4:12 ‹"google-pubsub"› Google Cloud Pub/Sub signs its requests, but there is no `secret` to check them with
        add secret = { env = "GOOGLE_PUBSUB_WEBHOOK_SECRET" }; or verify = "none", and anyone who knows the URL can call it
    "#);
    insta::assert_snapshot!(said("provider = \"google-chat\"\nsecret = { env = \"CARGO_PKG_NAME\" }"), @r#"
    W HG0214 5:1 ‹secret› `secret` has no effect: the sender's keys are fetched
        remove it
    "#);
    assert_eq!(said("provider = \"travis\""), "");
}

/// Which of two schemes, each with its own secret, let a request in.
#[test]
fn every_scheme_of_a_list_has_its_own_secret() {
    let item = |header: &str, env: &str| {
        format!(
            "{{ scheme = \"header-token\", header = \"{header}\", secret = {{ env = \"{env}\" }} }}"
        )
    };
    let (a, b) = (
        item("X-A", "CARGO_PKG_NAME"),
        item("X-B", "CARGO_PKG_VERSION"),
    );
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let both = format!("X-A: {name}\nX-B: {version}\n");
    let swapped = format!("X-A: {version}\nX-B: {name}\n");
    let first = format!("X-A: {name}\n");
    let wrong_first = format!("X-A: wrong\nX-B: {version}\n");
    for (list, headers, verified) in [
        ("any", &both, true),
        ("any", &first, true),
        ("any", &wrong_first, true),
        ("any", &swapped, false),
        ("all", &both, true),
        ("all", &first, false),
        ("all", &swapped, false),
        ("first", &both, true),
        ("first", &wrong_first, false),
        ("first", &swapped, false),
    ] {
        let lines = format!("verify = {{ {list} = [{a}, {b}] }}");
        let webhook = only(&with_event("").replace("verify = \"none\"", &lines));
        assert_eq!(webhook.secrets.len(), 2);
        let text = format!("POST /hooks/x HTTP/1.1\n{headers}\n");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let request = crate::model::http_file::parse(text.as_bytes(), now).unwrap();
        let verdict = webhook.verifier.verify(&request, now);
        assert_eq!(verdict.record.verified, verified, "{list} of {headers}");
        assert!(webhook.masking.hides_header("x-a") && webhook.masking.hides_header("x-b"));
    }
}

#[test]
fn old_slugs_are_no_others_and_end() {
    let slug = |n: u8| format!("fakeoldslug00000000000{n}");
    let text = with_event(&format!(
        "old_slugs = [{{ slug = \"{}\", until = 2126-01-01T00:00:00Z }}, {{ slug = \"{}\", until = 2026-01-01T00:00:00Z }}]",
        slug(1),
        slug(2)
    ));
    let webhook = only(&text);
    let old: Vec<&str> = webhook
        .old_slugs
        .iter()
        .map(|old| old.slug.expose())
        .collect();
    assert_eq!(old, [slug(1), slug(2)]);
    assert_eq!(webhook.masking.slugs.len(), 3);
    let told = findings(&text);
    assert!(told.contains("the old slug's time has passed"), "{told}");
    let twice = text.replace(&slug(2), &slug(1));
    assert!(findings(&twice).contains("HG0205"), "{}", findings(&twice));
    assert!(!findings(&twice).contains(&slug(1)), "a slug is shown");
}

#[test]
fn edge_settings_of_a_webhook() {
    insta::assert_snapshot!(findings(&with_event(r#"
methods = ["post", "OPTIONS", "POST"]
subpaths = "yes"
public_url = "https://a.example/x?y=1"
max_body = "20 MiB"
allow = ["10.0.0.0/8", "here"]
rate = -1
response = { status = 204, body = "x" }
on_error = "ignore"
default_payload = "nothing"
undefined = "error"
old_slugs = [{ slug = "a b" }, { until = "soon" }, 1]
trace = "parent"
each = "body"
enabled = 1
"#)), @r#"
    E HG0204 7:12 ‹"post"› `methods[0]`: "post" is none of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"
        did you mean "POST"?
    E HG0204 7:20 ‹"OPTIONS"› `methods[1]`: "OPTIONS" is none of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"
    E HG0202 8:12 ‹"yes"› `subpaths` must be true or false, not text
    E HG0204 9:14 ‹"https://a.example/x?y=1"› `public_url`: the URL cannot have a query or a fragment
    W HG0214 10:12 ‹"20 MiB"› `max_body` is above the server's, which comes first
        raise `max_body` in [server]
    E HG0204 11:24 ‹"here"› `allow[1]`: "here" is no network, such as "10.0.0.0/8", nor an address
    E HG0204 12:8 ‹-1› `rate`: must be above 0 and at most 1000000 a second
    E HG0204 13:35 ‹"x"› `response.body`: an answer 204 has no body
        write status = 200
    E HG0204 14:12 ‹"ignore"› `on_error`: "ignore" is none of "refuse", "accept"
    E HG0204 15:19 ‹"nothing"› `default_payload`: "nothing" is none of "request", "none"
    E HG0204 17:23 ‹"***"› `old_slugs[0].slug`: a slug is made of A-Z a-z 0-9 _ -; character 2 is none of them
    E HG0203 17:14 ‹{ slug = "***" }› `old_slugs[0]` lacks the key `until`
        old_slugs = [{ slug = "…", until = 2026-12-01T00:00:00Z }]
    E HG0203 17:32 ‹{ until = "soon" }› `old_slugs[1]` lacks the key `slug`
        old_slugs = [{ slug = "…", until = 2026-12-01T00:00:00Z }]
    E HG0204 17:42 ‹"soon"› `old_slugs[1].until`: must be a time with zone, such as 2026-12-01T00:00:00Z
    E HG0202 17:52 ‹1› `old_slugs[2]` must be a table, not a whole number
    E HG0204 18:9 ‹"parent"› `trace`: "parent" is none of "link", "continue", "ignore"
    E HG0202 20:11 ‹1› `enabled` must be true or false, not a whole number
    "#);
    let webhook = only(&with_event(
        "rate = { per_second = 0.5 }\nmax_body = \"1 KiB\"\nmethods = [\"POST\"]\npublic_url = \"https://a.example/x/\"\nresponse = { body = \"ok\" }\ndelivery_key = \"none\"\nallow = [\"::1\"]",
    ));
    assert_eq!(
        webhook.rate,
        Some(RateSettings {
            per_second: 0.5,
            burst: 1
        })
    );
    assert_eq!(
        (webhook.max_body, webhook.methods.len(), webhook.allow.len()),
        (1_024, 1, 1)
    );
    assert!(matches!(
        webhook.response,
        Response::Own { status: 200, .. }
    ));
    assert!(matches!(webhook.key, KeyRule::None));
    assert_eq!(webhook.public_url.as_deref(), Some("https://a.example/x/"));
}

#[test]
fn tests_of_a_webhook() {
    insta::assert_snapshot!(findings(&with_event(r#"
[[webhook.test]]
name = "a"
[[webhook.test]]
name = "b"
request = "b.http"
expect = [{ evnt = "x" }, 1]
expect_error = "HG9999"
"#)), @r#"
    E HG0203 7:1 ‹[[webhook.test]]› [[webhook.test]] lacks the key `request`
        request = "tests/requests/push.http", for example
    E HG0201 12:13 ‹evnt› unknown key `evnt` in `expect[0]`
        did you mean `event`?
    E HG0202 12:27 ‹1› `expect[1]` must be a table, not a whole number
    E HG0204 13:16 ‹"HG9999"› `expect_error`: "HG9999" is no error code
        codes look like "HG0303"; `hookgate explain` lists them
    E HG0204 13:16 ‹"HG9999"› `expect_error`: there is `expect` too
        a test expects events or an error
    "#);
    let webhook = only(&with_event(
        "[[webhook.test]]\nname = \"a\"\nrequest = \"a.http\"\nexpect = []\nverify = true",
    ));
    let [test] = webhook.tests.as_slice() else {
        panic!()
    };
    assert!(test.verify && test.expect.as_deref() == Some(&[]) && test.line == 6);
}

#[test]
fn what_the_sender_delivers_need_not_be_configured() {
    let asana = |lines: &str| {
        format!(
            "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nprovider = \"asana\"\n{lines}\n"
        )
    };
    let learns = |lines: &str| only(&asana(lines)).verifier.learned().is_some();
    assert_eq!(findings(&asana("")), "");
    assert!(learns(""));
    assert!(only(&asana("")).masking.hides_header("x-hook-secret"));
    let secret = "secret = { env = \"CARGO_PKG_NAME\" }";
    assert!(!learns(secret));
    assert!(only(&asana(secret)).masking.hides_header("x-hook-secret"));
    assert!(!learns("verify = \"none\""));
    // An own scheme has its own secret.
    let own = asana("verify = { scheme = \"hmac-sha256\", header = \"X-S\" }");
    assert!(findings(&own).starts_with("E HG0212"), "{}", findings(&own));
    // A list is a way to learn nothing by mistake, too.
    assert!(findings(&asana("secret = []")).contains("the list is empty"));
}

#[test]
fn a_provider_that_teaches_verifies_with_what_it_teaches() {
    let load_provider = |verify: &str| {
        let provider = format!(
            "title = \"Own\"\n{verify}\n[[handshake]]\ntitle = \"t\"\nmatch = {{ method = \"POST\", query = \"secret\" }}\nteaches = \"query:secret\"\n"
        );
        let toml = format!(
            "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nprovider = \"own\"\n{EVENT}"
        );
        load_text(
            &toml,
            &[("templates/providers/own/provider.toml", &provider)],
        )
    };
    let hmac = "[verify]\nscheme = \"hmac-sha256\"\nheader = \"X-S\"";
    let loaded = load_provider(hmac);
    assert_eq!(lines(&loaded), "");
    let config = loaded.config.unwrap();
    let webhook = &config.webhooks[0];
    assert!(webhook.verifier.learned().is_some() && webhook.masking.hides_query("secret"));
    for (verify, why) in [
        ("", "nothing is verified with it"),
        ("verify = \"none\"", "nothing is verified with it"),
        (
            "[verify]\nscheme = \"ed25519\"\nheader = \"X-S\"",
            "cannot be learned",
        ),
    ] {
        let said = lines(&load_provider(verify));
        assert!(said.starts_with("E ") && said.contains(why), "{said}");
    }
}

#[test]
fn origins_are_whole() {
    insta::assert_snapshot!(findings(&with_event("allowed_origins = [\"*.example.com\"]").replace("event =", "cloudevents = true #")), @r#"
    E HG0204 6:20 ‹"*.example.com"› `allowed_origins[0]`: an origin is matched whole
        list each origin, or write "*" for anyone
    "#);
    let webhook =
        with_event("allowed_origins = [\"*\"]").replace("event =", "cloudevents = true #");
    assert_eq!(only(&webhook).handshakes.len(), 1);
}
