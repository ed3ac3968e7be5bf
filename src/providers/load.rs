//! Reads a provider's files: those beside the configuration first, else those compiled in.

use super::{Evidence, Handshake, Provider, ProviderAnswer, Sample, SecretInfo, Setup};
use crate::codes;
use crate::model::{Place, Problem};
use crate::verify::{ValueSpec, VerifySpec};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/providers");

/// Folder of overriding files, beside the configuration.
const FOLDER: &str = "templates/providers";
/// Bytes of one file of a provider.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// `provider.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    docs: Vec<String>,
    #[serde(default)]
    checked: Option<String>,
    #[serde(default)]
    evidence: Option<Evidence>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    methods: Methods,
    #[serde(default)]
    delivery_key: Vec<ValueSpec>,
    #[serde(default)]
    event_type: Vec<ValueSpec>,
    retries: Option<Retries>,
    #[serde(default)]
    answer: AnswerFile,
    verify: Option<VerifySpec>,
    secret: Option<SecretInfo>,
    #[serde(default)]
    handshake: Vec<Handshake>,
    #[serde(default)]
    setup: Vec<Setup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AnswerFile {
    status: AnswerStatus,
    content_type: Option<String>,
    body: String,
    bare_refusals: bool,
}

impl Default for AnswerFile {
    fn default() -> Self {
        Self {
            status: AnswerStatus(200),
            content_type: None,
            body: String::new(),
            bare_refusals: false,
        }
    }
}

/// A time such as `"72h"`: how long a sender repeats what failed.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Retries(Duration);

impl TryFrom<String> for Retries {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let at = text.char_indices().last().map_or(0, |(at, _)| at);
        let (number, unit) = text.split_at(at);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => 0,
        };
        let number: u32 = number.parse().unwrap_or(0);
        match u64::from(number) * seconds {
            0 => Err(format!(
                "{text:?} is no time such as \"30m\", \"72h\" or \"7d\""
            )),
            seconds => Ok(Self(Duration::from_secs(seconds))),
        }
    }
}

/// A status that says yes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "u16")]
struct AnswerStatus(u16);

impl TryFrom<u16> for AnswerStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        if (200..300).contains(&status) {
            Ok(Self(status))
        } else {
            Err(format!(
                "{status} is no status of success: expected 200 to 299"
            ))
        }
    }
}

/// Methods, each known and upper case.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Methods(Vec<String>);

impl Default for Methods {
    fn default() -> Self {
        Self(vec!["POST".to_owned()])
    }
}

impl TryFrom<Vec<String>> for Methods {
    type Error = String;

    fn try_from(methods: Vec<String>) -> Result<Self, String> {
        const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        if methods.is_empty() {
            return Err("`methods` is empty".to_owned());
        }
        match methods.iter().find(|m| !KNOWN.contains(&m.as_str())) {
            None => Ok(Self(methods)),
            Some(other) => Err(format!(
                "`{other}` is no method of deliveries: expected {}",
                KNOWN.join(", ")
            )),
        }
    }
}

/// A file's text, its name in errors, and its path where it is no embedded one.
struct Text {
    text: String,
    file: String,
    path: Option<PathBuf>,
}

/// Names in the catalogue, those beside the configuration included, sorted.
#[must_use]
pub fn names(beside: Option<&Path>) -> Vec<String> {
    let mut names: BTreeSet<String> = EMBEDDED
        .dirs()
        .filter_map(|dir| dir.path().file_name()?.to_str().map(str::to_owned))
        .collect();
    let folder = beside.map(|folder| folder.join(FOLDER));
    for entry in folder
        .and_then(|f| f.read_dir().ok())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_str().map(str::to_owned);
        let own = entry.path().join("provider.toml").is_file();
        names.extend(name.filter(|name| own && is_name(name)));
    }
    names.into_iter().collect()
}

/// Loads a provider; `beside` is the folder of `webhooks.toml`, whose `templates/providers/<name>/` wins file by file.
///
/// # Errors
/// `HG0211` with the nearest names when there is none, `HG0219` with file, line and column when its data are wrong.
pub fn load(name: &str, beside: Option<&Path>) -> Result<Provider, Vec<Problem>> {
    let one = |problem| vec![problem];
    let settings = if is_name(name) {
        read(name, "provider.toml", beside).map_err(one)?
    } else {
        None
    };
    let Some(settings) = settings else {
        return Err(vec![unknown(name, beside)]);
    };
    let file: ProviderFile = toml::from_str(&settings.text).map_err(|error| {
        let problem = Problem::new(
            codes::PROVIDER_DATA,
            format!("provider `{name}`: {}", error.message().trim_end()),
        );
        vec![match error.span() {
            Some(span) => problem.at(Place::of_span(&settings.file, &settings.text, span)),
            None => problem,
        }]
    })?;
    let signs = file.verify.as_ref().is_some_and(VerifySpec::needs_secret);
    if !signs && file.handshake.iter().any(Handshake::is_teaching) {
        let text = format!(
            "provider `{name}`: a handshake `teaches` a secret, but nothing is verified with it: add [verify]"
        );
        return Err(vec![Problem::new(codes::PROVIDER_DATA, text)]);
    }
    let template = read(name, "event.json.j2", beside).map_err(one)?;
    let files = [
        settings.path,
        template.as_ref().and_then(|t| t.path.clone()),
    ];
    Ok(Provider {
        name: name.to_owned(),
        title: file.title,
        description: file.description,
        docs: file.docs,
        checked: file.checked,
        evidence: file.evidence,
        source: file.source,
        verify: file.verify,
        handshakes: file.handshake,
        methods: file.methods.0,
        delivery_key: file.delivery_key,
        event_type: file.event_type,
        retries: file.retries.map(|time| time.0),
        answer: ProviderAnswer {
            status: file.answer.status.0,
            content_type: file.answer.content_type,
            body: file.answer.body,
            bare_refusals: file.answer.bare_refusals,
        },
        template: template.map(|t| (t.text, t.file)),
        secret: file.secret,
        setup: file.setup,
        files: files.into_iter().flatten().collect(),
    })
}

/// Sample requests of a provider with the events they become, sorted by name.
///
/// # Errors
/// A file that cannot be read.
pub fn samples(name: &str, beside: Option<&Path>) -> Result<Vec<Sample>, Problem> {
    if !is_name(name) {
        return Err(unknown(name, beside));
    }
    let relative = format!("{name}/samples");
    let mut stems: BTreeSet<String> = BTreeSet::new();
    let mut add = |file: Option<&str>| {
        stems.extend(
            file.and_then(|f| f.strip_suffix(".http"))
                .map(str::to_owned),
        );
    };
    for file in EMBEDDED
        .get_dir(&relative)
        .into_iter()
        .flat_map(|dir| dir.files())
    {
        add(file.path().file_name().and_then(|n| n.to_str()));
    }
    let own = beside.map(|folder| folder.join(FOLDER).join(&relative));
    for entry in own
        .and_then(|f| f.read_dir().ok())
        .into_iter()
        .flatten()
        .flatten()
    {
        add(entry.file_name().to_str());
    }
    let mut samples = Vec::new();
    for stem in stems {
        let request = bytes(name, &format!("samples/{stem}.http"), beside)?;
        let events = read(name, &format!("samples/{stem}.events.json"), beside)?;
        samples.extend(request.map(|(request, _, _)| Sample {
            name: stem,
            request,
            events: events.map(|e| e.text),
        }));
    }
    Ok(samples)
}

/// Names are folder names, so nothing else may be in them.
fn is_name(name: &str) -> bool {
    let chars = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(chars)
}

fn unknown(name: &str, beside: Option<&Path>) -> Problem {
    let known = names(beside);
    let lower = name.to_lowercase();
    let mut near: Vec<(f64, &String)> = known
        .iter()
        .map(|n| (strsim::jaro_winkler(n, &lower), n))
        .filter(|(likeness, n)| *likeness > 0.8 || (lower.len() > 2 && n.contains(&lower)))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.iter().take(3).map(|(_, n)| format!("`{n}`")).collect();
    let help = if near.is_empty() {
        "`hookgate providers` lists the catalogue; a sender that is not in it can be described with `verify`."
            .to_owned()
    } else {
        format!("Did you mean {}?", near.join(" or "))
    };
    Problem::new(
        codes::UNKNOWN_PROVIDER,
        format!("there is no provider `{name}`"),
    )
    .help(help)
}

fn read(name: &str, file: &str, beside: Option<&Path>) -> Result<Option<Text>, Problem> {
    let Some((bytes, file, path)) = bytes(name, file, beside)? else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Text { text, file, path })),
        Err(_) => Err(Problem::new(
            codes::PROVIDER_DATA,
            format!("{file} is not UTF-8"),
        )),
    }
}

type Bytes = (Vec<u8>, String, Option<PathBuf>);

fn bytes(name: &str, file: &str, beside: Option<&Path>) -> Result<Option<Bytes>, Problem> {
    let shown = format!("{FOLDER}/{name}/{file}");
    if let Some(path) = beside.map(|folder| folder.join(&shown)) {
        match read_file(&path) {
            Ok(bytes) => return Ok(Some((bytes, shown, Some(path)))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let text = format!("{shown} cannot be read: {error}");
                return Err(Problem::new(codes::FILE_UNREADABLE, text));
            }
        }
    }
    let embedded = EMBEDDED.get_file(format!("{name}/{file}"));
    Ok(embedded.map(|found| (found.contents().to_vec(), format!("built-in {shown}"), None)))
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes)
}
