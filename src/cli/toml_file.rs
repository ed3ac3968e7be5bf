//! `webhooks.toml` as a text that commands change: comments and the order of keys stay, what would not load is
//! not written, and what is written appears whole or not at all.

use super::{Exit, Global, output};
use crate::config::findings::render_problem;
use crate::config::{self, Config, Overrides, Severity};
use crate::model::Slug;
use rand::TryRng as _;
use similar::TextDiff;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike};

/// Bytes of a file that is changed.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Characters of a slug that is made: 131 random bits.
const SLUG_CHARS: usize = 22;
/// What a slug is made of.
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a file is not changed.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) exit: Exit,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Refused {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Tells it; gives the exit code.
    pub(super) fn tell(&self, global: &Global) -> Exit {
        // What the file itself says has been told already.
        if !self.message.is_empty() {
            super::fail(global, &self.message, self.help.as_deref());
        }
        self.exit
    }
}

/// A file that is about to be changed.
pub(super) struct TomlFile {
    path: PathBuf,
    /// None: there is no such file yet.
    before: Option<String>,
    pub(super) document: DocumentMut,
}

impl TomlFile {
    /// Reads a file; a missing one is an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let before = if path.exists() {
            let text = config::read_text(path, FILE_BYTES_MAX).map_err(|why| {
                let message = format!("{} cannot be read: {why}", path.display());
                Refused::new(Exit::Invalid, message)
            })?;
            Some(text)
        } else {
            None
        };
        let text = before.as_deref().unwrap_or("");
        let document = text.parse().map_err(|_| {
            // Its own words may show a secret's line.
            let message = format!("{} is not valid TOML", path.display());
            Refused::new(Exit::Invalid, message).help("`hookgate check` shows where")
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            before,
            document,
        })
    }

    pub(super) fn exists(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the webhooks, as far as they have one.
    pub(super) fn names(&self) -> Vec<String> {
        let tables = self.document.get("webhook");
        let tables = tables.and_then(Item::as_array_of_tables);
        let names = tables.into_iter().flat_map(ArrayOfTables::iter);
        names
            .filter_map(|table| Some(table.get("name")?.as_str()?.to_owned()))
            .collect()
    }

    /// What the file would be.
    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        self.document.to_string()
    }

    /// A webhook's table.
    pub(super) fn webhook(&mut self, name: &str) -> Option<&mut Table> {
        let tables = self.document.get_mut("webhook")?;
        tables
            .as_array_of_tables_mut()?
            .iter_mut()
            .find(|table| table.get("name").and_then(Item::as_str) == Some(name))
    }

    /// Adds a webhook behind the last one.
    pub(super) fn push_webhook(&mut self, mut table: Table) -> Result<(), Refused> {
        if self
            .before
            .as_ref()
            .is_some_and(|text| !text.trim().is_empty())
        {
            table.decor_mut().set_prefix("\n");
        }
        let entry = self.document.entry("webhook");
        let item = entry.or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        match item.as_array_of_tables_mut() {
            Some(tables) => {
                tables.push(table);
                Ok(())
            }
            None => Err(Refused::new(
                Exit::Invalid,
                "`webhook` is written as one value in this file",
            )
            .help("write every webhook under a `[[webhook]]` of its own")),
        }
    }

    /// What the file would be, compiled. Secrets are not read: they may not be there yet.
    pub(super) fn validated(&self, global: &Global) -> Result<Config, Refused> {
        let overrides = Overrides {
            no_secrets: true,
            ..Overrides::from_env()
        };
        let loaded = config::load_text(&self.path, self.document.to_string(), &overrides);
        let Some(config) = loaded.config else {
            let errors = loaded.findings.iter();
            for finding in errors.filter(|f| f.severity == Severity::Error) {
                if global.json() {
                    output::json_error(finding);
                } else {
                    let text = render_problem(finding.severity, &finding.problem);
                    output::err(&format!("{text}\n"));
                }
            }
            let as_is = self.before.clone().unwrap_or_default();
            let broken = config::load_text(&self.path, as_is, &overrides).has_errors();
            let what = if broken {
                "does not load as it is"
            } else {
                "would not load"
            };
            let message = format!("nothing was written: {} {what}", self.path.display());
            return Err(Refused::new(Exit::Invalid, message));
        };
        Ok(config)
    }

    /// What changes, as a diff.
    pub(super) fn diff(&self) -> String {
        let before = self.before.as_deref().unwrap_or("");
        let after = self.document.to_string();
        let name = self.path.display().to_string();
        let diff = TextDiff::from_lines(before, &after);
        diff.unified_diff()
            .context_radius(3)
            .header(&name, &name)
            .to_string()
    }

    /// Replaces the file by a new one with the same rights.
    pub(super) fn write(&self) -> Result<(), Refused> {
        self.replace().map_err(|error| {
            let message = format!("{} cannot be written: {error}", self.path.display());
            Refused::new(Exit::No, message)
        })
    }

    fn replace(&self) -> std::io::Result<()> {
        // A link stays a link: what it leads to is replaced.
        let path = if self.exists() {
            std::fs::canonicalize(&self.path)?
        } else {
            self.path.clone()
        };
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let new = folder.join(format!(".webhooks-{}.tmp", uuid::Uuid::now_v7().simple()));
        let written = self.write_new(&new, &path).and_then(|()| {
            self.unchanged(&path)?;
            std::fs::rename(&new, &path)?;
            // So that the new name survives power loss as well.
            std::fs::File::open(folder)?.sync_all()
        });
        if written.is_err() {
            // The old file is as it was; the half of a new one helps nobody.
            std::fs::remove_file(&new).ok();
        }
        written
    }

    /// What somebody else wrote since the file was read is not written over.
    fn unchanged(&self, path: &Path) -> std::io::Result<()> {
        let now = match config::read_text(path, FILE_BYTES_MAX) {
            Ok(text) => Some(text),
            Err(_) if !path.exists() => None,
            Err(why) => return Err(std::io::Error::other(why)),
        };
        if now == self.before {
            return Ok(());
        }
        let changed = "it has been changed meanwhile; try again";
        Err(std::io::Error::other(changed))
    }

    fn write_new(&self, new: &Path, old: &Path) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(new)?;
        if self.exists() {
            let old = std::fs::metadata(old)?;
            // Where root runs the command the gateway's own user must still read the file. Who may not give it away
            // keeps it, as an editor would.
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid())).ok();
            file.set_permissions(old.permissions())?;
        }
        file.write_all(self.document.to_string().as_bytes())?;
        file.sync_all()
    }
}

/// A slug that nobody can guess, of the system's randomness.
pub(super) fn new_slug() -> Result<Slug, Refused> {
    let failed = |why: String| Refused::new(Exit::No, format!("no slug can be made: {why}"));
    let mut text = String::with_capacity(SLUG_CHARS);
    let mut bytes = [0; 64];
    while text.len() < SLUG_CHARS {
        rand::rngs::SysRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        // The values past the last whole round are left out: every character is as likely.
        let whole = 256 / BASE62.len() * BASE62.len();
        let fair = bytes.iter().map(|b| usize::from(*b));
        let fair = fair.filter(|b| *b < whole);
        let characters = fair.filter_map(|b| BASE62.get(b % BASE62.len()));
        let missing = SLUG_CHARS - text.len();
        text.extend(characters.take(missing).map(|b| char::from(*b)));
    }
    Slug::parse(&text).map_err(|error| failed(error.to_string()))
}

/// The URL that a sender calls, and whether it is the public one.
pub(super) fn url_of(config: &Config, webhook: &str) -> Option<(String, bool)> {
    let webhook = config.webhooks.iter().find(|w| w.name == webhook)?;
    if let Some(url) = &webhook.public_url {
        return Some((url.clone(), true));
    }
    let slug = webhook.slug.expose();
    Some(match &config.edge.public_url {
        Some(base) => (format!("{base}/hooks/{slug}"), true),
        None => {
            let scheme = if config.edge.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let listen = config.edge.listen;
            (format!("{scheme}://{listen}/hooks/{slug}"), false)
        }
    })
}

/// The first variable among a webhook's secrets.
pub(super) fn secret_variable(file: &Path, webhook: &str) -> Option<String> {
    let mut file = TomlFile::open(file).ok()?;
    let table = file.webhook(webhook)?;
    let verify = table.get("verify").and_then(Item::as_table_like);
    let nested = verify.and_then(|verify| verify.get("secret").or_else(|| verify.get("token")));
    variable_of(nested.or_else(|| table.get("secret"))?)
}

fn variable_of(secret: &Item) -> Option<String> {
    let env = |table: &dyn TableLike| Some(table.get("env")?.as_str()?.to_owned());
    if let Some(table) = secret.as_table_like() {
        return env(table);
    }
    let list = secret.as_array()?;
    list.iter().find_map(|value| env(value.as_inline_table()?))
}

/// A time in the largest unit that is whole.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        // Up to three days people count in hours.
        let fits = seconds > 0 && seconds.is_multiple_of(length);
        if fits && (unit != "d" || seconds > 3 * 86_400) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_long_and_never_the_same() {
        let made: std::collections::BTreeSet<String> = (0..200)
            .map(|_| new_slug().unwrap().expose().to_owned())
            .collect();
        assert_eq!(made.len(), 200);
        assert!(made.iter().all(|slug| slug.len() == 22));
        let used: std::collections::BTreeSet<char> = made.iter().flat_map(|s| s.chars()).collect();
        assert_eq!(used.len(), BASE62.len(), "{used:?}");
    }

    #[test]
    fn times_in_words() {
        for (seconds, want) in [
            (0, "0s"),
            (90, "90s"),
            (120, "2m"),
            (259_200, "72h"),
            (604_800, "7d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), want);
        }
    }

    #[test]
    fn what_was_changed_meanwhile_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhooks.toml");
        let file = TomlFile::open(&path).unwrap();
        std::fs::write(&path, "# somebody's\n").unwrap();
        assert!(file.write().unwrap_err().message.contains("meanwhile"));
        let file = TomlFile::open(&path).unwrap();
        file.write().unwrap();
        std::fs::write(&path, "# somebody's else\n").unwrap();
        assert!(file.write().is_err());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "# somebody's else\n");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
