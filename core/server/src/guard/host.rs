//! Which names a request may call the server by.
//!
//! A web page can let its own name resolve to 127.0.0.1 and then talk to a server on the visitor's machine
//! as if it were its own (DNS rebinding). The browser still sends the page's name as `Host`, so a server on a
//! loopback address takes loopback names only.

use std::net::{IpAddr, Ipv6Addr};

use http::header::HOST;
use http::request::Parts;
use http::{Version, uri::Authority};

use crate::error::{ApiError, ErrorKind};

/// The names a server answers to.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Vec<String>,
    checked: bool,
}

impl Hosts {
    /// The names of a server that listens at `bound`: on a loopback address the loopback names and those
    /// that are given, elsewhere any name, or those that are given and the loopback ones.
    #[must_use]
    pub fn new(bound: IpAddr, names: &[String]) -> Self {
        let names: Vec<_> = names
            .iter()
            .map(|name| plain(name).to_ascii_lowercase())
            .collect();
        Self {
            checked: bound.to_canonical().is_loopback() || !names.is_empty(),
            names,
        }
    }

    /// Looks at the `Host` of a request, and at the name in its target where it has one.
    ///
    /// # Errors
    ///
    /// 400 where HTTP/1.1 asks for exactly one `Host`, 403 for a name that is not ours.
    pub fn check(&self, parts: &Parts) -> Result<(), ApiError> {
        let mut sent = parts.headers.get_all(HOST).iter();
        let first = sent.next();
        if sent.next().is_some() {
            return Err(ApiError::new(
                ErrorKind::Invalid,
                "more than one Host header: expected one",
            )
            .closing());
        }
        if first.is_none() && parts.version >= Version::HTTP_11 {
            return Err(
                ApiError::new(ErrorKind::Invalid, "no Host header: HTTP/1.1 needs one").closing(),
            );
        }
        if !self.checked {
            return Ok(());
        }
        let host = first.is_none_or(|host| self.is_ours(host.as_bytes()));
        let target = parts.uri.authority().map(Authority::as_str);
        if host && target.is_none_or(|target| self.is_ours(target.as_bytes())) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorKind::Forbidden,
            "the Host header names another server: use localhost or 127.0.0.1, or have this name added to `hosts` of the server's configuration",
        )
        .code("host_not_allowed"))
    }

    /// Whether `name[:port]` is one of our names.
    fn is_ours(&self, host: &[u8]) -> bool {
        let Some(name) = std::str::from_utf8(host).ok().and_then(without_port) else {
            return false;
        };
        if let Some(inner) = name.strip_prefix('[') {
            let address = inner
                .strip_suffix(']')
                .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return address.is_some_and(|address| address.to_canonical().is_loopback())
                || self.is_named(inner.trim_end_matches(']'));
        }
        let name = plain(name);
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback() && address.is_ipv4())
            || self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(name))
    }
}

/// A name without the brackets of an IPv6 address and the dot of the root.
fn plain(name: &str) -> &str {
    let name = name.trim();
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.strip_suffix('.').unwrap_or(name)
}

/// `name` or `[address]`, if what follows is nothing or a port.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, rest) = host.split_at_checked(end)?;
    let port = match rest.strip_prefix(':') {
        Some(port) => port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    };
    port.then_some(name)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn status(hosts: &Hosts, host: &[u8]) -> u16 {
        let request = Request::builder()
            .uri("/v1/models")
            .header(HOST, host)
            .body(())
            .unwrap();
        let checked = hosts.check(&request.into_parts().0);
        checked.map_or_else(|error| error.kind.status().as_u16(), |()| 200)
    }

    #[test]
    fn loopback_names_pass_and_others_do_not() {
        let loopback = Hosts::new(
            "127.0.0.1".parse().unwrap(),
            &["Tritone.lan".into(), "[fd00::1]".into()],
        );
        let ours = [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:80",
            "tritone.lan:8080",
            "TRITONE.LAN.",
            "[fd00::1]:80",
        ];
        for host in ours {
            assert_eq!(status(&loopback, host.as_bytes()), 200, "{host}");
        }
        let others = [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "localhost:80:80",
            "localhost:8080x",
            "localhost:123456",
            "user@localhost",
            "localhost@evil.example",
            "0.0.0.0",
            "0.0.0.0:80",
            "[::]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]evil",
            "[::2]",
            "[]",
            "192.168.0.1",
            "2130706433",
            "127.1",
            "0x7f.1",
            "",
            ":",
            ":80",
            "localhost,evil",
            "localhost evil",
            "localhost/evil",
            "xtritone.lan",
            "fd00::1",
            "[fd00::2]",
            "localhost..",
        ];
        for host in others {
            assert_eq!(status(&loopback, host.as_bytes()), 403, "{host}");
        }
        assert_eq!(status(&loopback, b"local\xe9"), 403);
    }

    #[test]
    fn elsewhere_any_name_unless_names_are_given() {
        let open = Hosts::new("0.0.0.0".parse().unwrap(), &[]);
        let named = Hosts::new("0.0.0.0".parse().unwrap(), &["box.lan".into()]);
        for (host, status_open, status_named) in [
            ("evil.example", 200, 403),
            ("box.lan:8080", 200, 200),
            ("localhost", 200, 200),
        ] {
            assert_eq!(status(&open, host.as_bytes()), status_open, "{host}");
            assert_eq!(status(&named, host.as_bytes()), status_named, "{host}");
        }
        for bound in ["::1", "::ffff:127.0.0.1", "127.0.0.2"] {
            assert_eq!(
                status(&Hosts::new(bound.parse().unwrap(), &[]), b"evil.example"),
                403,
                "{bound}"
            );
        }
    }

    #[test]
    fn one_host_and_the_name_in_the_target_counts_too() {
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &[]);
        let check = |request: Request<()>| {
            hosts
                .check(&request.into_parts().0)
                .map_err(|error| error.kind.status().as_u16())
        };
        let get = || Request::builder().uri("/health");
        assert_eq!(check(get().body(()).unwrap()), Err(400));
        assert_eq!(
            check(get().version(Version::HTTP_10).body(()).unwrap()),
            Ok(())
        );
        let two = get().header(HOST, "localhost").header(HOST, "localhost");
        assert_eq!(check(two.body(()).unwrap()), Err(400));
        let target = |uri: &str| {
            Request::builder()
                .uri(uri)
                .header(HOST, "localhost")
                .body(())
                .unwrap()
        };
        assert_eq!(check(target("http://evil.example/health")), Err(403));
        assert_eq!(check(target("http://localhost:80/health")), Ok(()));
    }

    proptest! {
        #[test]
        fn any_host_is_taken_or_refused(host in proptest::collection::vec(0x20_u8..=0xff, 0..60)) {
            let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &[]);
            if host.contains(&0x7f) { return Ok(()); }
            prop_assert!([200, 403].contains(&status(&hosts, &host)));
        }
    }
}
