use super::*;
use std::path::Path;
use std::sync::mpsc;

const EMPTY: &str = "[server]\nlisten = \"127.0.0.1:0\"\n";

fn handle(folder: &Path, toml: &str) -> ConfigHandle {
    let file = folder.join("webhooks.toml");
    std::fs::write(&file, toml).unwrap();
    let loaded = load(&file, &Overrides::default());
    ConfigHandle::new(
        loaded.config.unwrap(),
        loaded.findings,
        Overrides::default(),
    )
}

fn webhook(event: &str) -> String {
    format!(
        "{EMPTY}[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nverify = \"none\"\n\
         event = {{ event = \"{event}\", resource = {{ \"prefect.resource.id\" = \"r\" }} }}\n"
    )
}

#[test]
fn a_good_file_is_swapped_in_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let handle = handle(folder.path(), EMPTY);
    let file = folder.path().join("webhooks.toml");
    let before = handle.current();
    assert!(handle.last().ok && before.webhooks.is_empty());

    std::fs::write(&file, webhook("a")).unwrap();
    let report = handle.reload();
    assert!(
        report.ok && report.findings.is_empty(),
        "{:?}",
        report.findings
    );
    assert_eq!(handle.peek().webhooks.len(), 1);
    assert_ne!(report.hash, before.hash);
    assert_eq!(report.hash, handle.current().hash);
    assert!(before.webhooks.is_empty(), "who holds the old one keeps it");

    std::fs::write(&file, webhook("a").replace("event =", "evnt =")).unwrap();
    let report = handle.reload();
    assert!(
        !report.ok
            && report
                .findings
                .iter()
                .any(|f| f.problem.code == codes::UNKNOWN_KEY)
    );
    assert_eq!(handle.peek().webhooks.len(), 1);
    assert_eq!(report.hash, handle.current().hash);
    assert_eq!(handle.last().findings.len(), report.findings.len());

    std::fs::remove_file(&file).unwrap();
    assert!(!handle.reload().ok);
    std::fs::write(&file, EMPTY).unwrap();
    assert!(handle.reload().ok && handle.peek().webhooks.is_empty());
}

#[test]
fn a_file_that_was_emptied_by_accident_takes_nothing_down() {
    let folder = tempfile::tempdir().unwrap();
    let handle = handle(folder.path(), &webhook("a"));
    let file = folder.path().join("webhooks.toml");
    std::fs::write(&file, "").unwrap();
    let report = handle.reload();
    assert!(!report.ok && handle.peek().webhooks.len() == 1);
    let said = &report.findings.last().unwrap().problem;
    assert!(said.code == codes::FILE_UNREADABLE && said.message.ends_with("is empty"));
    std::fs::write(&file, "# no webhooks\n").unwrap();
    assert!(handle.reload().ok && handle.peek().webhooks.is_empty());
}

#[test]
fn what_a_refused_file_wanted_is_watched_too() {
    let folder = tempfile::tempdir().unwrap();
    let handle = handle(folder.path(), &webhook("a"));
    let wanted = folder.path().join("templates/new.json.j2");
    let text = webhook("a").replace("event = {", "template = \"new.json.j2\" #");
    std::fs::write(folder.path().join("webhooks.toml"), text).unwrap();
    assert!(!handle.reload().ok);
    assert!(handle.files().contains(&wanted));
    std::fs::create_dir(folder.path().join("templates")).unwrap();
    std::fs::write(&wanted, "null").unwrap();
    assert!(handle.reload().ok);
    assert_eq!(handle.files(), handle.current().files);
}

#[test]
fn what_needs_a_restart_keeps_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let handle = handle(folder.path(), EMPTY);
    let changed = "[server]\nlisten = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:2\"\nqueue = 7\nmin_rate = \"2 KiB\"\n\
                   [store]\npath = \"elsewhere\"\nretention = \"7d\"\n";
    std::fs::write(folder.path().join("webhooks.toml"), changed).unwrap();
    let report = handle.reload();
    let said: Vec<_> = report
        .findings
        .iter()
        .map(|f| f.problem.message.as_str())
        .collect();
    assert!(report.ok);
    assert_eq!(
        said,
        [
            "`listen` in [server] has changed; the running value stays",
            "`admin` in [server] has changed; the running value stays",
            "`path` in [store] has changed; the running value stays",
            "`retention` in [store] has changed; the running value stays",
            "`requests` in [store] has changed; the running value stays",
            "`queue` in [server] has changed; the running value stays",
        ]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.problem.code == codes::NEEDS_RESTART)
    );
    let now = handle.current();
    assert_eq!(now.edge.listen.port(), 0);
    assert_eq!(now.edge.min_rate, 2_048);
    assert!(now.store.path.ends_with("data") && now.store.queue == 4_096);
}

/// Starts a watcher on files and gives the calls it makes.
fn watched(files: Vec<PathBuf>) -> (Watcher, Receiver<()>) {
    let (told, calls) = mpsc::sync_channel(16);
    let watcher = Watcher::start(
        move || files.clone(),
        move || {
            if told.try_send(()).is_err() {}
        },
    );
    (watcher.unwrap(), calls)
}

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn writing_and_renaming_over_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhooks.toml");
    std::fs::write(&file, "a").unwrap();
    let (watcher, calls) = watched(vec![file.clone()]);
    std::fs::write(&file, "bb").unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
    let other = folder.path().join(".webhooks.toml.swp");
    std::fs::write(&other, "ccc").unwrap();
    std::fs::rename(&other, &file).unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
    std::fs::remove_file(&file).unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
    drop(watcher);
}

#[test]
fn a_file_in_a_folder_that_comes_later_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("templates/sub/t.json.j2");
    let (_watcher, calls) = watched(vec![file.clone()]);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "null").unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
    std::fs::write(&file, "[]").unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
}

#[test]
#[cfg(unix)]
fn a_swapped_link_is_seen() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, text) in [("one", "1"), ("two", "2")] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("webhooks.toml"), text).unwrap();
    }
    // As Kubernetes mounts a ConfigMap: webhooks.toml → ..data/webhooks.toml, ..data → a dated folder.
    symlink("one", at("..data")).unwrap();
    symlink("..data/webhooks.toml", at("webhooks.toml")).unwrap();
    let (_watcher, calls) = watched(vec![at("webhooks.toml")]);
    symlink("two", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    calls.recv_timeout(PATIENCE).unwrap();
}
