//! Signals that ask a verb to end.

use tokio::signal::unix::{SignalKind, signal};

/// Ends when somebody asks us to end: SIGINT or SIGTERM.
pub async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
