//! What a client is told when it does not get what it asked for.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::guard::Quota;

/// The class of an error: status code and the `type` that OpenAI's clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: something in the request, named by `param`.
    Invalid,
    /// 401: no key, or a wrong one.
    Key,
    /// 403: not allowed, whatever the key.
    Forbidden,
    /// 404: no such route or model.
    NotFound,
    /// 405: the route does not take this method.
    Method,
    /// 408: the request took too long to arrive.
    Slow,
    /// 413: the body is too long.
    TooLarge,
    /// 415: the body is not JSON.
    MediaType,
    /// 429: this client has asked for too much; it may come back.
    RateLimit,
    /// 431: the headers are too long, or too many.
    Headers,
    /// 500: a fault of ours.
    Internal,
    /// 501: this model or build cannot do that.
    NotSupported,
    /// 503: the server has no room now, is loading, or is about to stop.
    Unavailable,
}

impl ErrorKind {
    /// The status code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Key => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotSupported => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `type` of the error object.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid
            | Self::Method
            | Self::Slow
            | Self::TooLarge
            | Self::MediaType
            | Self::Headers => "invalid_request_error",
            Self::Key => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RateLimit => "rate_limit_error",
            Self::Internal => "server_error",
            Self::NotSupported => "not_supported_error",
            Self::Unavailable => "unavailable_error",
        }
    }
}

/// A refusal or failure, in the shape of OpenAI's: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Class.
    pub kind: ErrorKind,
    /// What was expected, what came, and what to do.
    pub message: String,
    /// The field of the request that is at fault, such as `messages[2].content`.
    pub param: Option<Cow<'static, str>>,
    /// A word for programs, such as `context_length_exceeded`.
    pub code: Option<&'static str>,
    /// When it is worth coming back.
    pub retry_after: Option<Duration>,
    /// Whether the connection is closed after this answer.
    pub close: bool,
    /// The client's limits, where they are why.
    pub quota: Option<Box<Quota>>,
}

impl ApiError {
    /// An error without further details.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
            close: false,
            quota: None,
        }
    }

    /// A 400 that names the field.
    #[must_use]
    pub fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message).param(param)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds a word for programs.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Ends the connection after this answer.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The body: an object with `error` in it.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind.name(),
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        if self.kind == ErrorKind::Key {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(quota) = self.quota {
            quota.put(headers);
        }
        if let Some(wait) = self.retry_after {
            // OpenAI's clients read milliseconds first; whole seconds are for all others.
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(
                HeaderName::from_static("retry-after-ms"),
                HeaderValue::from(millis),
            );
            headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000).max(1)));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
