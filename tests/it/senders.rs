//! Every signed, forged and handshake request of the senders' own libraries and documents, over HTTP, with the
//! clock of its case.

use crate::harness::cases::{self, Case};
use crate::harness::http::Reply;
use crate::harness::{Gateway, Setup, clock, hookgate, slug};
use serde_json::Value;
use std::collections::BTreeMap;

/// Cases that there are at least.
const SIGNATURES_MIN: usize = 1_436;
const HANDSHAKES_MIN: usize = 49;

const EVENT: &str = r#"event = { event = "x", resource = { "prefect.resource.id" = "x" } }"#;
/// Any Ed25519 public key, where a case says "any key".
const DISCORD_KEY: &str = "4f06e7622373968fa93c70c870d68d0c6b7612890210f9044608ba37b257e444";
/// Senders that need no secret, or deliver it.
const WITHOUT_SECRET: [&str; 4] = ["asana", "notion", "mailchimp", "miro"];

/// Webhooks of one gateway, with the variables that hold their secrets.
#[derive(Default)]
struct Webhooks {
    toml: String,
    env: Vec<(String, String)>,
}

impl Webhooks {
    /// A reference to a secret in a variable.
    fn secret(&mut self, value: &str) -> String {
        let name = format!("S_{}", self.env.len());
        let reference = format!("{{ env = \"{name}\" }}");
        self.env.push((name, value.to_owned()));
        reference
    }

    /// The webhook of a sender with these secrets.
    fn add(&mut self, number: usize, provider: &str, base: &str, secrets: &[&str]) {
        let references: Vec<String> = secrets.iter().map(|s| self.secret(s)).collect();
        let secret = match references.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let who = if provider.starts_with("cloudevents") {
            format!("verify = {{ scheme = \"bearer\", query = true, secret = {secret} }}")
        } else {
            format!("provider = \"{provider}\"\nsecret = {secret}")
        };
        self.toml.push_str(&format!(
            "[[webhook]]\nname = \"w{number}\"\nslug = \"{}\"\npublic_url = \"{base}\"\n{EVENT}\n{who}\n",
            slug(number)
        ));
    }

    /// A gateway with them, its clock standing still; `None` where that cannot be done here.
    fn setup(self, now: i64) -> Option<Setup> {
        let clock = clock::frozen(now)?;
        let mut setup = Setup::new(self.toml).server("public_url = \"https://hooks.example.com\"");
        setup.env = self.env;
        setup.env.extend(clock);
        Some(setup)
    }
}

/// Sends the request of a case to the webhook with this number.
fn send(gateway: &Gateway, number: usize, request: &Value) -> Reply {
    let path = format!("/hooks/{}{}", slug(number), cases::target(request).query);
    let method = request["method"].as_str().unwrap();
    gateway.send(
        method,
        &path,
        &cases::headers(request),
        &cases::body(request),
    )
}

/// Outcome of each delivery that the gateway tells of.
fn outcomes(gateway: &Gateway) -> BTreeMap<String, String> {
    let (mut found, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = gateway.api(&format!("/api/v1/deliveries?limit=500{after}"));
        for row in page["data"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            found.insert(text("id"), text("outcome"));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

#[test]
fn signatures_of_the_senders_libraries() {
    let all = Case::all("signatures", "signatures");
    assert!(all.len() >= SIGNATURES_MIN, "{} cases", all.len());
    let (blank, cases): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|case| case.secrets().iter().any(|secret| secret.trim().is_empty()));
    assert!(!blank.is_empty());
    let mut wrong: Vec<String> = blank.into_iter().filter_map(blank_is_refused).collect();
    let mut clocks: BTreeMap<i64, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        clocks.entry(case.now()).or_default().push(case);
    }
    for (now, cases) in clocks {
        let Some(found) = signatures_at(now, &cases) else {
            return;
        };
        wrong.extend(found);
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

/// The cases with one clock: what is wrong with them.
fn signatures_at(now: i64, cases: &[&Case]) -> Option<Vec<String>> {
    let mut webhooks = Webhooks::default();
    let mut numbers = BTreeMap::new();
    for case in cases {
        let key = (case.provider(), cases::target(&case.0).base, case.secrets());
        let next = numbers.len();
        numbers
            .entry(key)
            .or_insert_with_key(|(provider, base, secrets)| {
                webhooks.add(next, provider, base, secrets);
                next
            });
    }
    let gateway = webhooks.setup(now)?.start();
    let mut wrong = Vec::new();
    let mut taken = Vec::new();
    for case in cases {
        let key = (case.provider(), cases::target(&case.0).base, case.secrets());
        let reply = send(&gateway, numbers[&key], &case.0);
        let status = reply.status;
        let delivery = reply.header("hookgate-delivery").map(str::to_owned);
        let label = format!("{}: {status} for {}", case.label(), case.text("expect"));
        match (case.text("expect"), delivery) {
            ("verified", Some(id)) if status < 500 => taken.push((label, id)),
            ("rejected", None) if status == 401 => {}
            ("rejected", None) if status == 405 && case.text("method") != "POST" => {}
            _ => wrong.push(label),
        }
    }
    let outcomes = outcomes(&gateway);
    for (label, id) in taken {
        match outcomes.get(&id).map(String::as_str) {
            None | Some("rejected") => wrong.push(label),
            Some(_) => {}
        }
    }
    Some(wrong)
}

/// What is wrong where a blank secret is configured, which `check` must refuse.
fn blank_is_refused(case: &Case) -> Option<String> {
    let mut webhooks = Webhooks::default();
    let base = cases::target(&case.0).base;
    webhooks.add(0, case.provider(), base, &case.secrets());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("webhooks.toml"), webhooks.toml).unwrap();
    let mut command = hookgate(folder.path());
    let output = command.arg("check").envs(webhooks.env).output().unwrap();
    let code = output.status.code();
    (code != Some(3)).then(|| format!("{}: check exits with {code:?}", case.label()))
}

#[test]
fn handshakes_of_the_senders_documents() {
    let all = Case::all("signatures-handshakes", "handshakes");
    assert!(all.len() >= HANDSHAKES_MIN, "{} cases", all.len());
    let mut wrong = Vec::new();
    let mut clocks: BTreeMap<i64, Vec<&Case>> = BTreeMap::new();
    for case in &all {
        clocks.entry(case.now()).or_default().push(case);
    }
    for (now, cases) in clocks {
        let mut webhooks = Webhooks::default();
        for (number, case) in cases.iter().enumerate() {
            handshake_webhook(&mut webhooks, number, case);
        }
        let Some(setup) = webhooks.setup(now) else {
            return;
        };
        let gateway = setup.start();
        for (number, case) in cases.iter().enumerate() {
            let reply = send(&gateway, number, &case.0["request"]);
            let differs = differs(&case.0["expect_response"], &case.0["request"], &reply);
            wrong.extend(differs.map(|what| format!("{}: {what}", case.label())));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

/// The webhook of a handshake's case.
fn handshake_webhook(webhooks: &mut Webhooks, number: usize, case: &Case) {
    let (config, provider) = (&case.0["config"], case.provider());
    let mut lines = if provider == "cloudevents" {
        let mut lines = "cloudevents = true\n".to_owned();
        if let Some(rate) = config["allowed_rate"].as_u64() {
            // A minute there, a second here.
            lines.push_str(&format!("rate = {}\n", rate / 60));
        }
        if !config["allowed_origins"].is_null() {
            lines.push_str(&format!(
                "allowed_origins = {}\n",
                config["allowed_origins"]
            ));
        }
        lines
    } else {
        format!("provider = \"{provider}\"\n")
    };
    let secret = match case.text("secret") {
        "" if provider == "cloudevents" || WITHOUT_SECRET.contains(&provider) => None,
        text if text.is_empty() || text.starts_with("fake: any") => match provider {
            "discord" => Some(DISCORD_KEY),
            _ => Some("fake-secret-0001"),
        },
        text => Some(text),
    };
    if let Some(secret) = secret {
        lines.push_str(&format!("secret = {}\n", webhooks.secret(secret)));
    }
    if let Some(token) = config["verify_token"].as_str() {
        lines.push_str(&format!("verify_token = {}\n", webhooks.secret(token)));
    }
    let (slug, base) = (slug(number), cases::target(&case.0["request"]).base);
    webhooks.toml.push_str(&format!(
        "[[webhook]]\nname = \"w{number}\"\nslug = \"{slug}\"\npublic_url = \"{base}\"\n{lines}\n"
    ));
}

/// In what an answer is not the wanted one.
fn differs(want: &Value, request: &Value, reply: &Reply) -> Option<String> {
    let status = want["status"].as_u64().unwrap();
    let (body, json) = (want["body"].as_str(), &want["json"]);
    let headers: Vec<_> = want["headers"].as_object().into_iter().flatten().collect();
    let any_success = status == 200 && body.is_none() && json.is_null() && headers.is_empty();
    let right = match any_success {
        true => (200..300).contains(&reply.status),
        false => u64::from(reply.status) == status,
    };
    if !right {
        return Some(format!("{} for {status}: {}", reply.status, reply.text()));
    }
    for (name, value) in headers {
        let (name, value) = (name.to_ascii_lowercase(), value.as_str().unwrap());
        let found = reply.header(&name).unwrap_or("");
        let right = match name.as_str() {
            "allow" | "content-type" => found.contains(value),
            _ => found == value,
        };
        if !right {
            return Some(format!("{name}: `{found}` for `{value}`"));
        }
    }
    for name in want["absent_headers"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap().to_ascii_lowercase();
        if reply.header(&name).is_some() {
            return Some(format!("{name} is there"));
        }
    }
    if body.is_some_and(|body| request["method"] != "HEAD" && reply.text() != body) {
        return Some(format!("body {}", reply.text()));
    }
    if !json.is_null() && (reply.body.is_empty() || reply.json() != *json) {
        return Some(format!("body {}", reply.text()));
    }
    None
}
