//! Every reason that BigQuery gives for an error, what landbridge does about it, and what an operator can do.
//!
//! Source: <https://docs.cloud.google.com/bigquery/docs/error-messages>. `docs/faults.md` is written from this table.

use crate::domain::fault::FaultKind;

/// One reason.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// As the service writes it.
    pub name: &'static str,
    /// The status codes it comes with; 200 for jobs.
    pub status: &'static str,
    /// Its kind, which decides what is done.
    pub kind: FaultKind,
    /// What an operator can do.
    pub remedy: &'static str,
}

macro_rules! reasons {
    ($($name:literal $status:literal $kind:ident $remedy:literal;)*) => {
        /// All reasons.
        pub const REASONS: &[Reason] = &[$(
            Reason { name: $name, status: $status, kind: FaultKind::$kind, remedy: $remedy },
        )*];
    };
}

reasons! {
    "accessDenied" "403" AccessDenied "Grant the roles of `deploy/iam/google.md` to landbridge's account.";
    "attributeError" "400" DestinationRefused "Report it with the log around it: the request itself is refused.";
    "authError" "401" AccessDenied "Give landbridge credentials that are valid: renew the key, or the instance's account.";
    "backendError" "500, 502, 503, 504" Unavailable "Nothing; look at Google's status page if it lasts.";
    "badRequest" "400" ContentRefused "Compare the file's values with the destination's column types.";
    "billingNotEnabled" "403" AccessDenied "Enable billing for the project.";
    "billingTierLimitExceeded" "400" QuotaExceeded "Raise the project's limit.";
    "blocked" "403" AccessDenied "Google has blocked the project's calls: ask Google's support.";
    "duplicate" "409" DestinationRefused "Nothing, where a job of ours exists already: landbridge asks about it and adopts it. Where a dataset or table exists already, landbridge uses it.";
    "forbidden" "403" AccessDenied "Grant the roles of `deploy/iam/google.md` to landbridge's account.";
    "internalError" "500" Unavailable "Nothing; look at Google's status page if it lasts.";
    "invalid" "400" ContentRefused "Compare the file's values with the destination's column types.";
    "invalidQuery" "400" ContentRefused "Report it with the log around it.";
    "invalidUser" "400" AccessDenied "Give landbridge an account that may run jobs.";
    "jobBackendError" "400" Unavailable "Nothing; look at Google's status page if it lasts.";
    "jobInternalError" "400" Unavailable "Nothing; look at Google's status page if it lasts.";
    "jobRateLimitExceeded" "400" Throttled "Nothing: it is tried again after a while. If it lasts, lengthen `planner.max_staleness`.";
    "notFound" "404" DestinationRefused "Check project, dataset, table and location; landbridge creates datasets and tables that are missing, where it may. Then resume the table.";
    "notImplemented" "501" DestinationRefused "Report it with the log around it: the request itself is refused.";
    "proxyAuthenticationRequired" "407" AccessDenied "Let landbridge through the proxy between it and Google.";
    "quotaExceeded" "403" QuotaExceeded "Nothing: windows are longer until the quota refills. If it comes again, say in `planner.jobs_per_day` what others leave, or ask Google for more.";
    "rateLimitExceeded" "403" Throttled "Nothing: it is tried again after a while. If it lasts, lengthen `planner.max_staleness`.";
    "required" "400" DestinationRefused "Report it with the log around it: the request itself is refused.";
    "resourceInUse" "400" Unavailable "Nothing: landbridge tries again.";
    "resourcesExceeded" "400" ContentRefused "Lower `batching.bytes`; look at the file that stays alone.";
    "responseTooLarge" "403" ContentRefused "Lower `batching.bytes`; look at the file that stays alone.";
    "stopped" "200" Unavailable "Find out who cancelled the job; landbridge submits the next attempt.";
    "tableUnavailable" "400" Unavailable "Nothing: landbridge tries again.";
    "timeout" "400" Unavailable "Nothing: landbridge submits the next attempt.";
    "userRateLimitExceeded" "403" Throttled "Nothing: it is tried again after a while. If it lasts, lengthen `planner.max_staleness`.";
}

/// The kind behind a status code and a reason. A reason that is not in the table is judged by the code: a refusal whose
/// meaning nobody knows holds the table and poisons nobody.
pub fn classify(status: u16, reason: Option<&str>) -> FaultKind {
    if let Some(known) = REASONS.iter().find(|known| Some(known.name) == reason) {
        return known.kind;
    }
    match status {
        401 | 403 | 407 => FaultKind::AccessDenied,
        408 | 425 => FaultKind::Unavailable,
        413 => FaultKind::ContentRefused,
        429 => FaultKind::Throttled,
        400..=499 => FaultKind::DestinationRefused,
        _ => FaultKind::Unavailable,
    }
}

/// What is done about a kind once a batch is claimed: how a job's failure, and a refused submission, are answered.
pub const fn answer(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unavailable | FaultKind::Throttled => {
            "A request: asks about the job id, then submits it again under the same id, with backoff. A job: the next attempt, with backoff; after 6 attempts the files are deferred."
        }
        FaultKind::QuotaExceeded => {
            "A request: submits again, with backoff, for `timing.job_timeout`; then fences the id. Then, and after a job: the files are deferred and taken up again later; the table goes on. An alert."
        }
        FaultKind::AccessDenied | FaultKind::DestinationRefused => {
            "A request: submits again, with backoff, for `timing.job_timeout`; then fences the id. Then, and after a job: the files are deferred and the table is held until it is resumed. An alert."
        }
        FaultKind::ContentRefused
        | FaultKind::UnsupportedType
        | FaultKind::SchemaConflict
        | FaultKind::AlreadyLoaded => {
            "The batch is halved until the file that is refused is alone; that file becomes poison, if the table took another half or takes a load of no rows. Else, and after 16 refusals in a row, the table is held. An alert. A request: its id is fenced first."
        }
        FaultKind::Vanished => "The file is counted as vanished. An alert.",
        FaultKind::Unreadable => "A strike against the file; three make it poison.",
        FaultKind::DiskFull => "Waits and tries again.",
        FaultKind::LedgerCorrupt => "The process stops.",
        FaultKind::Internal => "Asks about the job id and tries again, with backoff.",
    }
}

/// What `docs/faults.md` says.
pub fn document() -> String {
    let mut text = String::from(include_str!("faults_head.md"));
    text.push_str("\n## Kinds\n\n| Kind | Before a file is claimed | Remedy |\n|---|---|---|\n");
    for kind in FaultKind::ALL {
        let policy = format!("{:?}", kind.policy());
        text.push_str(&format!("| `{}` | {} | {} |\n", kind.label(), spaced(&policy), kind.remedy()));
    }
    text.push_str(
        "\n## BigQuery: what is done about each kind\n\n| Kind | What landbridge does |\n|---|---|\n",
    );
    let mut kinds: Vec<_> = REASONS.iter().map(|reason| reason.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        text.push_str(&format!("| `{}` | {} |\n", kind.label(), answer(kind)));
    }
    text.push_str("\n## BigQuery: every reason\n\n| Reason | Status | Kind | Remedy |\n|---|---|---|---|\n");
    for reason in REASONS {
        let Reason { name, status, kind, remedy } = reason;
        text.push_str(&format!("| `{name}` | {status} | `{}` | {remedy} |\n", kind.label()));
    }
    text.push_str(include_str!("faults_tail.md"));
    text
}

/// `HoldTable` as `hold table`.
fn spaced(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |mut text, (position, letter)| {
        if letter.is_ascii_uppercase() && position > 0 {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::ATTEMPTS_MAX;

    #[test]
    fn the_table_is_sorted_and_names_each_reason_once() {
        assert!(REASONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_reason_that_nobody_knows_poisons_nobody() {
        for status in 100..=600 {
            let kind = classify(status, Some("somethingNew"));
            assert!(kind != FaultKind::ContentRefused || status == 413, "{status}");
        }
        assert_eq!(classify(502, None), FaultKind::Unavailable);
        assert_eq!(classify(429, None), FaultKind::Throttled);
        assert_eq!(classify(403, None), FaultKind::AccessDenied);
        assert_eq!(classify(403, Some("quotaExceeded")), FaultKind::QuotaExceeded);
    }

    #[test]
    fn the_number_of_attempts_is_the_machines() {
        assert!(answer(FaultKind::Unavailable).contains(&format!("after {ATTEMPTS_MAX} attempts")));
    }

    #[test]
    fn the_page_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document());
    }
}
