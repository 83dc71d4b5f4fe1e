//! What the admin routes can change, as the program does it.

use tritone_probe::Bounds;

/// A kernel that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelEntry {
    /// Its name.
    pub name: String,
    /// Whether it can be switched to, and otherwise why not.
    pub usable: bool,
    /// Why it has the score it has.
    pub reason: String,
    /// Whether it is in use.
    pub active: bool,
}

/// Changes of what runs, while it runs. Calls may take as long as packing weights does and are made on a
/// thread of their own, one at a time.
pub trait Control: Send + Sync {
    /// All kernels.
    fn kernels(&self) -> Vec<KernelEntry>;

    /// Goes on with another kernel, in the middle of answers; returns what the user should know.
    ///
    /// # Errors
    /// Why the old one stays.
    fn switch_kernel(&self, name: &str) -> Result<Vec<String>, String>;

    /// What the profile in force bounds and has watched.
    fn bounds(&self) -> Bounds;

    /// The name of the profile in force.
    fn profile(&self) -> String;

    /// Goes on under another profile, with the same model; returns what the user should know.
    ///
    /// # Errors
    /// Why the old one stays.
    fn switch_profile(&self, name: &str) -> Result<Vec<String>, String>;
}
