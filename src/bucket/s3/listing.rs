//! All versions of all objects below a prefix, a thousand a call.

use async_trait::async_trait;
use aws_sdk_s3::types::ObjectVersion;
use tokio::sync::mpsc::Sender;

use super::S3Bucket;
use crate::bucket::listing::{Listed, Listing};
use crate::cloud::aws::fault;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

#[async_trait]
impl Listing for S3Bucket {
    async fn objects(&self, bucket: &str, prefix: &str, pages: Sender<Vec<Listed>>) -> Result<(), Fault> {
        let context = format!("cannot list s3://{bucket}/{prefix}");
        let (mut key, mut version) = (None, None);
        loop {
            let call = self.client.list_object_versions().bucket(bucket).prefix(prefix);
            let answer = call.set_key_marker(key.take()).set_version_id_marker(version.take()).send().await;
            let answer = answer.map_err(|error| fault(context.clone(), "s3:ListBucketVersions", error))?;
            let versions = answer.versions.unwrap_or_default();
            let page = versions.iter().map(|version| listed(&context, version)).collect::<Result<_, _>>()?;
            (key, version) = (answer.next_key_marker, answer.next_version_id_marker);
            if pages.send(page).await.is_err() || answer.is_truncated != Some(true) {
                return Ok(());
            }
            if key.is_none() {
                let text = format!("{context}: the answer is cut and does not say where");
                return Err(Fault::new(FaultKind::Unavailable, text));
            }
        }
    }
}

fn listed(context: &str, version: &ObjectVersion) -> Result<Listed, Fault> {
    let size = version.size().and_then(|size| u64::try_from(size).ok());
    let modified = version.last_modified().and_then(|at| i64::try_from(at.as_nanos() / 1_000).ok());
    let (Some(key), Some(etag), Some(size_bytes), Some(modified)) =
        (version.key(), version.e_tag(), size, modified)
    else {
        let text = format!("{context}: the answer has an object without key, ETag, size or time");
        return Err(Fault::new(FaultKind::Unavailable, text));
    };
    let etag = etag.trim_matches('"').into();
    Ok(Listed { key: key.into(), etag, size_bytes, modified: Instant::from_micros(modified) })
}
