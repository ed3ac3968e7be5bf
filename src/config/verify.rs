//! Who may call a webhook: the provider's scheme, an own one, or nobody is asked.

use super::document::{Context, nearest};
use super::table::Table;
use super::value::Value;
use super::{scheme_words, secrets};
use crate::codes;
use crate::model::Secret;
use crate::providers::Provider;
use crate::verify::{DatedSecret, SchemeError, Signer, Verifier, VerifySpec};
use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// How senders of a webhook are checked.
pub(super) struct Guard {
    pub(super) verifier: Verifier,
    /// Signs as the sender does.
    pub(super) signer: Signer,
    /// For handshakes that compute with them.
    pub(super) secrets: Vec<Secret>,
}

/// Reads `verify` and `secret`. `provider`: as [`super::webhooks`] loaded it.
pub(super) fn read(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Option<Provider>>,
) -> Option<Guard> {
    let secret = table.get("secret");
    let secrets = secret.as_ref().map(|v| secrets::read_dated(cx, v));
    let verify = table.get("verify");
    let Some(verify) = verify else {
        return by_provider(cx, table, provider, secret.as_ref(), secrets);
    };
    if verify.value.as_str() == Some("none") {
        if let (Some(secret), false) = (&secret, shakes_hands(provider)) {
            no_effect(cx, secret, "`verify = \"none\"` asks for nothing");
        }
        return Some(open(secrets.flatten()));
    }
    if verify.value.is_str() {
        verify.invalid_help(
            cx,
            "as text it can only be \"none\"",
            "write verify = { scheme = \"hmac-sha256\", header = \"X-Signature\", secret = { env = \"NAME\" } }",
        );
        return None;
    }
    let cloudevents = table.get("cloudevents").is_some();
    own(cx, &verify, cloudevents, secret.as_ref(), secrets)
}

/// Whether handshakes may compute with a secret though deliveries are not checked with it.
fn shakes_hands(provider: Option<&Option<Provider>>) -> bool {
    let provider = provider.and_then(Option::as_ref);
    provider.is_some_and(|p| !p.handshakes.is_empty())
}

fn open(secrets: Option<Vec<DatedSecret>>) -> Guard {
    Guard {
        verifier: Verifier::open(),
        signer: Signer::open(),
        secrets: plain(&secrets.unwrap_or_default()),
    }
}

fn plain(secrets: &[DatedSecret]) -> Vec<Secret> {
    secrets.iter().map(|dated| dated.secret.clone()).collect()
}

fn no_effect(cx: &Context, value: &Value<'_, '_>, why: &str) {
    let message = format!("`{}` has no effect: {why}", value.name);
    cx.warning(
        codes::NO_EFFECT,
        value.key_span.clone(),
        message,
        "remove it",
    );
}

/// The provider's scheme, or none at all.
fn by_provider(
    cx: &Context,
    table: &Table<'_, '_, '_>,
    provider: Option<&Option<Provider>>,
    value: Option<&Value<'_, '_>>,
    secrets: Given,
) -> Option<Guard> {
    let known = match provider {
        Some(None) => return None,
        Some(Some(provider)) => Some(provider),
        None => None,
    };
    let Some(spec) = known.and_then(|p| p.verify.as_ref()) else {
        unverified(cx, table, known.map(|p| p.title.as_str()));
        if let (Some(value), false) = (value, shakes_hands(provider)) {
            no_effect(cx, value, "nothing here is checked with it");
        }
        return match secrets {
            Some(None) => None,
            Some(secrets) => Some(open(secrets)),
            None => Some(open(None)),
        };
    };
    let given = match secrets {
        Some(secrets) => secrets?,
        None => Vec::new(),
    };
    let span = value.map_or_else(|| table.span.clone(), |v| v.span.clone());
    // What the sender delivers need not be configured.
    let learns = given.is_empty() && known.is_some_and(Provider::teaches);
    let compiled = if learns {
        Verifier::learning(spec)
    } else {
        Verifier::compile(spec, &given)
    };
    match compiled {
        Ok(verifier) => {
            if verifier.is_open() {
                unverified(cx, table, known.map(|p| p.title.as_str()));
            }
            Some(Guard {
                verifier,
                signer: Signer::new(spec, &given),
                secrets: plain(&given),
            })
        }
        Err(SchemeError::SecretMissing) => {
            let title = known.map_or("the provider", |p| p.title.as_str());
            let variable = known.map_or_else(String::new, |p| secret_variable(&p.name));
            cx.error_help(
                codes::SECRET_MISSING,
                table.get("provider").map_or(span, |v| v.span),
                format!("{title} signs its requests, but there is no `secret` to check them with"),
                format!(
                    "add secret = {{ env = \"{variable}\" }}; or verify = \"none\", and anyone who knows the URL can call it"
                ),
            );
            None
        }
        Err(error) => scheme_error(cx, &error, span),
    }
}

/// A variable's name for a provider's secret.
pub(crate) fn secret_variable(provider: &str) -> String {
    format!(
        "{}_WEBHOOK_SECRET",
        provider.to_ascii_uppercase().replace('-', "_")
    )
}

fn unverified(cx: &Context, table: &Table<'_, '_, '_>, provider: Option<&str>) {
    let message = match provider {
        Some(title) => {
            format!("{title} does not sign: anyone who knows the URL can call this webhook")
        }
        None => "anyone who knows the URL can call this webhook".to_owned(),
    };
    cx.warning(
        codes::UNVERIFIED,
        table.span.clone(),
        message,
        "add `verify` or a provider with a secret; verify = \"none\" says that it is meant",
    );
}

/// Secrets that were written, if they were: `Some(None)` means that they could not be read (reported).
type Given = Option<Option<Vec<DatedSecret>>>;

/// A scheme in the webhook itself.
fn own(
    cx: &Context,
    value: &Value<'_, '_>,
    cloudevents: bool,
    outer: Option<&Value<'_, '_>>,
    outer_secrets: Given,
) -> Option<Guard> {
    let table = value.table(cx)?;
    let inner = match (table.get("secret"), table.get("token")) {
        (Some(_), Some(token)) => {
            token.invalid_help(
                cx,
                "there is a `secret` too",
                "they mean the same: keep one",
            );
            return None;
        }
        (Some(secret), None) => Some(secret),
        (None, token) => token,
    };
    let secrets = match &inner {
        Some(inner) => {
            if let Some(outer) = outer {
                no_effect(cx, outer, "`verify` has its own");
            }
            Some(secrets::read_dated(cx, inner))
        }
        None => outer_secrets,
    };
    let nearest = inner.as_ref().or(outer);
    for key in VerifySpec::LISTS {
        if let Some(list) = table.get(key) {
            return combined(cx, value, &list, cloudevents, nearest, &secrets);
        }
    }
    if let Some(scheme) = table.get("scheme") {
        scheme.choice(cx, VerifySpec::SCHEMES)?;
    }
    let spec = spec(cx, value, cloudevents);
    let given = match secrets {
        Some(secrets) => secrets?,
        None => Vec::new(),
    };
    let span = nearest.map_or_else(|| value.span.clone(), |v| v.span.clone());
    let spec = spec?;
    if let (Some(inner), false) = (&inner, spec.needs_secret()) {
        no_effect(cx, inner, "this scheme asks for none");
    }
    match Verifier::compile(&spec, &given) {
        Ok(verifier) => Some(Guard {
            verifier,
            signer: Signer::new(&spec, &given),
            secrets: plain(&given),
        }),
        Err(SchemeError::SecretMissing) => {
            cx.error_help(
                codes::SECRET_MISSING,
                value.span.clone(),
                "the scheme needs a secret, and there is none",
                "add secret = { env = \"NAME\" } to `verify`",
            );
            None
        }
        Err(error) => {
            let span = secret_span(nearest, &error).unwrap_or(span);
            scheme_error(cx, &error, span)
        }
    }
}

/// Where the secret stands that an error is about, in a list of them.
fn secret_span(
    secrets: Option<&Value<'_, '_>>,
    error: &SchemeError,
) -> Option<std::ops::Range<usize>> {
    match error {
        SchemeError::SecretForm { index, .. } => {
            let one = secrets?
                .one_or_many()
                .into_iter()
                .nth(index.checked_sub(1)?);
            one.map(|value| value.span)
        }
        SchemeError::SecretMissing | SchemeError::Spec(_) => None,
    }
}

/// A token in the path can only arrive where subpaths are taken.
pub(super) fn check_path(cx: &Context, table: &Table<'_, '_, '_>, guard: &Guard, subpaths: bool) {
    if guard.verifier.masking().path && !subpaths {
        cx.error_help(
            codes::INVALID_VALUE,
            table.get("verify").map_or(table.span.clone(), |v| v.span),
            "`verify`: the token is looked for behind the slug, where this webhook takes no requests",
            "add subpaths = true: the sender then calls /hooks/<slug>/<token>",
        );
    }
}

/// A list of schemes, each with its own secrets or those of the table around it.
fn combined(
    cx: &Context,
    value: &Value<'_, '_>,
    list: &Value<'_, '_>,
    cloudevents: bool,
    outer: Option<&Value<'_, '_>>,
    outer_secrets: &Given,
) -> Option<Guard> {
    let items = list.items(cx)?;
    let guard = |item: &Value<'_, '_>| match item.value.as_str() {
        Some("none") => Some(open(None)),
        _ => own(cx, item, cloudevents, None, outer_secrets.clone()),
    };
    let guards: Vec<Option<Guard>> = items.iter().map(guard).collect();
    let mut verifiers = Vec::new();
    let mut signers = Vec::new();
    let mut secrets = Vec::new();
    for guard in guards {
        let guard = guard?;
        verifiers.push(guard.verifier);
        signers.push(guard.signer);
        secrets.extend(guard.secrets);
    }
    // Each is right by itself; the rules of the whole (how many, how deep, no other key) are the spec's.
    spec(cx, value, cloudevents)?;
    let used = items.iter().any(|item| {
        let table = item.value.as_table();
        table.is_some_and(|t| !t.contains_key("secret") && !t.contains_key("token"))
    });
    if let (Some(outer), false) = (outer, used) {
        no_effect(cx, outer, "every scheme of the list has its own");
    }
    let key = list.name.rsplit('.').next().unwrap_or_default();
    let both = Verifier::list(key, verifiers).and_then(|v| Ok((v, Signer::list(key, signers)?)));
    match both {
        Ok((verifier, signer)) => {
            if verifier.is_open() {
                cx.warning(
                    codes::UNVERIFIED,
                    list.span.clone(),
                    "anyone who knows the URL can call this webhook: one of these asks for nothing",
                    "leave \"none\" out of the list; verify = \"none\" says that it is meant",
                );
            }
            Some(Guard {
                verifier,
                signer,
                secrets,
            })
        }
        Err(error) => scheme_error(cx, &error, list.span.clone()),
    }
}

fn scheme_error(cx: &Context, error: &SchemeError, span: std::ops::Range<usize>) -> Option<Guard> {
    match error {
        // A placeholder has no form; the rest of the file is still worth checking.
        SchemeError::SecretForm { .. } if cx.hides_secrets() => return Some(open(None)),
        SchemeError::SecretForm { reason, .. } => match scheme_words::of_secret(reason) {
            Some(help) => cx.error_help(codes::SECRET_FORM, span, error.to_string(), help),
            None => cx.error(codes::SECRET_FORM, span, error.to_string()),
        },
        SchemeError::SecretMissing | SchemeError::Spec(_) => {
            cx.error(codes::INVALID_VALUE, span, format!("`verify`: {error}"));
        }
    }
    None
}

/// A list of schemes without the secrets of its items; anything else as it is.
fn without_secrets<'t>(value: &toml::Spanned<DeValue<'t>>) -> toml::Spanned<DeValue<'t>> {
    let mut copy = value.clone();
    match copy.get_mut() {
        DeValue::Array(items) => {
            for item in items.iter_mut() {
                *item = without_secrets(item);
            }
        }
        DeValue::Table(table) => {
            table.remove("secret");
            table.remove("token");
            for key in VerifySpec::LISTS {
                if let Some(list) = table.get_mut(*key) {
                    *list = without_secrets(list);
                }
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
    copy
}

/// The scheme's data: the table without its secrets.
fn spec(cx: &Context, value: &Value<'_, '_>, cloudevents: bool) -> Option<VerifySpec> {
    let known = VerifySpec::KEYS;
    let table = value.value.as_table()?;
    let mut good = true;
    let mut data = DeTable::new();
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        if matches!(name, "secret" | "token") {
            continue;
        }
        if !known.contains(&name) {
            good = false;
            let message = format!("unknown key `{name}` in `verify`");
            let help = match nearest(name, known.iter().copied().chain(["secret", "token"])) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: secret, {}", known.join(", ")),
            };
            cx.error_help(codes::UNKNOWN_KEY, key.span(), message, help);
        }
        data.insert(key.clone(), without_secrets(item));
    }
    if !good {
        return None;
    }
    // Receivers of CloudEvents take the token as `?access_token=` too (WebHook specification, section 3).
    let bearer = data.get("scheme").and_then(|v| v.get_ref().as_str()) == Some("bearer");
    if cloudevents && bearer && !data.contains_key("query") {
        let at = value.span.clone();
        data.insert(
            toml::Spanned::new(at.clone(), "query".into()),
            toml::Spanned::new(at, DeValue::Boolean(true)),
        );
    }
    let spanned = toml::Spanned::new(value.span.clone(), DeValue::Table(data));
    match VerifySpec::deserialize(ValueDeserializer::from(spanned)) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let mistake = scheme_words::of_data(error.message(), error.span(), value);
            match mistake.help {
                Some(help) => {
                    cx.error_help(codes::INVALID_VALUE, mistake.span, mistake.message, help);
                }
                None => cx.error(codes::INVALID_VALUE, mistake.span, mistake.message),
            }
            None
        }
    }
}
