use std::fs;
use std::time::Duration;

use tokio::sync::watch;

use super::announcer::{Announcer, Progress};
use super::*;
use crate::app::SystemClock;
use crate::domain::ids::TableId;
use crate::domain::notification::{Announcement, Parsed, parse};
use crate::queue::Queue;
use crate::queue::local::LocalQueue;

fn file(root: &Path, key: &str) -> FileId {
    let metadata = fs::metadata(root.join(key)).unwrap();
    FileId {
        table: TableId::new("a", "s", "t"),
        bucket: "a".into(),
        key: key.into(),
        etag: etag_of(&metadata).into(),
        size_bytes: metadata.len(),
    }
}

fn place() -> (tempfile::TempDir, LocalBucket) {
    let folder = tempfile::tempdir().unwrap();
    let bucket = LocalBucket::new([("a".into(), folder.path().to_owned())]);
    (folder, bucket)
}

async fn kind(bucket: &LocalBucket, file: &FileId) -> FaultKind {
    bucket.open(file).await.map(|_| ()).unwrap_err().kind
}

#[tokio::test]
async fn an_open_object_keeps_its_version() {
    let (folder, bucket) = place();
    fs::write(folder.path().join("x"), "0123456789").unwrap();
    let id = file(folder.path(), "x");
    let object = bucket.open(&id).await.unwrap();
    assert_eq!(&object.read(2, 3).unwrap()[..], b"234");
    assert_eq!(object.read(8, 3).unwrap_err().kind, FaultKind::Unreadable);
    // Replaced by a rename: the open handle still reads the old bytes, a new open refuses.
    fs::write(folder.path().join("y"), "abcdefghijk").unwrap();
    fs::rename(folder.path().join("y"), folder.path().join("x")).unwrap();
    assert_eq!(&object.read(0, 2).unwrap()[..], b"01");
    assert_eq!(kind(&bucket, &id).await, FaultKind::Vanished);
    fs::remove_file(folder.path().join("x")).unwrap();
    assert_eq!(kind(&bucket, &id).await, FaultKind::Vanished);
}

#[tokio::test]
async fn an_object_changed_in_place_is_not_the_announced_one() {
    let (folder, bucket) = place();
    fs::write(folder.path().join("x"), "0123456789").unwrap();
    let object = bucket.open(&file(folder.path(), "x")).await.unwrap();
    fs::write(folder.path().join("x"), "01234").unwrap();
    assert_eq!(object.read(0, 2).unwrap_err().kind, FaultKind::Vanished);
}

#[tokio::test]
async fn keys_that_lead_out_of_the_bucket_are_refused() {
    let (folder, bucket) = place();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    let real = file(folder.path(), "x");
    for key in ["../x", "/etc/passwd", "a/../../x", "link"] {
        assert_eq!(
            kind(&bucket, &FileId { key: key.into(), ..real.clone() }).await,
            FaultKind::AccessDenied,
            "{key}"
        );
    }
    assert_eq!(kind(&bucket, &FileId { bucket: "b".into(), ..real }).await, FaultKind::AccessDenied);
}

struct Announced {
    folder: tempfile::TempDir,
    queue: Arc<LocalQueue>,
    progress: watch::Receiver<Progress>,
    _announcer: Announcer,
}

fn announce(prepare: impl FnOnce(&Path)) -> Announced {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let queue = LocalQueue::new("a", 10_000);
    let (root, rescan) = (folder.path().to_owned(), Duration::from_secs(60));
    let announcer = Announcer::start("a".into(), root, Arc::clone(&queue), rescan, Arc::new(SystemClock));
    Announced { folder, queue, progress: announcer.watch(), _announcer: announcer }
}

impl Announced {
    async fn until(&mut self, count: u64) {
        let reached = |progress: &Progress| progress.announced >= count && !progress.pending;
        tokio::time::timeout(Duration::from_secs(30), self.progress.wait_for(reached))
            .await
            .unwrap()
            .unwrap();
    }

    async fn take(&self) -> Vec<Announcement> {
        let mut taken = Vec::new();
        loop {
            let messages = self.queue.receive(10, Duration::ZERO, Duration::from_secs(600)).await.unwrap();
            if messages.is_empty() {
                return taken;
            }
            for message in messages {
                let Parsed::Events(events) = parse(&message.body) else { panic!("{}", message.body) };
                taken.extend(events);
            }
        }
    }

    async fn keys(&self) -> Vec<String> {
        self.take().await.into_iter().map(|one| one.key.to_string()).collect()
    }
}

#[tokio::test]
async fn what_is_there_and_what_is_renamed_into_place_is_announced_once() {
    let mut place = announce(|root| {
        fs::create_dir_all(root.join("s/t")).unwrap();
        for name in ["s/t/b c.parquet", "s/t/a.parquet", "s/t/.hidden", "s/t/c.tmp"] {
            fs::write(root.join(name), name).unwrap();
        }
    });
    place.until(2).await;
    assert_eq!(place.keys().await, ["s/t/a.parquet", "s/t/b c.parquet"]);
    fs::create_dir(place.folder.path().join("s/u")).unwrap();
    fs::rename(place.folder.path().join("s/t/c.tmp"), place.folder.path().join("s/u/c.parquet")).unwrap();
    place.until(3).await;
    let taken = place.take().await;
    assert_eq!(taken.len(), 1);
    let id = file(place.folder.path(), "s/u/c.parquet");
    assert_eq!((&taken[0].key, &taken[0].etag, taken[0].size_bytes), (&id.key, &id.etag, id.size_bytes));
}

#[tokio::test]
async fn other_content_under_the_same_key_is_announced_again() {
    let mut place = announce(|root| fs::write(root.join("x"), "one").unwrap());
    place.until(1).await;
    fs::write(place.folder.path().join("x"), "another").unwrap();
    place.until(2).await;
    let taken = place.take().await;
    assert_eq!(taken.len(), 2);
    assert_ne!(taken[0].etag, taken[1].etag);
}

#[tokio::test]
async fn a_burst_is_announced_whole_and_once() {
    let mut place = announce(|_| {});
    for number in 0..2_000 {
        let path = place.folder.path().join(format!("{number:04}"));
        fs::write(path.with_extension("tmp"), "x").unwrap();
        fs::rename(path.with_extension("tmp"), path).unwrap();
    }
    place.until(2_000).await;
    let keys = place.keys().await;
    assert_eq!(keys.len(), 2_000);
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 2_000);
}
