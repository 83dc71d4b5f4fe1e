//! What a server measures, as it measures it.

use tritone_client::Address;
use tritone_monitor::Record;
use tritone_strategy::StrategyError;

use super::server::{Keys, Server};

/// The monitor of a server.
pub(crate) struct Feed {
    server: Server,
    /// Everything up to then is known, in the server's milliseconds since 1970.
    known: u64,
}

impl Feed {
    /// Of the server at `address`; nothing is sent yet.
    ///
    /// # Errors
    /// When a key has characters that no header may have.
    pub(crate) fn new(address: Address, keys: &Keys) -> Result<Self, StrategyError> {
        Ok(Self {
            server: Server::new(address, keys)?,
            known: 0,
        })
    }

    /// What was measured since the last look, the oldest first; at first everything that the server keeps.
    ///
    /// # Errors
    /// When there is no admin key, or no way to the server.
    pub(crate) fn more(&mut self) -> Result<Vec<Record>, StrategyError> {
        let records = self.server.told(self.known)?.records(self.known);
        if let Some(last) = records.last() {
            self.known = last.at();
        }
        Ok(records)
    }
}
