//! What is in a repository.

use serde::Deserialize;

use super::http::{Client, Fault, HttpError, Reply, retry_after, text};
use super::target::is_safe;

/// Longest page of a listing; a thousand files take 300 KB.
const MOST_PAGE: u64 = 16 << 20;
/// Most pages that are read.
const MOST_PAGES: usize = 50;

/// What the content of a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// SHA-256 of the content: large files.
    Sha256(String),
    /// SHA-1 of the content as git stores it: small files.
    GitBlob(String),
}

impl Checksum {
    /// `sha256:...`, for files.
    pub(crate) fn tag(&self) -> String {
        match self {
            Self::Sha256(hex) => format!("sha256:{hex}"),
            Self::GitBlob(hex) => format!("git:{hex}"),
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::GitBlob(_) => "SHA-1 (git)",
        }
    }

    /// A checksum out of what the server calls an etag or an object id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_ascii_lowercase();
        let digits = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
        match hex.len() {
            64 if digits => Some(Self::Sha256(hex)),
            40 if digits => Some(Self::GitBlob(hex)),
            _ => None,
        }
    }
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteFile {
    /// With `/` between directories; safe to join to a directory.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
}

/// A repository at one commit.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) files: Vec<RemoteFile>,
    /// The commit, if the server says it, else what was asked for.
    pub(crate) revision: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: Option<u64>,
}

/// Lists `repo` at `revision`.
///
/// # Errors
/// What the server answers, with the remedy.
pub(crate) fn list(client: &Client, repo: &str, revision: &str) -> Result<Listing, HttpError> {
    let mut page = format!(
        "/api/models/{repo}/tree/{}?recursive=true",
        revision.replace('/', "%2F")
    );
    let mut listing = Listing {
        files: Vec::new(),
        revision: revision.to_owned(),
    };
    for _ in 0..MOST_PAGES {
        let mut reply = client.get(&page, &[("accept", "application/json")])?;
        if !reply.status.is_success() {
            return Err(refusal(client, &reply, &format!("'{repo}' at {revision}")));
        }
        let commit = text(&reply.headers, "x-repo-commit").unwrap_or_default();
        if commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            listing.revision = commit.to_owned();
        }
        let wrong = |error: String| {
            let what = format!("{} answers with no list of files: {error}", reply.host);
            HttpError::new(Fault::Final, what)
        };
        let bytes = reply.body.with_config().limit(MOST_PAGE).read_to_vec();
        let bytes = bytes.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => wrong(error.to_string()),
            error => HttpError::new(Fault::Passing, format!("{}: {error}", reply.host)),
        })?;
        let entries: Vec<Entry> =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        listing.files.extend(entries.into_iter().filter_map(file));
        match next(text(&reply.headers, "link").unwrap_or_default()) {
            // Only what is asked of the same server: the rest of the address is its.
            Some(link) => page = path_of(link, client)?,
            None => return Ok(listing),
        }
    }
    let what = format!("'{repo}' has more files than are read ({MOST_PAGES} pages)");
    Err(HttpError::new(Fault::Final, what))
}

fn file(entry: Entry) -> Option<RemoteFile> {
    if entry.kind != "file" || !is_safe(&entry.path) {
        return None;
    }
    let (oid, size) = match &entry.lfs {
        Some(lfs) => (Some(lfs.oid.as_str()), lfs.size.unwrap_or(entry.size)),
        None => (entry.oid.as_deref(), entry.size),
    };
    Some(RemoteFile {
        checksum: oid.and_then(Checksum::parse),
        path: entry.path,
        size,
    })
}

/// The address behind `rel="next"` (RFC 8288).
fn next(link: &str) -> Option<&str> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        parameters
            .replace('"', "")
            .contains("rel=next")
            .then_some(address)
    })
}

/// Path and query of an address of the same server.
fn path_of(link: &str, client: &Client) -> Result<String, HttpError> {
    if link.starts_with('/') && !link.starts_with("//") {
        return Ok(link.to_owned());
    }
    let path = link
        .strip_prefix(&client.endpoint())
        .filter(|path| path.starts_with('/'));
    path.map(str::to_owned).ok_or_else(|| {
        let what = "the list of files goes on at another server, which is not followed";
        HttpError::new(Fault::Final, what)
    })
}

/// What an answer that is no file means, and what to do.
pub(crate) fn refusal(client: &Client, reply: &Reply, what: &str) -> HttpError {
    let host = &reply.host;
    let code = text(&reply.first, "x-error-code").unwrap_or_default();
    let status = reply.status.as_u16();
    let gated = code == "GatedRepo";
    let final_ = |message: String| HttpError::new(Fault::Final, message);
    match (status, client.token_from()) {
        (401 | 403, None) if gated => final_(format!(
            "{what} is only given to accounts that have accepted its terms: accept them on its page, \
             and set HF_TOKEN to a token of that account"
        )),
        (401, None) if client.withholds_token() => final_(format!(
            "{host} asks for a token, which is only sent over https"
        )),
        (401, None) => final_(format!(
            "{host} does not show {what}: check the name; a private repository needs a token in \
             HF_TOKEN"
        )),
        (401, Some(from)) => final_(format!(
            "{host} does not show {what} to the token of {from}: check the name, and whether the token \
             is still valid"
        )),
        (403, from) => {
            let with = from.map_or(String::new(), |from| format!(" with the token of {from}"));
            final_(format!(
                "{host} refuses {what}{with} (403): accept its terms on its page with the account of \
                 the token, or use a token with more rights"
            ))
        }
        (404, _) => final_(match code {
            "RevisionNotFound" => format!("{what}: there is no such revision"),
            _ => format!("{host} has no {what}: check the name, the revision and the file"),
        }),
        (429, _) => HttpError::new(
            Fault::Later(retry_after(&reply.headers).unwrap_or(std::time::Duration::from_secs(5))),
            format!("{host} has had too many requests (429); try again in a while"),
        ),
        (500..=599, _) => {
            let wait = retry_after(&reply.headers);
            HttpError::new(
                wait.map_or(Fault::Passing, Fault::Later),
                format!("{host} has trouble ({status}); try again in a while"),
            )
        }
        _ => final_(format!("{host} answers {what} with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_checksums_and_paths() {
        let link = r#"</a>; rel="prev", <https://h/b?cursor=x,y>; rel="next""#;
        // A comma in an address cuts it; the hub's cursors are base64.
        assert_eq!(next(link), None);
        assert_eq!(
            next(r#"</a>; rel="prev", </b?c>; rel="next""#),
            Some("/b?c")
        );
        assert_eq!(next(""), None);
        let sha = "A".repeat(64);
        assert_eq!(
            Checksum::parse(&format!("\"{sha}\"")),
            Some(Checksum::Sha256("a".repeat(64)))
        );
        assert_eq!(Checksum::parse("W/\"abc\""), None);
        let entry = |kind: &str, path: &str| {
            file(Entry {
                kind: kind.to_owned(),
                path: path.to_owned(),
                size: 1,
                oid: None,
                lfs: None,
            })
        };
        assert!(entry("file", "a/b.gguf").is_some());
        for path in [
            "../x",
            "/etc/passwd",
            "a/../b",
            "",
            ".git/config",
            "a\u{1b}[2J",
            "c:\\x",
        ] {
            assert!(entry("file", path).is_none(), "{path}");
        }
        assert!(entry("directory", "a").is_none());
    }
}
