//! Which kernels to leave out.

/// Environment variable with names of kernels to leave out, separated by commas.
pub const DISABLE_VARIABLE: &str = "TRITONE_DISABLE_KERNELS";

/// Wishes of the user about discovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of kernels that are listed but neither opened nor used, so that every code path can
    /// be forced on one machine.
    pub disable: Vec<String>,
}

impl Options {
    /// Leaves out the kernels in a list such as `avx512,avx2`. Spaces and empty names are passed
    /// over.
    #[must_use]
    pub fn disabling(list: &str) -> Self {
        let names = list.split(',').map(str::trim).filter(|n| !n.is_empty());
        Self {
            disable: names.map(str::to_owned).collect(),
        }
    }

    /// What [`DISABLE_VARIABLE`] says; nothing is left out when it is not set.
    #[must_use]
    pub fn from_environment() -> Self {
        std::env::var_os(DISABLE_VARIABLE)
            .map(|list| Self::disabling(&list.to_string_lossy()))
            .unwrap_or_default()
    }

    pub(crate) fn disables(&self, name: &str) -> bool {
        self.disable.iter().any(|n| n == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_and_trimmed() {
        let options = Options::disabling(" avx512, avx2,, ");
        assert_eq!(options.disable, ["avx512", "avx2"]);
        assert!(options.disables("avx2") && !options.disables("avx"));
        assert_eq!(Options::disabling(""), Options::default());
    }
}
