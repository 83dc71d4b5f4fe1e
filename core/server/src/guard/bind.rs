//! Where a server may listen.

use std::net::IpAddr;

/// A server that everybody could use, though nobody said so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and no API key is set: set TRITONE_API_KEY or name a file of keys, listen on 127.0.0.1, or say --insecure-no-auth to let everybody in"
)]
pub struct OpenBind {
    /// The address.
    pub address: IpAddr,
}

/// Whether a server may listen at an address. The value is what the user should know.
///
/// # Errors
///
/// When the address can be reached from elsewhere and there is no API key, unless that is wanted.
pub fn check_bind(
    address: IpAddr,
    api_keys: usize,
    insecure_no_auth: bool,
) -> Result<Option<String>, OpenBind> {
    if api_keys > 0 || address.to_canonical().is_loopback() {
        return Ok(None);
    }
    if !insecure_no_auth {
        return Err(OpenBind { address });
    }
    Ok(Some(format!(
        "everybody who reaches {address} can use this server: no API key is set"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_addresses_need_a_key() {
        for (address, open) in [
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", true),
            ("::", true),
            ("192.168.1.2", true),
            ("::ffff:10.0.0.1", true),
            ("fe80::1", true),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(check_bind(address, 0, false).is_err(), open, "{address}");
            assert_eq!(check_bind(address, 1, false), Ok(None), "{address}");
            assert_eq!(
                check_bind(address, 0, true).unwrap().is_some(),
                open,
                "{address}"
            );
        }
        let error = check_bind("0.0.0.0".parse().unwrap(), 0, false)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("TRITONE_API_KEY") && error.contains("--insecure-no-auth"),
            "{error}"
        );
    }
}
