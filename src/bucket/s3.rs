//! S3: whole objects, exactly the version that was announced, checked before anyone reads them.
//!
//! Small objects are held in memory, larger ones on the local disk. A body that is cut or corrupt on its way is an
//! `Unavailable` fault: the SDK retries only up to the answer's headers, so its user fetches the whole object again.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ServerSideEncryption;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use super::{Bucket, Held, OPEN_OBJECT_BYTES};
use crate::cloud::aws::fault;
use crate::cloud::metering::S3Metering;
use crate::domain::batch::hex;
use crate::domain::cost::usage::Measure;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;
use crate::flow::cpu::blocking;
use crate::flow::meter::Meter;
use crate::flow::pulse;

mod listing;

/// What begins and ends a Parquet file.
const MAGIC: &[u8] = b"PAR1";
/// The shortest Parquet file: both magics and the footer's length.
const SHORTEST_BYTES: u64 = 12;
/// A spooled object is written in pieces of this many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Numbers the spool files of this process.
static SPOOLED: AtomicU64 = AtomicU64::new(0);

/// Where and when objects go to disk.
#[derive(Clone, Debug)]
pub struct Spooling {
    /// The spool directory.
    pub path: PathBuf,
    /// Larger objects go to disk.
    pub threshold_bytes: u64,
}

/// The buckets of one account.
pub struct S3Bucket {
    client: Client,
    spooling: Spooling,
    meter: Arc<Meter>,
}

impl S3Bucket {
    /// Buckets that are reached with `config`; `path_style` puts the bucket's name into the path.
    pub fn new(config: &SdkConfig, path_style: bool, spooling: Spooling) -> Self {
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
        Self { client: Client::from_conf(config), spooling, meter: Arc::default() }
    }

    /// Counts what is asked and what comes.
    pub fn metered(self, meter: &Arc<Meter>) -> Self {
        let config = self.client.config().to_builder().interceptor(S3Metering(Arc::clone(meter))).build();
        Self { client: Client::from_conf(config), meter: Arc::clone(meter), ..self }
    }

    async fn get(&self, file: &FileId, version: Option<String>) -> Result<GetObjectOutput, Fault> {
        let get = self.client.get_object().bucket(&*file.bucket).key(&*file.key);
        let answer = get.if_match(format!("\"{}\"", file.etag)).set_version_id(version).send().await;
        pulse::moved();
        answer.map_err(|error| fault(format!("cannot get {file}"), "s3:GetObject", error))
    }

    /// The version of the object that the file names, where the bucket keeps versions: an object that was overwritten
    /// or deleted is still there. `None` when there is none, or when listing is not permitted.
    async fn version_of(&self, file: &FileId) -> Result<Option<String>, Fault> {
        let list = self.client.list_object_versions().bucket(&*file.bucket).prefix(&*file.key).send().await;
        pulse::moved();
        let answer = match list {
            Ok(answer) => answer,
            Err(error) => {
                let fault =
                    fault(format!("cannot list the versions of {file}"), "s3:ListBucketVersions", error);
                return if fault.kind == FaultKind::Unavailable || fault.kind == FaultKind::Throttled {
                    Err(fault)
                } else {
                    Ok(None)
                };
            }
        };
        let size = i64::try_from(file.size_bytes).ok();
        let same = answer.versions.unwrap_or_default().into_iter().find(|version| {
            version.key() == Some(&*file.key)
                && version.e_tag().map(|etag| etag.trim_matches('"')) == Some(&*file.etag)
                && version.size() == size
        });
        Ok(same.and_then(|version| version.version_id))
    }

    async fn hold_in_memory(
        &self,
        file: &FileId,
        mut answer: GetObjectOutput,
    ) -> Result<Arc<dyn Object>, Fault> {
        let mut proof = Proof::of(file, &answer);
        let size = usize::try_from(file.size_bytes).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(size);
        while let Some(piece) = answer.body.next().await {
            let piece = piece.map_err(|error| cut(file, error))?;
            pulse::moved();
            self.meter.add_of(&file.table, Measure::FetchedBytes, piece.len() as u64);
            bytes.extend_from_slice(&piece);
            too_long(file, bytes.len() as u64)?;
        }
        proof.add(&bytes);
        proof.check(file)?;
        let written_at = answer.last_modified().and_then(instant);
        let object = InMemory { file: file.clone(), bytes: bytes.freeze(), written_at };
        check_whole(file, &object, object.bytes.len() as u64)?;
        Ok(Arc::new(object))
    }

    async fn hold_on_disk(
        &self,
        file: &FileId,
        mut answer: GetObjectOutput,
    ) -> Result<Arc<dyn Object>, Fault> {
        let number = SPOOLED.fetch_add(1, Ordering::Relaxed);
        let path = self.spooling.path.join(format!("object-{}-{number}", std::process::id()));
        let mut spool = blocking("creating a spool file", move || Spooled::create(&path)).await?;
        let mut proof = Proof::of(file, &answer);
        let (mut piece, mut length) = (BytesMut::with_capacity(PIECE_BYTES), 0_u64);
        loop {
            let next = answer.body.next().await.transpose().map_err(|error| cut(file, error))?;
            pulse::moved();
            let ended = next.is_none();
            if let Some(bytes) = next {
                length = length.saturating_add(bytes.len() as u64);
                self.meter.add_of(&file.table, Measure::FetchedBytes, bytes.len() as u64);
                too_long(file, length)?;
                piece.extend_from_slice(&bytes);
            }
            if ended || piece.len() >= PIECE_BYTES {
                let full = std::mem::replace(&mut piece, BytesMut::with_capacity(PIECE_BYTES)).freeze();
                (spool, proof) = blocking("writing a spool file", move || {
                    spool.write(&full)?;
                    proof.add(&full);
                    Ok((spool, proof))
                })
                .await?;
            }
            if ended {
                break;
            }
        }
        proof.check(file)?;
        let written_at = answer.last_modified().and_then(instant);
        let object = OnDisk { file: file.clone(), handle: spool.handle, size_bytes: length, written_at };
        let file = file.clone();
        blocking("checking a spool file", move || {
            check_whole(&file, &object, length)?;
            Ok(Arc::new(object) as Arc<dyn Object>)
        })
        .await
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    fn held(&self, file: &FileId) -> Held {
        if file.size_bytes > self.spooling.threshold_bytes {
            Held { memory_bytes: OPEN_OBJECT_BYTES, disk_bytes: file.size_bytes }
        } else {
            Held { memory_bytes: file.size_bytes.max(OPEN_OBJECT_BYTES / 4), disk_bytes: 0 }
        }
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        self.meter.add_of(&file.table, Measure::Files, 1);
        let answer = match self.get(file, None).await {
            Err(gone) if gone.kind == FaultKind::Vanished => match self.version_of(file).await? {
                Some(version) => self.get(file, Some(version)).await?,
                None => return Err(gone),
            },
            answer => answer?,
        };
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        if let Some(length) = length.filter(|length| *length != file.size_bytes) {
            let text = format!("{file} was announced with {} bytes and has {length}", file.size_bytes);
            return Err(Fault::new(FaultKind::Unreadable, text));
        }
        if self.held(file).disk_bytes == 0 {
            self.hold_in_memory(file, answer).await
        } else {
            self.hold_on_disk(file, answer).await
        }
    }
}

/// In whole seconds: S3 tells no more.
fn instant(at: &DateTime) -> Option<Instant> {
    at.secs().checked_mul(1_000_000).map(Instant::from_micros)
}

fn cut(file: &FileId, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::from_error(FaultKind::Unavailable, format!("{file} was cut or damaged on its way"), error)
}

/// Ends a body that goes on beyond its announced size, before it fills memory or disk.
fn too_long(file: &FileId, length: u64) -> Result<(), Fault> {
    if length > file.size_bytes {
        let text = format!("{file} goes on beyond its {} bytes", file.size_bytes);
        return Err(Fault::new(FaultKind::Unreadable, text));
    }
    Ok(())
}

/// Length and magics: a cut or foreign object is told before the reader sees it.
fn check_whole(file: &FileId, object: &dyn Object, length: u64) -> Result<(), Fault> {
    if length != file.size_bytes {
        let text = format!("{length} of {} bytes of {file} arrived", file.size_bytes);
        return Err(Fault::new(FaultKind::Unavailable, text));
    }
    let is_parquet = length >= SHORTEST_BYTES
        && object.read(0, MAGIC.len())? == MAGIC
        && object.read(length - MAGIC.len() as u64, MAGIC.len())? == MAGIC;
    if is_parquet {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Unreadable, format!("{file} does not begin and end as a Parquet file does")))
}

/// The MD5 that a plain ETag is, where the answer has no checksum that the SDK has verified. Not so for multipart
/// uploads and for objects under a KMS or customer key (aws.md, section 7).
struct Proof(Option<Md5>);

impl Proof {
    fn of(file: &FileId, answer: &GetObjectOutput) -> Self {
        let checked = answer.checksum_crc32().is_some()
            || answer.checksum_crc32_c().is_some()
            || answer.checksum_crc64_nvme().is_some()
            || answer.checksum_sha1().is_some()
            || answer.checksum_sha256().is_some();
        let plain_key = answer.sse_customer_algorithm().is_none()
            && answer.server_side_encryption().is_none_or(|kind| *kind == ServerSideEncryption::Aes256);
        let is_md5 = file.etag.len() == 32 && file.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self((!checked && plain_key && is_md5).then(Md5::new))
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.0 {
            md5.update(bytes);
        }
    }

    fn check(self, file: &FileId) -> Result<(), Fault> {
        let Some(md5) = self.0.map(|md5| hex(&md5.finalize())) else { return Ok(()) };
        if md5.eq_ignore_ascii_case(&file.etag) {
            return Ok(());
        }
        let text = format!("{file} arrived with the MD5 {md5}: it was damaged on its way");
        Err(Fault::new(FaultKind::Unavailable, text))
    }
}

fn part_of(file: &FileId, size_bytes: u64, offset: u64, length: usize) -> Result<(), Fault> {
    let end = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
    if end.is_some_and(|end| end <= size_bytes) {
        return Ok(());
    }
    let text = format!("{length} bytes at {offset} are wanted of the {size_bytes} of {file}");
    Err(Fault::new(FaultKind::Unreadable, text))
}

#[derive(Debug)]
struct InMemory {
    file: FileId,
    bytes: Bytes,
    written_at: Option<Instant>,
}

impl Object for InMemory {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn written_at(&self) -> Option<Instant> {
        self.written_at
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        part_of(&self.file, self.size_bytes(), offset, length)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(self.bytes.slice(start..start.saturating_add(length)))
    }
}

/// A spool file without a name: it goes with its handle, whatever becomes of the process.
struct Spooled {
    handle: File,
}

impl Spooled {
    fn create(path: &Path) -> Result<Self, Fault> {
        let cannot = |error| spool_fault("create", path, error);
        let handle = File::options().read(true).write(true).create_new(true).open(path).map_err(cannot)?;
        std::fs::remove_file(path).map_err(cannot)?;
        Ok(Self { handle })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let path = Path::new("the spool");
        self.handle.write_all(bytes).map_err(|error| spool_fault("write into", path, error))
    }
}

fn spool_fault(deed: &str, path: &Path, error: std::io::Error) -> Fault {
    let mut fault = Fault::from_io(format!("cannot {deed} {}", path.display()), error);
    if fault.kind == FaultKind::Vanished {
        // What is not found here is the spool directory, never the object.
        fault.kind = FaultKind::Unavailable;
    }
    fault
}

#[derive(Debug)]
struct OnDisk {
    file: FileId,
    handle: File,
    size_bytes: u64,
    written_at: Option<Instant>,
}

impl Object for OnDisk {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn written_at(&self) -> Option<Instant> {
        self.written_at
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        part_of(&self.file, self.size_bytes, offset, length)?;
        let mut bytes = BytesMut::zeroed(length);
        self.handle
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| spool_fault("read", Path::new("the spool"), error))?;
        Ok(bytes.freeze())
    }
}
