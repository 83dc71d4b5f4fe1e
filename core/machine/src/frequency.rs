//! How fast the clock of the processor runs, and who decides that.
//!
//! Format: the kernel's `Documentation/admin-guide/pm/cpufreq.rst`, `intel_pstate.rst` and
//! `amd-pstate.rst`.

use std::fmt;

use serde::Serialize;

use crate::roots::Roots;

/// The clock of one CPU that this process may use. Fields are `None` where the system does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Frequency {
    /// The rule by which the system sets the clock: `performance`, `schedutil`, `powersave` ...
    pub governor: Option<String>,
    /// The driver that carries the rule out: what `powersave` means depends on it.
    pub driver: Option<String>,
    /// What the processor itself is asked to prefer: `performance`, `balance_power`, `power` ...
    pub preference: Option<String>,
    /// The clock now, in MHz.
    pub now_mhz: Option<u64>,
    /// The highest clock that is allowed now, in MHz.
    pub limit_mhz: Option<u64>,
    /// The highest clock of the hardware, in MHz.
    pub max_mhz: Option<u64>,
    /// Whether the processor may go above its nominal clock for a while.
    pub boost: Option<bool>,
}

/// Drivers under which `powersave` is the usual rule, and follows the load.
const OWN_RULES: [&str; 2] = ["intel_pstate", "amd-pstate-epp"];

impl Frequency {
    /// Whether the rule keeps the clock low whatever there is to do.
    pub fn is_held_low(&self) -> bool {
        let driver = self.driver.as_deref().unwrap_or_default();
        self.governor.as_deref() == Some("powersave") && !OWN_RULES.contains(&driver)
    }

    /// Whether the processor is asked to save power rather than to be fast.
    pub fn prefers_saving(&self) -> bool {
        matches!(self.preference.as_deref(), Some("power" | "balance_power"))
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match (self.now_mhz, self.limit_mhz.or(self.max_mhz)) {
            (Some(now), Some(max)) => parts.push(format!("{now} of {max} MHz")),
            (Some(now), None) => parts.push(format!("{now} MHz")),
            (None, Some(max)) => parts.push(format!("up to {max} MHz")),
            (None, None) => {}
        }
        if let Some(governor) = &self.governor {
            parts.push(match &self.driver {
                Some(driver) => format!("governor {governor} ({driver})"),
                None => format!("governor {governor}"),
            });
        }
        if let Some(preference) = &self.preference {
            parts.push(format!("preference {preference}"));
        }
        if self.boost == Some(false) {
            parts.push("boost off".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

/// Reads the clock of `cpu`; `None` where nothing is said about it, as in most virtual machines.
pub(crate) fn read(roots: &Roots, cpu: usize) -> Option<Frequency> {
    let base = "devices/system/cpu";
    let word = |path: String| {
        let text = roots.read_sys(&path)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let of_cpu = |name: &str| word(format!("{base}/cpu{cpu}/cpufreq/{name}"));
    let mhz = |name: &str| Some(of_cpu(name)?.parse::<u64>().ok()? / 1000);
    let flag = |path: &str| word(format!("{base}/{path}"))?.parse::<u8>().ok();
    let no_turbo = flag("intel_pstate/no_turbo").map(|off| off == 0);
    let frequency = Frequency {
        governor: of_cpu("scaling_governor"),
        driver: of_cpu("scaling_driver"),
        preference: of_cpu("energy_performance_preference"),
        now_mhz: mhz("scaling_cur_freq"),
        limit_mhz: mhz("scaling_max_freq"),
        max_mhz: mhz("cpuinfo_max_freq"),
        boost: no_turbo.or_else(|| flag("cpufreq/boost").map(|on| on != 0)),
    };
    let silent = Frequency {
        boost: frequency.boost,
        ..Frequency::default()
    };
    (frequency != silent).then_some(frequency)
}
