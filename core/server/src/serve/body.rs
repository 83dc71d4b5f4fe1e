//! Bodies of requests: read within bounds of size and time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, ErrorKind, Limits};

/// Refuses a body by what is said about it, before a byte of it is read.
pub(crate) fn check_length(headers: &HeaderMap, limits: &Limits) -> Result<(), ApiError> {
    let said = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    match said {
        Some(length) if length > limits.body_bytes as u64 => Err(too_large(limits)),
        _ => Ok(()),
    }
}

/// Refuses what says to be something other than JSON. A web page can send plain text to a server it should not
/// reach without asking; JSON it cannot.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(said) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let said = said.to_str().unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorKind::MediaType,
        "the body has to be JSON: send `content-type: application/json`",
    ))
}

/// Reads a body.
///
/// # Errors
/// 413, 408, and 503 when the bodies of others leave no room, after which the connection is closed, because the
/// rest of the body is still to come.
pub(crate) async fn read<B>(
    body: B,
    limits: &Limits,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    match tokio::time::timeout(limits.body_time, collect(body, limits, room)).await {
        Ok(read) => read,
        Err(_) => Err(slow(limits.body_time)),
    }
}

async fn collect<B>(
    mut body: B,
    limits: &Limits,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut all = BytesMut::new();
    let mut held = take(room, 0)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::new(ErrorKind::Invalid, "the body ended before it was complete").closing()
        })?;
        let Ok(data) = frame.into_data() else {
            continue; // Trailers say nothing here.
        };
        if all.len() + data.len() > limits.body_bytes {
            return Err(too_large(limits));
        }
        // As it comes, not as it is announced: a promise takes no room from anybody.
        held.merge(take(room, data.len())?);
        all.extend_from_slice(&data);
    }
    Ok((all.freeze(), held))
}

/// Room for so many bytes more.
fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let taken = u32::try_from(bytes).ok();
    let taken = taken.and_then(|bytes| Arc::clone(room).try_acquire_many_owned(bytes).ok());
    taken.ok_or_else(|| {
        let text = "the server is busy reading other requests: try again later";
        let full = ApiError::new(ErrorKind::Unavailable, text).code("bodies_full");
        full.retry_after(Duration::from_secs(1)).closing()
    })
}

fn too_large(limits: &Limits) -> ApiError {
    let most = limits.body_bytes;
    let text = format!("the body is longer than {most} bytes: send less text at once");
    ApiError::new(ErrorKind::TooLarge, text).closing()
}

fn slow(time: Duration) -> ApiError {
    let text = format!("the body did not arrive within {} s", time.as_secs_f64());
    ApiError::new(ErrorKind::Slow, text).closing()
}

#[cfg(test)]
mod tests {
    use axum::body::Body as Whole;
    use futures_util::stream;
    use http::HeaderValue;

    use super::*;

    fn limits() -> Limits {
        Limits {
            body_bytes: 8,
            body_time: Duration::from_millis(20),
            ..Limits::default()
        }
    }

    async fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> Result<Bytes, ApiError> {
        let room = Arc::new(Semaphore::new(100));
        let read = super::read(body, &limits(), &room).await;
        read.map(|(body, _)| body)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn bodies_together_have_a_bound_and_give_their_room_back() {
        run(async {
            let room = Arc::new(Semaphore::new(10));
            let first = super::read(Whole::from("1234567"), &limits(), &room)
                .await
                .unwrap();
            let error = super::read(Whole::from("1234"), &limits(), &room)
                .await
                .unwrap_err();
            assert_eq!((error.kind, error.close), (ErrorKind::Unavailable, true));
            assert!(error.retry_after.is_some());
            let second = super::read(Whole::from("123"), &limits(), &room)
                .await
                .unwrap();
            assert_eq!((&*second.0, room.available_permits()), (&b"123"[..], 0));
            drop((first, second));
            assert_eq!(room.available_permits(), 10);
        });
    }

    #[test]
    fn a_body_is_read_up_to_its_bound() {
        run(async {
            assert_eq!(read(Whole::from("12345678")).await.unwrap(), "12345678");
            let error = read(Whole::from("123456789")).await.unwrap_err();
            assert_eq!((error.kind, error.close), (ErrorKind::TooLarge, true));
            // Pieces add up, whatever was said about the length.
            let pieces = stream::iter(["12345", "6789"].map(Ok::<_, std::io::Error>));
            let error = read(Whole::from_stream(pieces)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::TooLarge);
        });
    }

    #[test]
    fn a_body_that_does_not_come_is_given_up() {
        run(async {
            let never = stream::pending::<Result<Bytes, std::io::Error>>();
            let error = read(Whole::from_stream(never)).await.unwrap_err();
            assert_eq!((error.kind, error.close), (ErrorKind::Slow, true));
            let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
            let error = read(Whole::from_stream(broken)).await.unwrap_err();
            assert_eq!((error.kind, error.close), (ErrorKind::Invalid, true));
        });
    }

    #[test]
    fn what_is_said_about_a_body_is_looked_at_first() {
        let with = |name, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        let length = |value| check_length(&with(CONTENT_LENGTH, value), &limits()).is_ok();
        assert!(length("8") && !length("9") && !length("18446744073709551615"));
        let kind = |value| check_type(&with(CONTENT_TYPE, value)).is_ok();
        assert!(kind("application/json") && kind("Application/JSON; charset=utf-8"));
        assert!(kind("application/problem+json"));
        assert!(!kind("text/plain") && !kind("application/x-www-form-urlencoded") && !kind(""));
        assert!(check_type(&HeaderMap::new()).is_ok());
    }
}
