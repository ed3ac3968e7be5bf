//! `rotate WEBHOOK`: a new slug or secret; the old one stays good until a date that the owner sees.

use super::toml_file::{self, Refused, TomlFile};
use super::{Exit, Global, add, output};
use crate::config::{self, parse_duration};
use crate::providers::{self, Setup};
use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use toml_edit::{Array, Datetime, InlineTable, Item, Table, TableLike, Value};

/// How long the old one stays good where nobody says.
const GRACE_DEFAULT: Duration = Duration::from_secs(72 * 3_600);

/// What `rotate` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Webhook of the configuration
    webhook: String,
    /// A new slug: the URL changes
    #[arg(long)]
    slug: bool,
    /// A new secret: a reference to it is put before the old one
    #[arg(long)]
    secret: bool,
    /// How long the old one stays good [default: 72h, or as long as the sender repeats deliveries]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
    /// Show what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Exit {
    rotate(global, arguments).unwrap_or_else(|refused| refused.tell(global))
}

fn rotate(global: &Global, arguments: &Arguments) -> Result<Exit, Refused> {
    if !arguments.slug && !arguments.secret {
        return Err(
            Refused::new(Exit::Usage, "what shall be new? --slug, --secret or both")
                .help("the slug is the end of its URL; the secret is what the sender signs with"),
        );
    }
    let path = global.config();
    let mut file = TomlFile::open(&path)?;
    let names = file.names();
    let name = &arguments.webhook;
    let Some(table) = file.webhook(name) else {
        let refused = Refused::new(Exit::Missing, format!("there is no webhook `{name}`"));
        let near = config::nearest(name, names.iter().map(String::as_str));
        return Err(match near {
            Some(near) => refused.help(format!("did you mean `{near}`?")),
            None => refused,
        });
    };
    let provider = table.get("provider").and_then(Item::as_str);
    let provider = provider.and_then(|p| providers::load(p, Some(&add::folder(&path))).ok());
    let retries = provider.as_ref().and_then(|provider| provider.retries);
    let grace = grace(global, arguments.grace, retries);
    let until = until(grace)?;
    if arguments.slug {
        new_slug(table, &until)?;
    }
    let reference = if arguments.secret {
        Some(new_secret(table, &until)?)
    } else {
        None
    };
    let config = file.validated(global)?;
    if arguments.dry_run {
        if global.json() {
            output::json_line(&json!({"written": false, "diff": file.diff()}));
        } else {
            output::out(&file.diff());
        }
        return Ok(Exit::Done);
    }
    file.write()?;
    let url = toml_file::url_of(&config, name).map(|(url, _)| url);
    tell(
        global,
        &Rotated {
            name,
            url: url.filter(|_| arguments.slug),
            reference,
            until,
            setup: provider.map_or_else(Vec::new, |provider| provider.setup),
        },
    );
    Ok(Exit::Done)
}

/// What is new, and until when the old counts.
struct Rotated<'a> {
    name: &'a str,
    url: Option<String>,
    reference: Option<String>,
    until: Datetime,
    setup: Vec<Setup>,
}

fn tell(global: &Global, rotated: &Rotated<'_>) {
    let Rotated {
        name,
        url,
        reference,
        until,
        setup,
    } = rotated;
    if global.json() {
        output::json_line(&json!({
            "written": true, "webhook": name, "url": url, "secret": reference, "until": until.to_string(),
            "setup": setup,
        }));
        return;
    }
    let mut lines = vec![format!(
        "rotated {}: the old one is taken until {until}",
        output::bold(name)
    )];
    lines.extend(url.as_ref().map(|url| format!("  url        {url}")));
    if let Some(reference) = reference {
        lines.push(format!("  secret     {reference}: put the new one there"));
        if reference.starts_with("variable") {
            lines.push(
                "             and start hookgate again with both: a running one sees no new variable"
                    .to_owned(),
            );
        }
    }
    let pasted = reference.as_deref().map(|reference| {
        let variable = reference.strip_prefix("variable ");
        variable.unwrap_or(reference)
    });
    lines.extend(add::setup(setup, url.as_deref(), pasted));
    lines.extend([
        String::new(),
        "once nothing comes by the old one any more, remove it: `hookgate check` reminds you when its time is over"
            .to_owned(),
    ]);
    output::out(&format!("{}\n", lines.join("\n")));
}

/// The time that was given, or one that outlasts the sender's repetitions.
fn grace(global: &Global, given: Option<Duration>, retries: Option<Duration>) -> Duration {
    let least = retries.unwrap_or_default();
    match given {
        None => GRACE_DEFAULT.max(least),
        Some(given) => {
            if given < least && !global.quiet() {
                output::err(&format!(
                    "{} the sender repeats a failed delivery for {}, some with the old secret: {} may be too short\n",
                    output::yellow("warning:"),
                    toml_file::duration(least),
                    toml_file::duration(given)
                ));
            }
            given
        }
    }
}

fn until(grace: Duration) -> Result<Datetime, Refused> {
    let wrong = || Refused::new(Exit::Usage, "--grace is longer than time goes");
    let grace = SignedDuration::try_from(grace).map_err(|_| wrong())?;
    let time = Timestamp::now().checked_add(grace).map_err(|_| wrong())?;
    let time = time.round(TimestampRound::new().smallest(Unit::Second));
    let text = time.map_err(|_| wrong())?.to_string();
    text.parse().map_err(|_| wrong())
}

/// Puts a value in the place of another; what stands around it stays.
fn replace(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn new_slug(table: &mut Table, until: &Datetime) -> Result<(), Refused> {
    let old = table.get("slug").and_then(Item::as_str).map(str::to_owned);
    let old = old.ok_or_else(|| Refused::new(Exit::Invalid, "the webhook has no slug"))?;
    let new = toml_file::new_slug()?;
    replace(table, "slug", Value::from(new.expose()));
    let mut entry = InlineTable::new();
    entry.insert("slug", Value::from(old));
    date(&mut entry, until);
    if let Some(list) = table.get_mut("old_slugs").and_then(Item::as_array_mut) {
        list.push(entry);
        return Ok(());
    }
    let mut all = match table.get("old_slugs") {
        None => Vec::new(),
        Some(item) => written_as_tables(item)
            .ok_or_else(|| Refused::new(Exit::Invalid, "`old_slugs` is no list of tables"))?,
    };
    all.push(entry);
    let list = Array::from_iter(all.into_iter().map(Value::InlineTable));
    table.insert("old_slugs", Item::Value(Value::Array(list)));
    Ok(())
}

/// The entries of a list that is written as `[[webhook.key]]`; none where it is not.
fn written_as_tables(item: &Item) -> Option<Vec<InlineTable>> {
    let tables = item.as_array_of_tables()?.iter();
    Some(tables.map(|t| t.clone().into_inline_table()).collect())
}

/// Puts a reference to a new secret before the old ones; gives it in words.
fn new_secret(table: &mut Table, until: &Datetime) -> Result<String, Refused> {
    let (table, key) = place_of_secret(table)?;
    let old: Vec<InlineTable> = match table.get(key) {
        Some(Item::Value(Value::Array(list))) => {
            let items = list.iter();
            items.filter_map(|v| v.as_inline_table().cloned()).collect()
        }
        Some(Item::Value(Value::InlineTable(one))) => vec![one.clone()],
        Some(Item::Table(one)) => vec![one.clone().into_inline_table()],
        Some(item) => written_as_tables(item).unwrap_or_default(),
        None => Vec::new(),
    };
    let first = old.first().ok_or_else(|| {
        Refused::new(
            Exit::Invalid,
            "its secret is not { env = … } nor { file = … }",
        )
    })?;
    let (new, words) = successor(first, &old)?;
    if let Some(list) = table.get_mut(key).and_then(Item::as_array_mut) {
        put_first(list, new, until);
        return Ok(words);
    }
    let dated_old = old.into_iter().map(|mut secret| {
        secret.decor_mut().clear();
        date(&mut secret, until);
        secret
    });
    let list = std::iter::once(new)
        .chain(dated_old)
        .map(Value::InlineTable);
    replace(table, key, Value::Array(Array::from_iter(list)));
    Ok(words)
}

/// Puts a secret before those of a list, whose comments stay.
fn put_first(list: &mut Array, new: InlineTable, until: &Datetime) {
    for value in list.iter_mut() {
        if let Some(secret) = value.as_inline_table_mut() {
            date(secret, until);
        }
    }
    let mut new = Value::InlineTable(new);
    if let Some(first) = list.get_mut(0) {
        let alone = first.decor().prefix().and_then(|p| p.as_str()) == Some("");
        new.decor_mut().clone_from(first.decor());
        new.decor_mut().set_suffix("");
        if alone {
            first.decor_mut().set_prefix(" ");
        }
    }
    list.insert_formatted(0, new);
}

fn date(secret: &mut InlineTable, until: &Datetime) {
    if !secret.contains_key("until") {
        secret.insert("until", Value::from(*until));
        secret.fmt();
    }
}

/// Where the webhook's secret stands.
fn place_of_secret(table: &mut Table) -> Result<(&mut dyn TableLike, &'static str), Refused> {
    let by_hand = |what: &str| {
        Refused::new(Exit::Invalid, what.to_owned())
            .help("write a list: secret = [{ env = \"NEW\" }, { env = \"OLD\", until = 2026-12-01T00:00:00Z }]")
    };
    let verify = table.get("verify").and_then(Item::as_table_like);
    let nested = |key| verify.is_some_and(|verify| verify.contains_key(key));
    let lists = ["any", "all", "first"].into_iter().any(nested);
    let key = ["secret", "token"].into_iter().find(|key| nested(key));
    match (key, lists) {
        (Some(key), false) => {
            let verify = table.get_mut("verify").and_then(Item::as_table_like_mut);
            let verify = verify.ok_or_else(|| by_hand("`verify` cannot be changed"))?;
            Ok((verify, key))
        }
        _ if table.contains_key("secret") => Ok((table, "secret")),
        (_, true) => Err(by_hand(
            "its secrets stand in a list of schemes, and which is meant is not clear",
        )),
        (None, false) => Err(
            Refused::new(Exit::Invalid, "the webhook has no secret in the file")
                .help("one that accepts anyone has nothing to rotate but its slug: --slug; one that the sender delivers is learned anew: `hookgate webhooks forget NAME`, then `learn NAME`"),
        ),
    }
}

/// The reference after this one: `NAME` → `NAME_2` → `NAME_3`, none that is there already.
fn successor(first: &InlineTable, all: &[InlineTable]) -> Result<(InlineTable, String), Refused> {
    let text = |table: &InlineTable, key: &str| Some(table.get(key)?.as_str()?.to_owned());
    let (key, what, mark) = if first.contains_key("env") {
        ("env", "variable", '_')
    } else {
        ("file", "file", '-')
    };
    let old = text(first, key).ok_or_else(|| {
        Refused::new(
            Exit::Invalid,
            "its secret is not { env = … } nor { file = … }",
        )
    })?;
    // A number is put before a file's extension.
    let (stem, end) = match Path::new(&old).extension().and_then(|e| e.to_str()) {
        Some(extension) if key == "file" => {
            let at = old.len() - extension.len() - 1;
            old.split_at_checked(at).unwrap_or((&old, ""))
        }
        _ => (old.as_str(), ""),
    };
    let (base, number) = match stem.rsplit_once(mark) {
        Some((base, digits)) if !base.is_empty() => match digits.parse::<u32>() {
            Ok(number) => (base, number),
            Err(_) => (stem, 1),
        },
        _ => (stem, 1),
    };
    let taken: Vec<String> = all.iter().filter_map(|table| text(table, key)).collect();
    let names = (number.saturating_add(1)..).map(|n| format!("{base}{mark}{n}{end}"));
    let name = names.take(1_000).find(|name| !taken.contains(name));
    let name = name.ok_or_else(|| Refused::new(Exit::Invalid, "it has too many secrets"))?;
    let mut table = InlineTable::new();
    table.insert(key, Value::from(name.as_str()));
    Ok((table, format!("{what} {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml_edit::DocumentMut;

    fn rotated(text: &str) -> Result<String, String> {
        let mut document: DocumentMut = text.parse().unwrap();
        let until: Datetime = "2026-12-01T00:00:00Z".parse().unwrap();
        let table = document.as_table_mut();
        new_secret(table, &until).map_err(|refused| refused.message)?;
        Ok(document.to_string())
    }

    #[test]
    fn a_new_secret_stands_before_the_old_ones() {
        for (before, after) in [
            (
                "secret = { env = \"A\" } # kept\nslug = \"s\"\n",
                "secret = [{ env = \"A_2\" }, { env = \"A\", until = 2026-12-01T00:00:00Z }] # kept\nslug = \"s\"\n",
            ),
            (
                "secret = [{ env = \"A_2\" }, { env = \"A\", until = 2026-01-01T00:00:00Z }]\n",
                "secret = [{ env = \"A_3\" }, { env = \"A_2\", until = 2026-12-01T00:00:00Z }, { env = \"A\", until = 2026-01-01T00:00:00Z }]\n",
            ),
            (
                "verify = { scheme = \"bearer\", token = { file = \"keys/a.txt\" } }\n",
                "verify = { scheme = \"bearer\", token = [{ file = \"keys/a-2.txt\" }, { file = \"keys/a.txt\", until = 2026-12-01T00:00:00Z }] }\n",
            ),
            (
                "[[secret]]\nenv = \"A\"\n\n[[secret]]\nenv = \"B\"\nuntil = 2026-01-01T00:00:00Z\n",
                "secret = [{ env = \"A_2\" }, { env = \"A\", until = 2026-12-01T00:00:00Z }, { env = \"B\", until = 2026-01-01T00:00:00Z }]\n",
            ),
            (
                "secret = [\n  { env = \"A\" }, # kept\n]\n",
                "secret = [\n  { env = \"A_2\" },\n  { env = \"A\", until = 2026-12-01T00:00:00Z }, # kept\n]\n",
            ),
            (
                "[secret]\nenv = \"A\"\n",
                "secret = [{ env = \"A_2\" }, { env = \"A\", until = 2026-12-01T00:00:00Z }]\n",
            ),
        ] {
            assert_eq!(rotated(before).as_deref(), Ok(after), "{before}");
        }
        for before in [
            "slug = \"s\"\n",
            "secret = \"x\"\n",
            "verify = { any = [{ scheme = \"bearer\", token = { env = \"A\" } }] }\n",
        ] {
            assert!(rotated(before).is_err(), "{before}");
        }
    }

    #[test]
    fn old_slugs_stay_however_they_are_written() {
        let until: Datetime = "2026-12-01T00:00:00Z".parse().unwrap();
        for before in [
            "slug = \"b\"\nold_slugs = [{ slug = \"a\", until = 2026-01-01T00:00:00Z }]\n",
            "slug = \"b\"\n[[old_slugs]]\nslug = \"a\"\nuntil = 2026-01-01T00:00:00Z\n",
        ] {
            let mut document: DocumentMut = before.parse().unwrap();
            new_slug(document.as_table_mut(), &until).unwrap();
            let after = document.to_string();
            assert_eq!(
                after.split_once("\nold_slugs").unwrap().1,
                " = [{ slug = \"a\", until = 2026-01-01T00:00:00Z }, { slug = \"b\", until = 2026-12-01T00:00:00Z }]\n"
            );
        }
        let mut document: DocumentMut = "slug = \"b\"\nold_slugs = 1\n".parse().unwrap();
        assert!(new_slug(document.as_table_mut(), &until).is_err());
    }
}
