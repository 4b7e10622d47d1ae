//! What the Storage Write API answers, as faults.

use google_cloud_bigquery::Error;
use google_cloud_bigquery::error::{AppendError, CommitError, WriterBuilderError};
use google_cloud_bigquery::model::storage_error::StorageErrorCode;
use google_cloud_bigquery::model::{
    BatchCommitWriteStreamsResponse, FinalizeWriteStreamResponse, StorageError,
};
use google_cloud_bigquery::model_ext::AppendResponse;
use google_cloud_gax::error::rpc::Code;

use crate::domain::fault::{Fault, FaultKind};

/// Of rows that are refused, so many are named.
const ROWS_SHOWN: usize = 3;
/// Of what is said of one of them, this much is shown.
const SHOWN_LETTERS: usize = 300;

/// What is known after a stream was to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    /// It takes no more rows, and has so many.
    Rows(u64),
    /// The service knows no such stream, in these words.
    Gone(String),
    /// The service does not seal it, in these words. That it was committed before is one reason for that.
    Refused(String),
}

/// What is known after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Committing {
    /// The stream's rows are in the table: now, or since an earlier commit.
    Committed,
    /// The service knows no such stream, in these words.
    Gone(String),
    /// The service does not commit it, in these words. That it was committed before is one reason for that.
    Refused(String),
}

/// The kind of a refusal by its code (Google Cloud, gRPC: "Status codes and their use in gRPC").
pub(super) const fn kind_of(code: Code) -> FaultKind {
    if matches!(code, Code::InvalidArgument) {
        FaultKind::ContentRefused
    } else if matches!(code, Code::NotFound) {
        FaultKind::DestinationRefused
    } else if matches!(code, Code::PermissionDenied | Code::Unauthenticated) {
        FaultKind::AccessDenied
    } else if matches!(code, Code::ResourceExhausted) {
        FaultKind::Throttled
    } else {
        // What is not known to be refused may have had its effect.
        FaultKind::Unavailable
    }
}

fn kind(error: &Error) -> FaultKind {
    error.status().map_or(FaultKind::Unavailable, |status| kind_of(status.code))
}

fn words(error: &Error) -> String {
    match error.status() {
        Some(status) => format!("{}: {}", status.code.name(), shown(&status.message)),
        // Its own text names no credentials: they are in the call, not in the answer.
        None => shown(&error.to_string()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_LETTERS).collect()
}

/// A call that was refused, or not answered.
pub(super) fn refused(context: &str, error: &Error) -> Fault {
    Fault::from_error(kind(error), context, words(error))
}

/// A stream that could not be made, or found again.
pub(super) fn built(context: &str, error: WriterBuilderError) -> Fault {
    let WriterBuilderError::Rpc { source, .. } = error else {
        return Fault::from_error(FaultKind::DestinationRefused, context, error);
    };
    let mut fault = refused(context, &source);
    // No rows were in this call: what is refused is the table, or landbridge itself.
    if fault.kind == FaultKind::ContentRefused {
        fault.kind = FaultKind::DestinationRefused;
    }
    fault
}

/// The answer to the rows at offset `at`. "Already exists" and "out of range" are no success: what the stream has is asked when
/// it is sealed.
pub(super) fn appended(
    context: &str,
    at: i64,
    answer: Result<AppendResponse, AppendError>,
) -> Result<(), Fault> {
    match answer {
        Ok(AppendResponse { offset, .. }) if offset.is_none_or(|offset| offset == at) => Ok(()),
        Ok(AppendResponse { offset, .. }) => {
            let text = format!("{context}: rows for the offset {at} are at {}", offset.unwrap_or_default());
            Err(Fault::new(FaultKind::Unavailable, text))
        }
        Err(AppendError::Rpc { source, .. }) => Err(refused(context, &source)),
        Err(AppendError::RowErrors { row_errors, .. }) => {
            let rows = row_errors.iter().take(ROWS_SHOWN).map(|row| {
                format!("row {} of the batch: {}", at.saturating_add(row.index), shown(&row.message))
            });
            let rows: Vec<_> = rows.collect();
            let text = format!("{} rows are refused, {}", row_errors.len(), rows.join("; "));
            Err(Fault::from_error(FaultKind::ContentRefused, context, text))
        }
        Err(error) => Err(Fault::from_error(FaultKind::Unavailable, context, error)),
    }
}

/// The answer to the sealing of a stream.
pub(super) fn sealed(
    context: &str,
    answer: Result<FinalizeWriteStreamResponse, Error>,
) -> Result<Sealing, Fault> {
    match answer {
        Ok(sealed) => {
            let rows = u64::try_from(sealed.row_count);
            rows.map(Sealing::Rows).map_err(|error| Fault::from_error(FaultKind::Unavailable, context, error))
        }
        Err(error) => match error.status().map(|status| status.code) {
            Some(Code::NotFound) => Ok(Sealing::Gone(words(&error))),
            Some(
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::PermissionDenied
                | Code::Unauthenticated,
            ) => Ok(Sealing::Refused(words(&error))),
            _ => Err(refused(context, &error)),
        },
    }
}

/// The answer to a commit.
pub(super) fn committed(
    context: &str,
    answer: Result<BatchCommitWriteStreamsResponse, CommitError>,
) -> Result<Committing, Fault> {
    match answer {
        Ok(_) => Ok(Committing::Committed),
        Err(CommitError::Rpc { source, .. }) => match source.status().map(|status| status.code) {
            Some(Code::NotFound) => Ok(Committing::Gone(words(&source))),
            Some(
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::PermissionDenied
                | Code::Unauthenticated,
            ) => Ok(Committing::Refused(words(&source))),
            _ => Err(refused(context, &source)),
        },
        Err(CommitError::FailedTransaction { stream_errors, .. }) => Ok(of_streams(&stream_errors)),
        Err(error) => Err(Fault::from_error(FaultKind::Unavailable, context, error)),
    }
}

fn of_streams(errors: &[StorageError]) -> Committing {
    let committed = |error: &StorageError| error.code == StorageErrorCode::StreamAlreadyCommitted;
    if !errors.is_empty() && errors.iter().all(committed) {
        return Committing::Committed;
    }
    let words = errors.iter().map(|error| format!("{:?}: {}", error.code, shown(&error.error_message)));
    let words = words.collect::<Vec<_>>().join("; ");
    let gone = |error: &StorageError| {
        error.code == StorageErrorCode::StreamNotFound || error.code == StorageErrorCode::TableNotFound
    };
    if !errors.is_empty() && errors.iter().all(gone) {
        Committing::Gone(words)
    } else {
        Committing::Refused(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: StorageErrorCode) -> StorageError {
        StorageError::new().set_code(code).set_error_message("so it is")
    }

    #[test]
    fn only_a_stream_that_is_committed_already_counts_as_committed() {
        use StorageErrorCode::{InvalidStreamState, StreamAlreadyCommitted, StreamNotFound};
        assert_eq!(of_streams(&[error(StreamAlreadyCommitted)]), Committing::Committed);
        assert!(matches!(of_streams(&[error(StreamNotFound)]), Committing::Gone(_)));
        for others in [
            vec![],
            vec![error(InvalidStreamState)],
            vec![error(StreamAlreadyCommitted), error(StreamNotFound)],
        ] {
            assert!(matches!(of_streams(&others), Committing::Refused(_)), "{others:?}");
        }
    }

    #[test]
    fn rows_that_are_said_to_exist_are_not_taken_for_appended() {
        let refusal = |code: Code| {
            let status = google_cloud_gax::error::rpc::Status::default().set_code(code).set_message("no");
            appended("cannot append", 0, Err(Error::service(status).into())).unwrap_err()
        };
        assert_eq!(refusal(Code::AlreadyExists).kind, FaultKind::Unavailable);
        assert_eq!(refusal(Code::OutOfRange).kind, FaultKind::Unavailable);
        assert_eq!(refusal(Code::InvalidArgument).kind, FaultKind::ContentRefused);
        assert_eq!(refusal(Code::PermissionDenied).kind, FaultKind::AccessDenied);
        let elsewhere = AppendResponse::default();
        assert!(appended("cannot append", 7, Ok(elsewhere)).is_ok());
    }

    #[test]
    fn a_stream_that_is_gone_is_told_from_one_that_is_not_sealed() {
        let answer = |code: Code| {
            let status = google_cloud_gax::error::rpc::Status::default().set_code(code).set_message("no");
            sealed("cannot seal", Err(Error::service(status)))
        };
        assert!(matches!(answer(Code::NotFound), Ok(Sealing::Gone(_))));
        assert!(matches!(answer(Code::FailedPrecondition), Ok(Sealing::Refused(_))));
        assert_eq!(answer(Code::Unavailable).unwrap_err().kind, FaultKind::Unavailable);
        let whole = FinalizeWriteStreamResponse::new().set_row_count(7);
        assert!(matches!(sealed("cannot seal", Ok(whole)), Ok(Sealing::Rows(7))));
    }

    #[test]
    fn words_of_the_service_are_cut() {
        let fault = refused(
            "cannot append",
            &Error::service(
                google_cloud_gax::error::rpc::Status::default()
                    .set_code(Code::Internal)
                    .set_message("x".repeat(9_000)),
            ),
        );
        assert!(fault.chain().len() < 400, "{}", fault.chain().len());
    }
}
