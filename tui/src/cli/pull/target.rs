//! What to fetch, as people write it.

use crate::cli::failure::Usage;

/// `ORG/NAME[@REV][:FILE]`, or the address of a page or file of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `ORG/NAME`.
    pub(crate) repo: String,
    /// Branch, tag or commit.
    pub(crate) revision: String,
    /// A file of the repository, or a part of the name of one.
    pub(crate) file: Option<String>,
    /// Scheme and host of an address, unless it is the hub's own.
    pub(crate) origin: Option<String>,
}

impl Target {
    /// Reads what people write.
    ///
    /// # Errors
    /// When it names no repository.
    pub(crate) fn parse(text: &str) -> Result<Self, Usage> {
        let wrong = |why: &str| {
            let text = text.escape_debug();
            Usage(format!(
                "'{text}' names no model: {why}; expected ORG/NAME, ORG/NAME:FILE, \
                 ORG/NAME@REVISION:FILE or an address of huggingface.co"
            ))
        };
        let target = match address(text) {
            Some((origin, path)) => Self::of_address(origin, path),
            None => Self::of_name(text),
        };
        let target = target.map_err(wrong)?;
        let part = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty()
                && part.len() <= 96
                && part.chars().all(plain)
                && !part.starts_with(['.', '-'])
        };
        let named = target
            .repo
            .split_once('/')
            .is_some_and(|(org, name)| part(org) && part(name));
        if !named {
            return Err(wrong("a repository is an organisation, a slash and a name"));
        }
        let revision = &target.revision;
        if !revision.split('/').all(part) || revision.len() > 200 {
            return Err(wrong("a revision is a branch, a tag or a commit"));
        }
        if target.file.as_deref().is_some_and(|file| !is_safe(file)) {
            return Err(wrong("the file is no path inside a repository"));
        }
        Ok(target)
    }

    fn of_name(text: &str) -> Result<Self, &'static str> {
        let (name, file) = match text.split_once(':') {
            Some((name, file)) => (name, Some(file)),
            None => (text, None),
        };
        let (repo, revision) = name.split_once('@').unwrap_or((name, "main"));
        Ok(Self {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
            origin: None,
        })
    }

    fn of_address(origin: &str, path: &str) -> Result<Self, &'static str> {
        let web = ["https://", "http://"].iter().any(|scheme| {
            origin
                .strip_prefix(scheme)
                .is_some_and(|host| !host.is_empty())
        });
        if !web && origin.contains("://") {
            return Err("the address is none of a web server");
        }
        let path = path.split(['?', '#']).next().unwrap_or(path);
        let mut parts = path.trim_matches('/').splitn(5, '/');
        let (Some(org), Some(name)) = (parts.next(), parts.next()) else {
            return Err("the address has no repository");
        };
        let (revision, file) = match (parts.next(), parts.next()) {
            (None, _) => ("main", None),
            (Some("blob" | "resolve" | "raw"), Some(revision)) => (revision, parts.next()),
            (Some("tree"), Some(revision)) if parts.next().is_none() => (revision, None),
            _ => return Err("the address is no page of a repository or file"),
        };
        let host = origin.rsplit('/').next().unwrap_or(origin);
        let hub = ["huggingface.co", "www.huggingface.co", "hf.co"].contains(&host);
        Ok(Self {
            repo: format!("{org}/{name}"),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
            origin: (!hub).then(|| origin.to_owned()),
        })
    }
}

/// Scheme and host, and the path, of an address; `hf.co/...` counts as one, too.
fn address(text: &str) -> Option<(&str, &str)> {
    let begin = match text.find("://") {
        Some(at) => at + 3,
        None => ["huggingface.co/", "hf.co/"]
            .iter()
            .any(|host| text.starts_with(host))
            .then_some(0)?,
    };
    let rest = text.get(begin..)?;
    let end = begin + rest.find('/').unwrap_or(rest.len());
    Some((text.get(..end)?, text.get(end..)?))
}

/// Whether `path` stays inside the directory it is joined to, and is no hidden file, and is text
/// that can be shown. File systems of other systems count, too.
pub(crate) fn is_safe(path: &str) -> bool {
    let part = |part: &str| {
        let odd = |c: char| c.is_control() || "\\:*?\"<>|".contains(c);
        !part.is_empty() && part.len() <= 200 && !part.starts_with('.') && !part.contains(odd)
    };
    path.len() <= 1000 && path.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String, Option<String>, Option<String>)> {
        let target = Target::parse(text).ok()?;
        Some((target.repo, target.revision, target.file, target.origin))
    }

    fn some(
        repo: &str,
        revision: &str,
        file: Option<&str>,
        origin: Option<&str>,
    ) -> Option<(String, String, Option<String>, Option<String>)> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some((repo.to_owned(), revision.to_owned(), own(file), own(origin)))
    }

    #[test]
    fn repositories_are_written_in_several_ways() {
        for (text, expected) in [
            ("a/b-1.5", some("a/b-1.5", "main", None, None)),
            ("a/b:x/y.gguf", some("a/b", "main", Some("x/y.gguf"), None)),
            ("a/b@v1:y.gguf", some("a/b", "v1", Some("y.gguf"), None)),
            ("a/b@refs/pr/3", some("a/b", "refs/pr/3", None, None)),
            (
                "https://huggingface.co/a/b",
                some("a/b", "main", None, None),
            ),
            ("hf.co/a/b/", some("a/b", "main", None, None)),
            (
                "https://huggingface.co/a/b/blob/main/x/y.gguf?download=true",
                some("a/b", "main", Some("x/y.gguf"), None),
            ),
            (
                "https://huggingface.co/a/b/resolve/0abc/y.gguf",
                some("a/b", "0abc", Some("y.gguf"), None),
            ),
            (
                "https://huggingface.co/a/b/tree/dev",
                some("a/b", "dev", None, None),
            ),
            (
                "http://127.0.0.1:80/a/b",
                some("a/b", "main", None, Some("http://127.0.0.1:80")),
            ),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
        for text in [
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "a/../b",
            "a/b:",
            "a/b:../x",
            "a/b:/x",
            "a/b:x//y",
            "a/b@",
            "a/b@..",
            "a/b@../x",
            "a b/c",
            "https://huggingface.co/",
            "a/b:.hidden",
            "https://huggingface.co/a/b/commits/main",
            "../b",
            "a/b:x\u{1b}y",
            "a/b:c\\d",
            "file:///a/b",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_leads_out_of_the_store(text in ".{0,40}", odd in "[ab./@:~%-]{0,24}") {
            let base = std::path::Path::new("/store");
            for text in [text, odd] {
                let below = |path: &str| {
                    let joined = base.join(path);
                    let plain = |part| matches!(part, std::path::Component::Normal(_));
                    joined.strip_prefix(base).is_ok_and(|rest| rest.components().all(plain))
                };
                proptest::prop_assert!(!is_safe(&text) || below(&text));
                if let Ok(target) = Target::parse(&text) {
                    proptest::prop_assert!(below(&target.repo), "{}", target.repo);
                    proptest::prop_assert!(target.file.is_none_or(|file| below(&file)));
                    proptest::prop_assert!(below(&target.revision));
                }
            }
        }
    }
}
