//! What went wrong at an S3 service, sorted: by its code, else by the HTTP status, else by how far the request came.
//!
//! Texts are the service's own messages. They never hold a secret key; the parts of an answer that could help to guess one, such
//! as the text that was to be signed, are not read.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::Fault;

/// The kind of a failure, and what was said about it.
pub fn sort<E>(error: &SdkError<E>) -> (Fault, String)
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or_default();
            let message = answer.err().message().unwrap_or("the service gave no reason").trim_end_matches('.');
            let code = if code.is_empty() { String::new() } else { format!("{code}, ") };
            (fault_of(answer.err().code().unwrap_or_default(), status), format!("{message} ({code}HTTP {status})"))
        }
        SdkError::TimeoutError(_) => (Fault::Unavailable, "the service gave no answer in time".to_owned()),
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let fault = if status == 200 { Fault::Unavailable } else { fault_of("", status) };
            (fault, format!("the answer cannot be understood (HTTP {status}): {}", deepest(error)))
        }
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if lacks_credentials(error) => {
            (Fault::Denied, format!("there are no credentials: {}", deepest(error)))
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => (Fault::Other, deepest(error)),
        SdkError::DispatchFailure(_) => (Fault::Unavailable, deepest(error)),
        _ => (Fault::Other, deepest(error)),
    }
}

fn fault_of(code: &str, status: u16) -> Fault {
    match code {
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" | "NotFound" => Fault::Missing,
        "RequestTimeTooSkewed" | "RequestExpired" => Fault::ClockSkew,
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => Fault::Full,
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired" => Fault::Denied,
        // The last ones say that bytes were lost or changed on their way, which another attempt may mend.
        "InternalError"
        | "OperationAborted"
        | "RequestTimeout"
        | "ServiceUnavailable"
        | "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "Throttling"
        | "ThrottlingException"
        | "BadDigest"
        | "IncompleteBody"
        | "XAmzContentSHA256Mismatch" => Fault::Unavailable,
        _ => match status {
            401 | 403 => Fault::Denied,
            404 => Fault::Missing,
            507 => Fault::Full,
            408 | 429 | 500.. => Fault::Unavailable,
            _ => Fault::Other,
        },
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// The SDK does not export the type of this error.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| error.to_string().contains("credential"))
}

/// What the innermost cause says, which is the operating system or the other side; all around it is the SDK's own structure.
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_before_the_status_does() {
        for (code, status, fault) in [
            ("NoSuchBucket", 404, Fault::Missing),
            ("", 404, Fault::Missing),
            ("RequestTimeTooSkewed", 403, Fault::ClockSkew),
            ("SignatureDoesNotMatch", 403, Fault::Denied),
            ("InvalidAccessKeyId", 403, Fault::Denied),
            ("ExpiredToken", 400, Fault::Denied),
            ("SomethingNew", 403, Fault::Denied),
            ("SlowDown", 503, Fault::Unavailable),
            ("SomethingNew", 502, Fault::Unavailable),
            ("BadDigest", 400, Fault::Unavailable),
            ("XMinioStorageFull", 507, Fault::Full),
            ("EntityTooLarge", 400, Fault::Other),
            ("PermanentRedirect", 301, Fault::Other),
        ] {
            assert_eq!(fault_of(code, status), fault, "{code} {status}");
        }
    }
}
