//! How hot the processor is, and whether heat has slowed it.
//!
//! Formats: the kernel's `Documentation/hwmon/sysfs-interface.rst`,
//! `Documentation/driver-api/thermal/sysfs-api.rst` and, for the counters, the files below
//! `/sys/devices/system/cpu/cpu*/thermal_throttle`.

use std::fmt;

use serde::Serialize;

use crate::cpu;
use crate::roots::Roots;

/// Chips of `/sys/class/hwmon` that measure the processor.
const CHIPS: [&str; 8] = [
    "coretemp",
    "k10temp",
    "zenpower",
    "cpu_thermal",
    "cpu-thermal",
    "soc_thermal",
    "cpu0_thermal",
    "scpi_sensors",
];
/// A chip has no more sensors than this, even with one a core.
const MOST_SENSORS: usize = 512;
/// Beyond these a reading, in thousandths of a degree, is of a broken sensor.
const SANE: std::ops::RangeInclusive<i64> = -60_000..=200_000;

/// A temperature of the processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Temperature {
    /// Degrees Celsius of its hottest sensor.
    pub celsius: f64,
    /// Where it is slowed or switched off, in degrees Celsius.
    pub limit_celsius: Option<f64>,
    /// Who says so.
    pub sensor: String,
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} °C", self.celsius)?;
        if let Some(limit) = self.limit_celsius {
            write!(f, " of at most {limit:.0}")?;
        }
        write!(f, " ({})", self.sensor)
    }
}

/// Temperature of the processor now; `None` where the system does not tell, as in most virtual
/// machines.
pub fn temperature() -> Option<Temperature> {
    temperature_at(&Roots::system())
}

/// [`temperature`] as the files under `roots` have it.
pub fn temperature_at(roots: &Roots) -> Option<Temperature> {
    let hottest = |found: Vec<Temperature>| {
        let mut found = found.into_iter();
        let first = found.next()?;
        Some(found.fold(first, |a, b| if b.celsius > a.celsius { b } else { a }))
    };
    hottest(of_chips(roots)).or_else(|| hottest(of_zones(roots)))
}

fn degrees(text: Option<String>) -> Option<f64> {
    let thousandths = text?.trim().parse::<i64>().ok()?;
    (SANE.contains(&thousandths)).then_some(thousandths as f64 / 1000.0)
}

/// A limit of 0 or less says that there is none.
fn limit(text: Option<String>) -> Option<f64> {
    degrees(text).filter(|&limit| limit > 0.0)
}

fn of_chips(roots: &Roots) -> Vec<Temperature> {
    let mut found = Vec::new();
    for chip in roots.list_sys("class/hwmon") {
        let file = |name: &str| roots.read_sys(&format!("class/hwmon/{chip}/{name}"));
        let Some(name) = file("name").map(|name| name.trim().to_owned()) else {
            continue;
        };
        if !CHIPS.contains(&name.as_str()) {
            continue;
        }
        let entries = roots.list_sys(&format!("class/hwmon/{chip}"));
        let sensors = entries
            .iter()
            .filter_map(|entry| entry.strip_suffix("_input"));
        for sensor in sensors
            .filter(|name| name.starts_with("temp"))
            .take(MOST_SENSORS)
        {
            let Some(celsius) = degrees(file(&format!("{sensor}_input"))) else {
                continue;
            };
            let label = file(&format!("{sensor}_label"));
            let label = label.as_deref().map(str::trim).unwrap_or(sensor);
            // AMD's "Tctl" is what the fan is controlled by, and may lie above the temperature.
            if label == "Tctl" && entries.len() > 1 && has_label(&file, &entries, "Tdie") {
                continue;
            }
            found.push(Temperature {
                celsius,
                limit_celsius: limit(file(&format!("{sensor}_max")))
                    .or_else(|| limit(file(&format!("{sensor}_crit")))),
                sensor: format!("{name} {label}"),
            });
        }
    }
    found
}

fn has_label(file: &dyn Fn(&str) -> Option<String>, entries: &[String], label: &str) -> bool {
    let labels = entries.iter().filter(|entry| entry.ends_with("_label"));
    labels
        .take(MOST_SENSORS)
        .any(|entry| file(entry).is_some_and(|text| text.trim() == label))
}

/// Zones of the processor; that of the board only where there is no other.
fn of_zones(roots: &Roots) -> Vec<Temperature> {
    let (mut found, mut board) = (Vec::new(), Vec::new());
    for zone in roots.list_sys("class/thermal") {
        if !zone.starts_with("thermal_zone") {
            continue;
        }
        let file = |name: &str| roots.read_sys(&format!("class/thermal/{zone}/{name}"));
        let Some(kind) = file("type").map(|kind| kind.trim().to_owned()) else {
            continue;
        };
        let Some(celsius) = degrees(file("temp")) else {
            continue;
        };
        let trip = (0..16).find_map(|number| {
            let kind = file(&format!("trip_point_{number}_type"))?;
            let counts = matches!(kind.trim(), "critical" | "hot");
            counts.then(|| limit(file(&format!("trip_point_{number}_temp"))))?
        });
        let lower = kind.to_ascii_lowercase();
        let of_cpu = ["cpu", "pkg", "soc", "package", "core"]
            .iter()
            .any(|word| lower.contains(word));
        let temperature = Temperature {
            celsius,
            limit_celsius: trip,
            sensor: kind,
        };
        if of_cpu {
            found.push(temperature);
        } else if lower == "acpitz" {
            board.push(temperature);
        }
    }
    if found.is_empty() { board } else { found }
}

/// Whether heat has slowed the processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// Times since the machine was started, of all CPUs; `None` where nobody counts them.
    pub events: Option<u64>,
    /// Whether a clock is held down now; `None` where the system does not tell.
    pub now: Option<bool>,
}

/// Reads the counters of Intel processors, and the cooling devices of others.
pub fn throttling() -> Throttling {
    throttling_at(&Roots::system())
}

/// [`throttling`] as the files under `roots` have it.
pub fn throttling_at(roots: &Roots) -> Throttling {
    let number = |path: String| roots.read_sys(&path)?.trim().parse::<u64>().ok();
    let (mut events, mut package) = (None::<u64>, None::<u64>);
    for cpu in cpu::online(roots).unwrap_or_default() {
        let dir = format!("devices/system/cpu/cpu{cpu}/thermal_throttle");
        if let Some(count) = number(format!("{dir}/core_throttle_count")) {
            events = Some(events.unwrap_or(0).saturating_add(count));
        }
        // Every CPU of a package shows the same number.
        package = package.max(number(format!("{dir}/package_throttle_count")));
    }
    let mut now = None::<bool>;
    for device in roots.list_sys("class/thermal") {
        if !device.starts_with("cooling_device") {
            continue;
        }
        let kind = roots.read_sys(&format!("class/thermal/{device}/type"));
        let kind = kind.unwrap_or_default();
        if !kind.contains("cpufreq") && kind.trim() != "Processor" {
            continue;
        }
        if let Some(state) = number(format!("class/thermal/{device}/cur_state")) {
            now = Some(now.unwrap_or(false) || state > 0);
        }
    }
    let events = match (events, package) {
        (Some(cores), Some(package)) => Some(cores.saturating_add(package)),
        (one, other) => one.or(other),
    };
    Throttling { events, now }
}
