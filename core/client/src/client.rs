//! Requests to one server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::address::Address;
use crate::chat::{ChatStream, completion_of};
use crate::connection::{self, Reply, Sender};
use crate::error::ClientError;
use crate::retry::Retries;
use crate::types::{ChatRequest, Completion, ModelEntry, Models, Vectors};

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer. Servers send that of a whole answer when the answer is complete.
    pub answer: Duration,
    /// For the next piece of an answer.
    pub silence: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(600),
            silence: Duration::from_secs(120),
        }
    }
}

/// Speaks to one server. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    address: Address,
    /// The whole header line, marked as sensitive.
    key: Option<HeaderValue>,
    times: Times,
    retries: Retries,
    /// Streams are asked to end with counted tokens.
    counted: bool,
    idle: Arc<Mutex<Vec<Sender>>>,
}

/// Connections that are kept open for the next request.
const MOST_IDLE: usize = 64;

impl Client {
    /// A client without a key, that does not repeat requests.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            key: None,
            times: Times::default(),
            retries: Retries::NEVER,
            counted: true,
            idle: Arc::default(),
        }
    }

    /// Sends `key` with every request.
    ///
    /// # Errors
    /// When it has characters that no header may have.
    pub fn with_key(mut self, key: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
            ClientError::Address("the API key has characters that no header may have".to_owned())
        })?;
        value.set_sensitive(true);
        self.key = Some(value);
        Ok(self)
    }

    /// Waits as long as `times` say.
    #[must_use]
    pub fn with_times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// Repeats requests that met a busy server.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Does not ask streams to end with counted tokens (`stream_options`), for servers that refuse a request which
    /// does.
    #[must_use]
    pub fn without_stream_options(mut self) -> Self {
        self.counted = false;
        self
    }

    /// The server.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Models that the server has.
    ///
    /// # Errors
    /// As for every request: when there is no way to the server, or it refuses.
    pub async fn models(&self) -> Result<Vec<ModelEntry>, ClientError> {
        let models: Models = self
            .json(Method::GET, &self.address.v1("/models"), None)
            .await?;
        Ok(models.data)
    }

    /// A whole answer: of a chat, or the continuation of a text.
    ///
    /// # Errors
    /// As for every request.
    pub async fn chat(&self, request: &ChatRequest) -> Result<Completion, ClientError> {
        let body = to_value(request)?;
        let path = self.answering(request);
        completion_of(self.json(Method::POST, &path, Some(&body)).await?)
    }

    /// An answer as it is written. Dropping the stream ends it, at the server as well.
    ///
    /// # Errors
    /// As for every request.
    pub async fn chat_stream(&self, request: &ChatRequest) -> Result<ChatStream, ClientError> {
        let mut body = to_value(request)?;
        body["stream"] = Value::Bool(true);
        if self.counted {
            body["stream_options"] = serde_json::json!({"include_usage": true});
        }
        let path = self.answering(request);
        let reply = self.request(Method::POST, &path, Some(&body)).await?;
        Ok(ChatStream::of(reply))
    }

    /// The path of the route that answers such a request.
    fn answering(&self, request: &ChatRequest) -> String {
        self.address.v1(match request.prompt {
            Some(_) => "/completions",
            None => "/chat/completions",
        })
    }

    /// Vectors of texts, in their order. Where a server gives one for every token, their mean.
    ///
    /// # Errors
    /// As for every request, and when there is not one vector for each text.
    pub async fn embeddings(
        &self,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, ClientError> {
        let mut body = serde_json::json!({"input": texts, "encoding_format": "float"});
        if !model.is_empty() {
            body["model"] = model.into();
        }
        let path = self.address.v1("/embeddings");
        let Vectors { mut data } = self.json(Method::POST, &path, Some(&body)).await?;
        data.sort_by_key(|vector| vector.index);
        if data.len() != texts.len() {
            return Err(ClientError::Protocol(format!(
                "{} vectors came for {} texts",
                data.len(),
                texts.len()
            )));
        }
        Ok(data
            .into_iter()
            .map(|vector| vector.embedding.mean())
            .collect())
    }

    /// What a route of the server itself says, such as `/metrics`.
    ///
    /// # Errors
    /// As for every request.
    pub async fn text(&self, route: &str) -> Result<String, ClientError> {
        let reply = self
            .request(Method::GET, &self.address.path(route), None)
            .await?;
        Ok(String::from_utf8_lossy(&reply.bytes().await?).into_owned())
    }

    /// What a route of the server itself says, as JSON; with a `body`, by `POST`.
    ///
    /// # Errors
    /// As for every request, and when it is not what is expected.
    pub async fn route<T: DeserializeOwned>(
        &self,
        route: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        self.json(method, &self.address.path(route), body).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let bytes = self.request(method, path, body).await?.bytes().await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ClientError::Protocol(format!("{path}: {error}")))
    }

    /// A request, repeated as the client was told, and the head of a good answer.
    ///
    /// # Errors
    /// When there is no way to the server, or it refuses.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let mut done = 0;
        loop {
            let error = match self.once(method.clone(), path, body).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some(wait) = self.retries.wait_after(&error, done) else {
                return Err(error);
            };
            tokio::time::sleep(wait).await;
            done += 1;
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let request = || {
            let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
            let mut request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header(HOST, self.address.authority())
                .header(USER_AGENT, concat!("tritone/", env!("CARGO_PKG_VERSION")))
                .header(ACCEPT, "application/json, text/event-stream, text/plain");
            if body.is_some() {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            if let Some(key) = &self.key {
                request = request.header(AUTHORIZATION, key);
            }
            request
                .body(Full::new(bytes))
                .map_err(|error| ClientError::Protocol(error.to_string()))
        };
        // A connection that was kept may have been closed meanwhile: then a new one is worth a try.
        if let Some(mut sender) = self.idle() {
            match Reply::to(&mut sender, request()?, &self.times).await {
                Err(ClientError::Broken(_)) => {}
                reply => {
                    self.keep(sender);
                    return reply?.accepted().await;
                }
            }
        }
        let mut sender = connection::open(&self.address, &self.times).await?;
        let reply = Reply::to(&mut sender, request()?, &self.times).await?;
        self.keep(sender);
        reply.accepted().await
    }

    /// A connection that is ready for a request.
    fn idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().position(Sender::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    /// Keeps a connection; it becomes ready when its answer has been read to the end.
    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !sender.is_closed() {
            idle.push(sender);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address.to_string())
            .finish_non_exhaustive()
    }
}

fn to_value(request: &ChatRequest) -> Result<Value, ClientError> {
    serde_json::to_value(request).map_err(|error| ClientError::Protocol(error.to_string()))
}
