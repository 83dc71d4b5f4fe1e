//! The arguments that name a running server, and the keys for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tritone_client::Address;

use super::args::CommonArgs;
use super::failure::Usage;
use crate::attach::{Attached, Feed, Keys};

/// A running server.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct AttachArgs {
    /// A running `tritone serve`: its model, kernels and monitor instead of those here.
    #[arg(long, value_name = "URL")]
    attach: Option<Address>,
    /// File with the server's API key; otherwise TRITONE_API_KEY is used, if it is set.
    #[arg(long, value_name = "FILE", requires = "attach")]
    api_key_file: Option<PathBuf>,
    /// File with the server's admin key, for its monitor, its kernels and profiles; otherwise TRITONE_ADMIN_KEY is
    /// used, if it is set.
    #[arg(long, value_name = "FILE", requires = "attach")]
    admin_key_file: Option<PathBuf>,
}

impl AttachArgs {
    /// The server, if one is named.
    ///
    /// # Errors
    /// When a key cannot be read, or something is asked for that is the server's to decide.
    pub(super) fn attached(&self, common: &CommonArgs) -> anyhow::Result<Option<Attached>> {
        let Some(address) = &self.attach else {
            return Ok(None);
        };
        for (flag, given) in [
            ("--model", common.model.is_some() && !from_environment()),
            ("--kernel", common.kernel.is_some()),
            ("--threads", common.threads.is_some()),
            ("--profile", common.profile.is_some()),
            ("--ctx", common.ctx.is_some()),
            ("--head", common.head.is_some()),
            ("--kv", common.kv.is_some()),
            ("--memory", common.memory.is_some()),
        ] {
            if given {
                let why = format!(
                    "{flag} cannot be given with --attach: what the model runs on is the server's to say"
                );
                return Err(Usage(why).into());
            }
        }
        Ok(Some(Attached::new(address.clone(), &self.keys()?)?))
    }

    /// The monitor of the server, if one is named.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub(super) fn feed(&self) -> anyhow::Result<Option<Feed>> {
        let Some(address) = &self.attach else {
            return Ok(None);
        };
        Ok(Some(Feed::new(address.clone(), &self.keys()?)?))
    }

    /// The server's address, if one is named.
    pub(super) fn address(&self) -> Option<String> {
        self.attach.as_ref().map(Address::to_string)
    }

    /// The keys there are.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn keys(&self) -> anyhow::Result<Keys> {
        Ok(Keys {
            api: key(self.api_key_file.as_deref(), "TRITONE_API_KEY")?,
            admin: key(self.admin_key_file.as_deref(), "TRITONE_ADMIN_KEY")?,
        })
    }
}

/// Whether the model is only that of the environment, which stands for all commands.
fn from_environment() -> bool {
    std::env::var_os("TRITONE_MODEL").is_some()
}

/// The key in a file, or else in a variable. It is never an argument: those are seen by everybody on the machine.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn key(file: Option<&Path>, variable: &str) -> anyhow::Result<Option<String>> {
    let key = match file {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read the key in '{}'", path.display()))?;
            Some(text)
        }
        None => std::env::var(variable).ok(),
    };
    let key = key.map(|key| key.trim().to_owned());
    Ok(key.filter(|key| !key.is_empty()))
}
