use super::*;

#[test]
fn the_wal_does_not_grow_under_steady_load() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        checkpoint_bytes: 256 * 1024,
        ..Options::default()
    };
    let log = start_with(&settings(folder.path()), options);
    let most = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let mut append = delivery(1);
                    append.request = Some(vec![7; 10_000]);
                    put(&*log, append).unwrap();
                    let bytes = std::fs::metadata(folder.path().join("log.db-wal"))
                        .unwrap()
                        .len();
                    most.fetch_max(bytes, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    // 20 MB went through it.
    assert!(most.into_inner() < 8 * 1024 * 1024);
}
