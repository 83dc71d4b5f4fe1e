//! Whether this machine runs on a battery, and how full that is.
//!
//! Format: the kernel's `Documentation/ABI/testing/sysfs-class-power`.

use std::fmt;

use serde::Serialize;

use crate::roots::Roots;

const CLASS: &str = "class/power_supply";

/// The batteries of the machine, taken as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Battery {
    /// Whether the machine lives on it: no other supply is connected.
    pub in_use: bool,
    /// How full it is, in percent; `None` where the system does not tell.
    pub percent: Option<u8>,
}

impl fmt::Display for Battery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_use {
            "in use"
        } else {
            "not in use, power is connected"
        })?;
        match self.percent {
            Some(percent) => write!(f, ", {percent} % full"),
            None => Ok(()),
        }
    }
}

/// Reads `/sys/class/power_supply`; `None` where there is no battery that powers the machine.
pub(crate) fn read(roots: &Roots) -> Option<Battery> {
    let mut mains = Vec::new();
    let (mut discharging, mut cells) = (false, Vec::new());
    for supply in roots.list_sys(CLASS) {
        let file = |name: &str| {
            let text = roots.read_sys(&format!("{CLASS}/{supply}/{name}"))?;
            Some(text.trim().to_owned())
        };
        match file("type").as_deref() {
            // A battery with the scope "Device" is that of a mouse or a headset.
            Some("Battery") if file("scope").as_deref() != Some("Device") => {
                if file("present").as_deref() == Some("0") {
                    continue;
                }
                discharging |= file("status").as_deref() == Some("Discharging");
                cells.push(Cell::read(&file));
            }
            Some("Mains" | "USB" | "Wireless") => {
                // 2 is "programmable": connected, and it sets its voltage.
                let online = file("online").and_then(|text| text.parse::<u8>().ok());
                mains.extend(online.map(|online| online > 0));
            }
            _ => {}
        }
    }
    if cells.is_empty() {
        return None;
    }
    Some(Battery {
        // Ports that charge others, or nothing at all, are listed beside the charger; one that is
        // connected is enough. Where no charger is listed the battery itself has to tell.
        in_use: if mains.is_empty() {
            discharging
        } else {
            discharging && !mains.contains(&true)
        },
        percent: percent(&cells),
    })
}

/// One battery of the machine.
struct Cell {
    capacity: Option<u64>,
    /// What is in it and what it holds, in whatever unit: both in the same.
    charge: Option<(u64, u64)>,
}

impl Cell {
    fn read(file: &dyn Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| file(name)?.parse::<u64>().ok();
        let pair = |now, full| Some((number(now)?, number(full)?));
        Self {
            capacity: number("capacity").filter(|&percent| percent <= 100),
            charge: pair("energy_now", "energy_full").filter(|&(_, full)| full > 0),
        }
    }
}

/// How full all of them are together: by what they hold if all tell that, else on average.
fn percent(cells: &[Cell]) -> Option<u8> {
    let charges: Option<Vec<(u64, u64)>> = cells.iter().map(|cell| cell.charge).collect();
    let share = match charges.filter(|charges| charges.len() > 1) {
        Some(charges) => {
            let now: u128 = charges.iter().map(|charge| u128::from(charge.0)).sum();
            let full: u128 = charges.iter().map(|charge| u128::from(charge.1)).sum();
            (now * 100).checked_div(full)?
        }
        None => {
            let known: Vec<u64> = cells.iter().filter_map(|cell| cell.capacity).collect();
            let sum: u64 = known.iter().sum();
            u128::from(sum.checked_div(known.len() as u64)?)
        }
    };
    u8::try_from(share.min(100)).ok()
}
