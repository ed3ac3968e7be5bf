use super::*;
use crate::config::{Overrides, load};
use crate::log::memory::MemoryLog;
use crate::state::KEY_FILE;
use crate::state::stores::sqlite::SqliteState;
use std::path::Path;
use std::time::Duration;

const SECRET: &str = "fake-hook-secret-0001";
const OTHER: &str = "fake-hook-secret-0002";

struct World {
    learner: Learner,
    log: Arc<MemoryLog>,
    metrics: Arc<Metrics>,
    config: Config,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn toml(lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"w\"\nslug = \"fakeslug00000000000001\"\nprovider = \"asana\"\n{lines}\n\
         [[webhook]]\nname = \"plain\"\nslug = \"fakeslug00000000000002\"\nverify = \"none\"\nprovider = \"asana\"\n"
    )
}

fn config(folder: &Path, toml: &str) -> Config {
    let file = folder.join("webhooks.toml");
    std::fs::write(&file, toml).unwrap();
    let loaded = load(&file, &Overrides::default());
    loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// A process that starts at a time, over what is in the folder.
fn start(folder: &Path, now: Timestamp) -> (World, Vec<(String, LearnError)>) {
    let config = config(folder, &toml(""));
    let log = Arc::new(MemoryLog::new(Duration::from_secs(60)));
    let metrics = Arc::new(Metrics::new());
    let store = Arc::new(SqliteState::open(&folder.join("state.db")).unwrap());
    let vault = Vault::new(folder);
    let learner = Learner::new(store, vault, log.clone(), metrics.clone());
    let failed = learner.apply(&config, now);
    let world = World {
        learner,
        log,
        metrics,
        config,
    };
    (world, failed)
}

fn fresh(folder: &Path, now: Timestamp) -> World {
    let (world, failed) = start(folder, now);
    assert!(failed.is_empty(), "{failed:?}");
    world
}

impl World {
    fn slot(&self) -> &Arc<LearnedVerifier> {
        self.config.webhooks[0].verifier.learned().unwrap()
    }

    fn teach(&self, secret: &str, second: i64) -> &'static str {
        let lesson = Lesson {
            delivery: Uuid::from_u128(7),
            from: "192.0.2.1".parse().unwrap(),
            received: at(second),
        };
        let secret = Secret::new(secret.to_owned());
        let taught = self.learner.teach("w", self.slot(), &secret, &lesson);
        match taught.unwrap() {
            Taught::Learned => "learned",
            Taught::Again => "again",
            Taught::Refused(problem) => {
                assert_eq!(problem.code, codes::SECRET_REFUSED);
                assert!(!format!("{problem:?}").contains("fake-"), "{problem:?}");
                "refused"
            }
        }
    }

    fn state(&self, second: i64) -> SecretState {
        self.learner.status("w", at(second)).unwrap().state
    }

    fn knows(&self, secret: &str) -> bool {
        self.slot().knows(&Secret::new(secret.to_owned()))
    }

    fn gauge(&self) -> bool {
        let line = "hookgate_secret_pending{webhook=\"w\"} 1\n";
        self.metrics.encode().contains(line)
    }

    /// Names of the own events so far.
    fn events(&self) -> Vec<String> {
        let records = self.log.read(0, 100, usize::MAX).unwrap();
        let events = records.into_iter().flat_map(|r| r.delivery.events);
        events
            .map(|e| {
                assert_eq!(e.resource_id(), "hookgate.webhook.w");
                assert!(!format!("{e:?}").contains("fake-"), "{e:?}");
                e.event.trim_start_matches("hookgate.secret.").to_owned()
            })
            .collect()
    }
}

#[test]
fn the_first_secret_is_pending_until_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let world = fresh(folder.path(), at(0));
    assert_eq!(world.state(0), SecretState::Waiting);
    assert!(!world.gauge());
    assert_eq!(world.teach(SECRET, 10), "learned");
    let status = world.learner.status("w", at(10)).unwrap();
    assert_eq!(status.state, SecretState::Pending);
    assert_eq!(
        (status.learned, status.until, status.confirmed),
        (Some(at(10)), None, None)
    );
    assert_eq!(status.from, Some("192.0.2.1".parse().unwrap()));
    assert!(world.knows(SECRET) && world.gauge());
    assert_eq!(world.learner.pending(), ["w"]);
    assert_eq!(world.teach(OTHER, 11), "refused");
    // Its sender did not hear the answer, however late it asks again.
    assert_eq!(world.teach(SECRET, 5_000), "again");
    assert_eq!(world.learner.reveal("w").unwrap().expose(), SECRET);

    world.learner.confirm("w", at(20)).unwrap();
    let again = world.learner.confirm("w", at(21)).unwrap();
    assert_eq!(again.confirmed, Some(at(20)));
    assert_eq!(world.state(21), SecretState::Confirmed);
    assert!(world.knows(SECRET) && !world.gauge());
    assert_eq!(world.teach(OTHER, 22), "refused");
    assert!(matches!(
        world.learner.reveal("w"),
        Err(LearnError::Conflict(_))
    ));
    assert!(matches!(
        world.learner.wait("w", at(23)),
        Err(LearnError::Conflict(_))
    ));
    assert_eq!(world.events(), ["learned", "revealed", "confirmed"]);
}

#[test]
fn a_restart_opens_no_new_time_to_learn_and_the_owner_does() {
    let folder = tempfile::tempdir().unwrap();
    drop(fresh(folder.path(), at(0)));
    let world = fresh(folder.path(), at(899));
    assert_eq!(world.state(899), SecretState::Waiting);
    assert_eq!(world.state(900), SecretState::Missing);
    // A clock that is set back far must not make it wait for years.
    assert_eq!(world.state(-59), SecretState::Waiting);
    assert_eq!(world.state(-61), SecretState::Missing);
    assert_eq!(world.teach(SECRET, 900), "refused");
    assert!(!world.knows(SECRET));
    let status = world.learner.wait("w", at(1_000)).unwrap();
    assert_eq!(
        (status.state, status.until),
        (SecretState::Waiting, Some(at(1_900)))
    );
    drop(world);
    let world = fresh(folder.path(), at(1_500));
    assert_eq!(world.teach(SECRET, 1_899), "learned");
    drop(world);
    let world = fresh(folder.path(), at(9_000));
    assert!(world.knows(SECRET) && world.gauge());
    assert_eq!(world.state(9_000), SecretState::Pending);
    world.learner.confirm("w", at(9_001)).unwrap();
    drop(world);
    assert_eq!(
        fresh(folder.path(), at(9_002)).state(9_002),
        SecretState::Confirmed
    );
}

#[test]
fn what_is_forgotten_is_not_learned_again_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let world = fresh(folder.path(), at(0));
    let nothing = |result: Result<(), LearnError>| {
        assert!(matches!(result, Err(LearnError::Conflict(_))));
    };
    nothing(world.learner.forget("w"));
    nothing(world.learner.confirm("w", at(1)).map(drop));
    nothing(world.learner.reveal("w").map(drop));
    assert_eq!(world.teach(SECRET, 1), "learned");
    world.learner.forget("w").unwrap();
    assert!(!world.knows(SECRET) && !world.gauge());
    assert_eq!(world.state(2), SecretState::Missing);
    assert_eq!(world.teach(SECRET, 2), "refused");
    drop(world);
    let world = fresh(folder.path(), at(3));
    assert_eq!(world.state(3), SecretState::Missing);
    world.learner.wait("w", at(4)).unwrap();
    assert_eq!(world.teach(OTHER, 5), "learned");
    assert!(world.knows(OTHER));
    for name in ["plain", "none"] {
        assert_eq!(world.learner.status(name, at(5)), None);
        let waited = world.learner.wait(name, at(5));
        assert!(
            matches!(waited, Err(LearnError::LearnsNothing(_))),
            "{name}"
        );
    }
}

#[test]
fn a_new_configuration_takes_over_what_was_learned() {
    let folder = tempfile::tempdir().unwrap();
    let world = fresh(folder.path(), at(0));
    let old = Arc::clone(world.slot());
    // A request of the old configuration may teach after the new one has been taken.
    let next = config(folder.path(), &toml("description = \"new\""));
    assert!(world.learner.apply(&next, at(1)).is_empty());
    assert_eq!(world.teach(SECRET, 2), "learned");
    let secret = Secret::new(SECRET.to_owned());
    let new = next.webhooks[0].verifier.learned().unwrap();
    assert!(old.knows(&secret) && new.knows(&secret));
    // Also when the key is gone: it is needed at the start only.
    std::fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
    let third = config(folder.path(), &toml("description = \"newer\""));
    assert!(world.learner.apply(&third, at(3)).is_empty());
    let third = third.webhooks[0].verifier.learned().unwrap();
    assert!(third.knows(&secret) && third.pending_note().is_some());
    // Gone and back: read from the store.
    let off = config(folder.path(), &toml("enabled = false"));
    assert!(world.learner.apply(&off, at(4)).is_empty());
    assert_eq!(world.learner.status("w", at(4)), None);
    assert!(!world.gauge());
    assert!(world.learner.apply(&world.config, at(5)).is_empty());
    assert!(world.knows(SECRET) && world.gauge());
}

#[test]
fn a_secret_that_does_not_open_is_told_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let world = fresh(folder.path(), at(0));
    assert_eq!(world.teach(SECRET, 1), "learned");
    drop(world);
    let key = folder.path().join(KEY_FILE);
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let (world, failed) = start(folder.path(), at(2));
    let [(name, error)] = failed.as_slice() else {
        panic!("{failed:?}")
    };
    assert_eq!((name.as_str(), error.code()), ("w", codes::SECRETS_KEY));
    assert!(error.to_string().contains(KEY_FILE), "{error}");
    assert_eq!(world.state(2), SecretState::Unreadable);
    assert_eq!(world.teach(SECRET, 3), "refused");
    assert!(matches!(
        world.learner.wait("w", at(4)),
        Err(LearnError::Conflict(_))
    ));
    assert!(!key.exists());
    // Put back and read again: nothing was lost.
    std::fs::write(&key, kept).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    let next = config(folder.path(), &toml("description = \"new\""));
    assert!(world.learner.apply(&next, at(5)).is_empty());
    assert_eq!(world.state(5), SecretState::Pending);
    world.learner.forget("w").unwrap();
    assert_eq!(world.state(5), SecretState::Missing);
}

#[test]
fn what_is_shown_waits_for_no_state() {
    let folder = tempfile::tempdir().unwrap();
    let world = fresh(folder.path(), at(0));
    let held = world.learner.lock();
    assert_eq!(world.state(1), SecretState::Waiting);
    assert!(world.learner.pending().is_empty());
    drop(held);
    assert_eq!(world.teach(SECRET, 2), "learned");
    let _held = world.learner.lock();
    assert_eq!(world.state(3), SecretState::Pending);
    assert_eq!(world.learner.pending(), ["w"]);
}
