//! One connection: TCP, TLS where the address asks for it, HTTP/1.1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::address::Address;
use crate::client::Times;
use crate::error::{ClientError, Fault};

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Opens a connection; a task of the running runtime drives it until both sides are done.
pub(crate) async fn open(address: &Address, times: &Times) -> Result<Sender, ClientError> {
    let failed = |source| ClientError::Connect {
        address: address.to_string(),
        source,
    };
    let connecting = async {
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(failed)?;
        // Requests are small, and nobody wants to wait for more of them.
        stream.set_nodelay(true).map_err(failed)?;
        if address.tls {
            let name = ServerName::try_from(address.host.clone()).map_err(|_| {
                failed(std::io::Error::other(
                    "the host is no name for a certificate",
                ))
            })?;
            let connector = TlsConnector::from(Arc::new(tls_config()?));
            let stream = connector.connect(name, stream).await.map_err(failed)?;
            shake_hands(TokioIo::new(stream)).await
        } else {
            shake_hands(TokioIo::new(stream)).await
        }
    };
    within(times.connect, "connecting", connecting).await
}

async fn shake_hands<S>(stream: S) -> Result<Sender, ClientError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    tokio::spawn(async move {
        // What breaks here breaks the request as well, which says so.
        let _ = connection.await;
    });
    Ok(sender)
}

fn tls_config() -> Result<ClientConfig, ClientError> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Protocol(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Waits for `work`, but not for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(ClientError::Timeout { what, limit }))
}

pub(crate) fn broken(error: hyper::Error) -> ClientError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ClientError::Broken(text)
}

/// The head of an answer, and its body still to come.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    limit: Duration,
}

/// Longest body that is read as a whole.
const MOST_BYTES: usize = 32 << 20;
/// As much of a refusal is read.
const MOST_REFUSAL: usize = 64 << 10;

impl Reply {
    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn to(
        sender: &mut Sender,
        request: Request<Full<Bytes>>,
        times: &Times,
    ) -> Result<Self, ClientError> {
        let sending = async { sender.send_request(request).await.map_err(broken) };
        let response = within(times.answer, "the server's answer", sending).await?;
        let (head, body) = response.into_parts();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body,
            limit: times.silence,
        })
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks, or stays silent for too long.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let next = async { self.body.frame().await.transpose().map_err(broken) };
            let frame = within(self.limit, "more of the server's answer", next).await?;
            match frame.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                // Trailers say nothing here.
                Some(Err(_)) => {}
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`piece`](Self::piece), and when it has more than 32 MiB.
    pub async fn bytes(mut self) -> Result<Vec<u8>, ClientError> {
        self.up_to(MOST_BYTES).await
    }

    async fn up_to(&mut self, most: usize) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > most {
                return Err(ClientError::Protocol(format!(
                    "a body of more than {most} bytes"
                )));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// This answer if it is a good one, else what the server says against the request.
    ///
    /// # Errors
    /// For every status outside of 200 to 299.
    pub async fn accepted(mut self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let retry_after = retry_after(&self.headers);
        let deadline = Instant::now() + self.limit;
        // A refusal that does not come to an end is still one.
        let text = match tokio::time::timeout_at(deadline.into(), self.up_to(MOST_REFUSAL)).await {
            Ok(Ok(bytes)) => bytes,
            _ => Vec::new(),
        };
        let reason = self.status.canonical_reason().unwrap_or("no reason");
        Err(ClientError::Status {
            status: self.status.as_u16(),
            fault: fault_of(&text, reason),
            retry_after,
        })
    }
}

/// What `retry-after-ms`, or else `retry-after` in seconds, says.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The `error` object in `text`, in any of the shapes that servers give it.
pub(crate) fn fault_of(text: &[u8], otherwise: &str) -> Fault {
    let value: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let word = |name: &str| Some(error.get(name)?.as_str()?.to_owned());
    // Servers in Python with FastAPI have a text for people of their own name, without an object.
    let said = word("message")
        .or_else(|| Some(error.as_str()?.to_owned()))
        .or_else(|| word("detail"));
    Fault {
        message: said.unwrap_or_else(|| otherwise.to_owned()),
        kind: word("type").unwrap_or_default(),
        param: word("param"),
        code: word("code").or_else(|| Some(error.get("code")?.as_i64()?.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_every_shape() {
        let openai = br#"{"error":{"message":"no","type":"t","param":"p","code":null}}"#;
        let fault = fault_of(openai, "x");
        assert_eq!((fault.message.as_str(), fault.kind.as_str()), ("no", "t"));
        assert_eq!((fault.param.as_deref(), fault.code), (Some("p"), None));
        let numbered = fault_of(br#"{"error":{"message":"no","code":400}}"#, "x");
        assert_eq!(numbered.code.as_deref(), Some("400"));
        assert_eq!(fault_of(br#"{"error":"no"}"#, "x").message, "no");
        assert_eq!(fault_of(br#"{"message":"no"}"#, "x").message, "no");
        assert_eq!(fault_of(br#"{"detail":"no"}"#, "x").message, "no");
        assert_eq!(fault_of(b"<html>", "Bad Gateway").message, "Bad Gateway");
    }

    #[test]
    fn milliseconds_come_before_seconds() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert("retry-after", "2".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(2)));
        headers.insert("retry-after-ms", "70".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_millis(70)));
        headers.insert("retry-after-ms", "-1".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }
}
