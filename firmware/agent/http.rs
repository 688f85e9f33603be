//! One request and its answer over a connection of HTTP/1, whatever that runs over.

use std::future::Future;

use tokio::pin;

/// What `answer` comes to while the connection is driven.
pub(crate) async fn drive<T>(connection: impl Future, answer: impl Future<Output = T>) -> T {
    pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The server is done; what it said may still wait to be read.
        _ = connection => answer.await,
    }
}
