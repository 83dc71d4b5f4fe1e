//! The table of routes: the one place that says which paths there are.

use http::Method;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An answer to a conversation.
    Chat,
    /// The continuation of a text.
    Completion,
    /// An answer to a conversation, in the words of the responses interface.
    Responses,
    /// Vectors of texts.
    Embeddings,
    /// The models there are.
    Models,
    /// One of them.
    Model,
    /// Tokens of a text.
    Tokenize,
    /// Text of tokens.
    Detokenize,
    /// Whether the process is alive.
    Health,
    /// Whether it takes requests.
    Ready,
    /// Numbers for Prometheus.
    Metrics,
    /// What is running.
    Version,
    /// The description of this interface.
    OpenApi,
    /// What the server is doing.
    AdminStatus,
    /// What was measured.
    AdminMonitor,
    /// The kernels there are.
    AdminKernels,
    /// Another kernel.
    AdminKernel,
    /// Another profile.
    AdminProfile,
}

impl Action {
    /// What it does, in a line.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Chat => "An answer to a conversation",
            Self::Completion => "The continuation of a text",
            Self::Responses => "An answer to a conversation; nothing is remembered",
            Self::Embeddings => "Vectors of texts",
            Self::Models => "The models there are",
            Self::Model => "One model",
            Self::Tokenize => "Tokens of a text or a conversation",
            Self::Detokenize => "The text of tokens",
            Self::Health => "Whether the process is alive",
            Self::Ready => "Whether requests are taken",
            Self::Metrics => "Numbers for Prometheus",
            Self::Version => "What is running",
            Self::OpenApi => "This description",
            Self::AdminStatus => "What the server is doing",
            Self::AdminMonitor => "What was measured of machine and engine, from `since` on",
            Self::AdminKernels => "The kernels there are",
            Self::AdminKernel => "Go on with another kernel",
            Self::AdminProfile => "Go on under another profile",
        }
    }
}

/// A path with a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path. One that ends in `/` stands for all that begin with it.
    pub path: &'static str,
    /// The method; GET includes HEAD.
    pub method: Verb,
    /// What it does.
    pub action: Action,
}

/// The methods that routes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD.
    Get,
    /// POST.
    Post,
}

impl Verb {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            Self::Post => method == Method::POST,
        }
    }
}

const fn get(path: &'static str, action: Action) -> Route {
    Route {
        path,
        method: Verb::Get,
        action,
    }
}

const fn post(path: &'static str, action: Action) -> Route {
    Route {
        path,
        method: Verb::Post,
        action,
    }
}

/// Every route. Which of them need no key is the guard's business ([`crate::guard::needed`]).
pub const ROUTES: &[Route] = &[
    post("/v1/chat/completions", Action::Chat),
    post("/v1/completions", Action::Completion),
    post("/v1/responses", Action::Responses),
    post("/v1/embeddings", Action::Embeddings),
    get("/v1/models", Action::Models),
    get("/v1/models/", Action::Model),
    // Several clients are set up with a base address that lacks the version.
    post("/chat/completions", Action::Chat),
    post("/completions", Action::Completion),
    post("/responses", Action::Responses),
    post("/embeddings", Action::Embeddings),
    get("/models", Action::Models),
    get("/models/", Action::Model),
    post("/tokenize", Action::Tokenize),
    post("/detokenize", Action::Detokenize),
    post("/v1/tokenize", Action::Tokenize),
    post("/v1/detokenize", Action::Detokenize),
    get("/health", Action::Health),
    get("/ready", Action::Ready),
    get("/metrics", Action::Metrics),
    get("/version", Action::Version),
    get("/openapi.json", Action::OpenApi),
    get("/admin/status", Action::AdminStatus),
    get("/admin/monitor", Action::AdminMonitor),
    get("/admin/kernel", Action::AdminKernels),
    post("/admin/kernel", Action::AdminKernel),
    post("/admin/profile", Action::AdminProfile),
];

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A route, and what follows its path where that ends in `/`.
    Route(&'static Route, String),
    /// A path that takes other methods.
    Method(Vec<&'static str>),
    /// No path of ours.
    Nothing,
}

/// Looks for the route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(rest) = rest(route.path, path) else {
            continue;
        };
        if route.method.takes(method) {
            return Found::Route(route, unescape(rest));
        }
        methods.push(route.method.name());
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::Method(methods)
    }
}

fn rest<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    if route.ends_with('/') {
        path.strip_prefix(route).filter(|rest| !rest.is_empty())
    } else {
        (route == path).then_some("")
    }
}

/// `%41` as `A`. What is no escape stays, and what is no text becomes U+FFFD.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3);
        let value = digits
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(method: &Method, path: &str) -> Option<(Action, String)> {
        match find(method, path) {
            Found::Route(route, rest) => Some((route.action, rest)),
            _ => None,
        }
    }

    #[test]
    fn every_route_is_found_by_its_own_path_and_no_two_are_one() {
        for (index, route) in ROUTES.iter().enumerate() {
            let method = route.method.name().parse().unwrap();
            let path = format!(
                "{}{}",
                route.path,
                if route.path.ends_with('/') { "x" } else { "" }
            );
            assert_eq!(action(&method, &path).unwrap().0, route.action, "{path}");
            let again = ROUTES[index + 1..]
                .iter()
                .any(|other| (other.path, other.method) == (route.path, route.method));
            assert!(!again, "{} twice", route.path);
        }
    }

    #[test]
    fn every_versioned_route_is_there_without_its_version() {
        for route in ROUTES {
            if let Some(short) = route.path.strip_prefix("/v1") {
                let twin = ROUTES.iter().find(|other| other.path == short);
                assert_eq!(twin.map(|twin| twin.action), Some(route.action), "{short}");
            }
        }
    }

    #[test]
    fn other_spellings_are_other_paths() {
        for path in [
            "/",
            "",
            "/v1",
            "/v1/models/",
            "/health/",
            "//health",
            "/Health",
            "/v1/chat",
        ] {
            assert_eq!(find(&Method::GET, path), Found::Nothing, "{path}");
        }
        assert_eq!(
            find(&Method::GET, "/v1/chat/completions"),
            Found::Method(vec!["POST"])
        );
        assert_eq!(
            find(&Method::PUT, "/admin/kernel"),
            Found::Method(vec!["GET", "POST"])
        );
    }

    #[test]
    fn names_of_models_may_have_any_character() {
        let name = |path| action(&Method::GET, path).unwrap().1;
        assert_eq!(name("/v1/models/org/name"), "org/name");
        assert_eq!(name("/models/org%2Fn%20ame%"), "org/n ame%");
        assert_eq!(name("/models/%zz%4"), "%zz%4");
        assert_eq!(name("/models/%ff"), "\u{fffd}");
    }

    #[test]
    fn head_is_a_get() {
        assert!(action(&Method::HEAD, "/health").is_some());
        assert!(action(&Method::HEAD, "/v1/completions").is_none());
    }
}
