//! What a failed attempt to ask a server tells of it.
//!
//! In: the error. Out: one [`Probe`]. Nothing is asked here.

use std::error::Error;
use std::io;

use tokio_postgres::error::SqlState;

use crate::model::health::Probe;
use crate::postgres::session::PostgresError;

/// PostgreSQL's FATAL answer to whoever connects too late; the same code is given to those who connect too early.
const SHUTTING_DOWN: &str = "shutting down";

/// What this error tells.
pub fn of(error: &PostgresError) -> Probe {
    if let Some(answer) = error.answer() {
        return of_answer(answer.code(), answer.message());
    }
    match error {
        PostgresError::Silent { .. } | PostgresError::Stuck { .. } => Probe::TimesOut,
        // It answered, if not as expected.
        PostgresError::Unexpected { .. } | PostgresError::Tls { .. } => Probe::Answers,
        PostgresError::Unreachable { source, .. } => of_link(source),
        PostgresError::Statement { answer, .. } => of_link(answer),
    }
}

/// A server that says no lives. The codes: <https://www.postgresql.org/docs/17/errcodes-appendix.html>.
fn of_answer(code: &SqlState, text: &str) -> Probe {
    match code {
        &SqlState::CANNOT_CONNECT_NOW | &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN
            if text.contains(SHUTTING_DOWN) =>
        {
            Probe::ShuttingDown
        }
        &SqlState::CANNOT_CONNECT_NOW | &SqlState::CRASH_SHUTDOWN => Probe::Starting,
        &SqlState::DISK_FULL => Probe::DiskFull,
        code if code.code().starts_with("28") => Probe::AuthenticationFault,
        _ => Probe::Answers,
    }
}

/// The link to it did not come about, or broke.
fn of_link(error: &tokio_postgres::Error) -> Probe {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return of_io(io);
        }
        cause = error.source();
    }
    // It was accepted and closed: by a proxy with nobody behind it, or by a server that ended.
    Probe::Refuses
}

fn of_io(error: &io::Error) -> Probe {
    match error.kind() {
        io::ErrorKind::TimedOut => Probe::TimesOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            Probe::NoRoute
        }
        // The engine's name server knows a container only while that is attached.
        _ if error.to_string().contains("lookup address") => Probe::NoRoute,
        _ => Probe::Refuses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_another() {
        let starting = "the database system is starting up";
        let ending = "the database system is shutting down";
        for (code, text, probe) in [
            (SqlState::CANNOT_CONNECT_NOW, starting, Probe::Starting),
            (SqlState::CANNOT_CONNECT_NOW, "the database system is not yet accepting connections", Probe::Starting),
            (SqlState::CANNOT_CONNECT_NOW, ending, Probe::ShuttingDown),
            (SqlState::DISK_FULL, "could not extend file", Probe::DiskFull),
            (SqlState::INVALID_PASSWORD, "password authentication failed", Probe::AuthenticationFault),
            (SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already", Probe::Answers),
        ] {
            assert_eq!(of_answer(&code, text), probe, "{text}");
        }
    }

    #[test]
    fn a_link_that_does_not_come_about_is_told_by_why() {
        for (kind, probe) in [
            (io::ErrorKind::ConnectionRefused, Probe::Refuses),
            (io::ErrorKind::ConnectionReset, Probe::Refuses),
            (io::ErrorKind::TimedOut, Probe::TimesOut),
            (io::ErrorKind::HostUnreachable, Probe::NoRoute),
        ] {
            assert_eq!(of_io(&kind.into()), probe, "{kind}");
        }
        let unknown_name = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(of_io(&unknown_name), Probe::NoRoute);
    }
}
