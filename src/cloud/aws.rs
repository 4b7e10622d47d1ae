//! AWS: the default credential chain, one HTTP stack, timeouts that the SDK does not set, and its errors as faults.

use std::error::Error;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::config::types::Aws;
use crate::domain::fault::{Fault, FaultKind};

/// Tries of one call, by the SDK: connection failures, 5xx and throttling are repeated with backoff.
const TRIES_MAX: u32 = 3;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the service may be silent. Longer than a long poll of 20 s; the SDK itself waits for ever (seen with a
/// service that did not answer).
const READ_TIMEOUT: Duration = Duration::from_secs(35);

/// The region in which `settings` put a queue: theirs, else the one that its URL names.
pub fn region_of(settings: &Aws, queue: &str) -> Option<String> {
    let named = || {
        let host = queue.split("://").nth(1)?.split('/').next()?;
        // sqs.REGION.amazonaws.com, or .com.cn
        let mut parts = host.split('.');
        (parts.next() == Some("sqs") && host.contains(".amazonaws.com")).then(|| parts.next())?
    };
    settings.region.clone().or_else(|| named().map(str::to_owned))
}

/// Credentials by the default chain: environment, profile, web identity, ECS, EC2 instance role. Without a `region`,
/// the environment's, the profile's or the machine's own.
pub async fn connect(settings: &Aws, region: Option<&str>) -> SdkConfig {
    super::install_crypto();
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES_MAX));
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

/// An error of a call as a fault. `context` names the call and what it was about; `permission` the one that the call
/// needs.
pub fn fault<E>(context: String, permission: &str, error: SdkError<E>) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().map(str::to_owned);
    let kind = match &error {
        SdkError::ConstructionFailure(_) if no_credentials(&error) => FaultKind::AccessDenied,
        SdkError::ConstructionFailure(_) => FaultKind::Internal,
        SdkError::DispatchFailure(_) if no_credentials(&error) => FaultKind::AccessDenied,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            FaultKind::Unavailable
        }
        SdkError::ServiceError(_) => classify(status.unwrap_or_default(), code.as_deref()),
        _ => FaultKind::Unavailable,
    };
    let mut context = context;
    if kind == FaultKind::AccessDenied {
        context.push_str(&format!(" (needs {permission}{})", hint(code.as_deref())));
    }
    let shown = code.map(|code| {
        let message = error.message().map(|text| format!(": {text}")).unwrap_or_default();
        format!("{code}{message}")
    });
    let text = shown.unwrap_or_else(|| chain(&error));
    Fault::from_error(kind, context, text)
}

/// The kind behind a status and an error code. SQS may write a code with its service before it
/// (`AWS.SimpleQueueService.NonExistentQueue`).
pub fn classify(status: u16, code: Option<&str>) -> FaultKind {
    let code = code.map_or("", |code| code.rsplit('.').next().unwrap_or(code));
    match code {
        "NoSuchKey" | "NoSuchVersion" | "PreconditionFailed" | "NotFound" => FaultKind::Vanished,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "OverLimit"
        | "RequestThrottledException" => FaultKind::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "RequestTimeTooSkewed"
        | "UnrecognizedClientException"
        | "InvalidObjectState"
        | "NoSuchBucket"
        | "PermanentRedirect"
        | "QueueDoesNotExist"
        | "NonExistentQueue"
        | "KmsAccessDenied"
        | "KmsDisabled"
        | "KmsNotFound"
        | "KmsInvalidState"
        | "DisabledException"
        | "NotFoundException"
        | "InvalidStateException"
        | "OptInRequired" => FaultKind::AccessDenied,
        _ if code.is_empty() && status == 412 => FaultKind::Vanished,
        _ if code.is_empty() && status == 404 => FaultKind::Vanished,
        _ if status == 401 || status == 403 => FaultKind::AccessDenied,
        _ if status == 429 => FaultKind::Throttled,
        _ => FaultKind::Unavailable,
    }
}

/// What a refusal usually means, beyond the missing permission.
fn hint(code: Option<&str>) -> &'static str {
    let code = code.unwrap_or_default();
    if code.contains("KMS") || code.contains("Kms") {
        return "; the object is encrypted: also kms:Decrypt on its key, which must be enabled";
    }
    match code {
        "ExpiredToken" | "ExpiredTokenException" => "; the credentials have expired and were not renewed",
        "RequestTimeTooSkewed" => "; this machine's clock is wrong",
        "InvalidObjectState" => "; the object is archived: restore it",
        "NoSuchBucket" => "; the bucket does not exist",
        "PermanentRedirect" => "; the bucket is in another region: set aws.region",
        "AccessDenied" => "; without s3:ListBucket a missing object looks like this too",
        _ if code.ends_with("NonExistentQueue") || code == "QueueDoesNotExist" => {
            "; the queue does not exist"
        }
        _ => "",
    }
}

fn no_credentials<E: Error + 'static>(error: &SdkError<E>) -> bool {
    let text = chain(error);
    text.contains("credential")
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_kind() {
        let cases = [
            (404, Some("NoSuchKey"), FaultKind::Vanished),
            (412, Some("PreconditionFailed"), FaultKind::Vanished),
            (404, None, FaultKind::Vanished),
            (503, Some("SlowDown"), FaultKind::Throttled),
            (400, Some("AWS.SimpleQueueService.RequestThrottled"), FaultKind::Throttled),
            (403, Some("OverLimit"), FaultKind::Throttled),
            (400, Some("AWS.SimpleQueueService.NonExistentQueue"), FaultKind::AccessDenied),
            (403, Some("AccessDenied"), FaultKind::AccessDenied),
            (400, Some("ExpiredToken"), FaultKind::AccessDenied),
            (400, Some("KMS.DisabledException"), FaultKind::AccessDenied),
            (404, Some("NoSuchBucket"), FaultKind::AccessDenied),
            (403, Some("SomethingNew"), FaultKind::AccessDenied),
            (500, Some("InternalError"), FaultKind::Unavailable),
            (409, Some("ConditionalRequestConflict"), FaultKind::Unavailable),
            (503, None, FaultKind::Unavailable),
        ];
        for (status, code, kind) in cases {
            assert_eq!(classify(status, code), kind, "{status} {code:?}");
        }
    }

    #[test]
    fn the_region_is_the_settings_or_the_queues() {
        let settings = Aws::default();
        let of = |url: &str| region_of(&settings, url);
        assert_eq!(of("https://sqs.eu-west-1.amazonaws.com/1/q").as_deref(), Some("eu-west-1"));
        assert_eq!(of("https://sqs.cn-north-1.amazonaws.com.cn/1/q").as_deref(), Some("cn-north-1"));
        assert_eq!(of("http://127.0.0.1:4566/1/q"), None);
        let settings = Aws { region: Some("us-east-1".to_owned()), ..Aws::default() };
        assert_eq!(
            region_of(&settings, "https://sqs.eu-west-1.amazonaws.com/1/q").as_deref(),
            Some("us-east-1")
        );
    }

    #[test]
    fn a_refusal_says_what_it_usually_means() {
        assert!(hint(Some("KMS.DisabledException")).contains("kms:Decrypt"));
        assert!(hint(Some("AccessDenied")).contains("s3:ListBucket"));
        assert!(hint(Some("AWS.SimpleQueueService.NonExistentQueue")).contains("does not exist"));
        assert_eq!(hint(None), "");
    }
}
