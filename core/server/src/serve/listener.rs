//! Connections: taken up to a number, HTTP/1.1 only, with bounds on headers and on the time they take.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::pass;
use super::phase::Phase;
use crate::Limits;

/// The least that hyper takes as a bound of its buffer.
const LEAST_BUFFER: usize = 8192;

/// How long to wait when the system gives no connection, for want of file descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(50);

/// What a connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 122\r\n\
    retry-after: 1\r\n\
    retry-after-ms: 1000\r\n\
    connection: close\r\n\r\n\
    {\"error\":{\"message\":\"too many connections: try again later\",\"type\":\"unavailable_error\",\"param\":null,\"code\":\"connections\"}}";

/// Takes connections until the server is over, and waits until they are closed.
pub(super) async fn run(app: Arc<App>, listener: TcpListener) {
    let seats = Arc::new(Semaphore::new(app.config.limits.connections));
    let over = app.life.reached(Phase::Over);
    let mut over = pin!(over);
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = &mut over => break,
        };
        match taken {
            Ok((stream, peer)) => admit(&app, &seats, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // All seats are free when the last connection is closed.
    let all = u32::try_from(app.config.limits.connections).unwrap_or(u32::MAX);
    let closed = seats.acquire_many(all);
    if tokio::time::timeout(app.config.close_time, closed)
        .await
        .is_err()
    {
        tracing::warn!("connections are cut off: their clients did not read to the end");
    }
}

fn admit(app: &Arc<App>, seats: &Arc<Semaphore>, stream: TcpStream, peer: SocketAddr) {
    // Every token of a stream is to leave at once.
    let _ = stream.set_nodelay(true);
    match Arc::clone(seats).try_acquire_owned() {
        Ok(seat) => drop(tokio::spawn(talk(Arc::clone(app), stream, peer, seat))),
        Err(_) => drop(tokio::spawn(refuse(stream))),
    }
}

/// Says that there is no room. The answer fits the socket's buffer, so this does not wait for the client.
async fn refuse(mut stream: TcpStream) {
    let write = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), write).await;
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        .max_headers(limits.headers)
        .half_close(false);
    http
}

async fn talk(app: Arc<App>, stream: TcpStream, peer: SocketAddr, _seat: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(pass::through(app, peer, request.map(Body::new)).await) }
    });
    let connection = protocol(&app.config.limits).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.life.reached(Phase::Over) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients leave as they like.
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_its_own_length() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
