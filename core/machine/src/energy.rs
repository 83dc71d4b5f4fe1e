//! Energy that the processor takes, from its own counters (RAPL).
//!
//! Format: the kernel's `Documentation/power/powercap/powercap.rst`. A counter goes from 0 to
//! `max_energy_range_uj` and begins again: at 100 W after some 40 minutes, so it has to be read more
//! often than that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::roots::Roots;

const CLASS: &str = "class/powercap";
/// No machine has more zones on its first level.
const MOST_ZONES: usize = 256;

/// Why there is no meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEnergy {
    /// The system has no such counter: a virtual machine, or a processor without one.
    Absent,
    /// There are counters, and this user may not read them.
    Forbidden(PathBuf),
}

impl fmt::Display for NoEnergy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("this machine has no energy counters (RAPL)"),
            Self::Forbidden(path) => write!(
                f,
                "the energy counters may be read by root only; `sudo chmod a+r {}` opens them until \
                 the next start, for every program on this machine",
                path.display()
            ),
        }
    }
}

impl std::error::Error for NoEnergy {}

/// Adds up what the processor packages take. What hangs on no package (screen, disks, most of the
/// memory) is not in it.
#[derive(Debug)]
pub struct EnergyMeter {
    packages: Vec<Package>,
}

#[derive(Debug)]
struct Package {
    counter: PathBuf,
    /// The last value of the counter before it begins at 0 again.
    range: u64,
    last: u64,
}

impl EnergyMeter {
    /// Finds the counters, and takes the first reading.
    ///
    /// # Errors
    /// When there are none, or they must not be read.
    pub fn open() -> Result<Self, NoEnergy> {
        Self::open_at(&Roots::system())
    }

    /// [`open`](Self::open) with the counters under `roots`.
    ///
    /// # Errors
    /// As for `open`.
    pub fn open_at(roots: &Roots) -> Result<Self, NoEnergy> {
        let mut packages = Vec::new();
        let mut forbidden = None;
        let zones = roots.list_sys(CLASS).into_iter();
        // "intel-rapl:0" is a package and "intel-rapl:0:0" a part of it, also with AMD. The same
        // counters come a second time under "intel-rapl-mmio".
        let packages_only = |name: &String| {
            let number = name.strip_prefix("intel-rapl:");
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        for zone in zones.filter(packages_only).take(MOST_ZONES) {
            let file = |name: &str| roots.read_sys(&format!("{CLASS}/{zone}/{name}"));
            // "psys" is the whole board, which holds the packages.
            if !file("name").is_some_and(|name| name.trim().starts_with("package")) {
                continue;
            }
            let counter = roots.sys.join(CLASS).join(&zone).join("energy_uj");
            match number(&counter) {
                Ok(Some(last)) => {
                    let range = file("max_energy_range_uj");
                    let range = range.and_then(|text| text.trim().parse::<u64>().ok());
                    packages.push(Package {
                        counter,
                        range: range.unwrap_or(0),
                        last,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    forbidden = Some(counter);
                }
                Ok(None) | Err(_) => {}
            }
        }
        match (packages.is_empty(), forbidden) {
            (false, _) => Ok(Self { packages }),
            (true, Some(path)) => Err(NoEnergy::Forbidden(path)),
            (true, None) => Err(NoEnergy::Absent),
        }
    }

    /// Processor packages that are measured.
    pub fn packages(&self) -> usize {
        self.packages.len()
    }

    /// Joules that all packages took since the last reading, by this or any other program; `None`
    /// when a counter cannot be read any more, or jumped where it could not have gone. The next
    /// reading starts from here in either case.
    pub fn joules(&mut self) -> Option<f64> {
        let mut sum = Some(0u64);
        for package in &mut self.packages {
            let taken = package.taken();
            sum = sum.and_then(|sum| sum.checked_add(taken?));
        }
        sum.map(|microjoules| microjoules as f64 / 1e6)
    }
}

impl Package {
    /// Microjoules since the last reading.
    fn taken(&mut self) -> Option<u64> {
        let now = number(&self.counter).ok()??;
        let last = std::mem::replace(&mut self.last, now);
        if now >= last {
            return (self.range == 0 || now <= self.range).then_some(now - last);
        }
        // It went round: from the last value to the end, and from 0 to here.
        let rest = self.range.checked_sub(last)?;
        rest.checked_add(now)
    }
}

/// The number in a file; `None` if it holds something else.
fn number(path: &Path) -> io::Result<Option<u64>> {
    let text = crate::roots::try_read(path)?;
    Ok(text.trim().parse().ok())
}
