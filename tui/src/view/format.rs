//! Numbers for people.

use std::time::Duration;

use tritone_monitor::Unit;

const KIB: f64 = 1024.0;

/// Bytes with a binary unit: `212 MiB`, `1.2 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    let count = count as f64;
    if count < KIB {
        format!("{count} B")
    } else if count < KIB * KIB {
        format!("{:.0} KiB", count / KIB)
    } else if count < KIB * KIB * KIB {
        format!("{:.0} MiB", count / (KIB * KIB))
    } else {
        format!("{:.1} GiB", count / (KIB * KIB * KIB))
    }
}

/// A rate with as many digits as mean something: `0.43`, `41.2`, `1234`.
pub(crate) fn rate(rate: f64) -> String {
    if rate >= 100.0 {
        format!("{rate:.0}")
    } else if rate >= 1.0 || rate == 0.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.2}")
    }
}

/// Seconds with one digit after the point.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

/// A time with its unit: `18 ms`, `2.5 s`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        _ => format!("{} s", seconds(time)),
    }
}

/// Minutes and seconds, rounded up: `0:03`, `12:00`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A share of a whole in per cent; 0 of an empty whole.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// Threads for people: `1 thread`, `4 threads`.
pub(crate) fn threads(count: usize) -> String {
    match count {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    }
}

/// A number of parameters: `5.2 M`, `2.4 B`.
pub(crate) fn parameters(count: u64) -> String {
    let count = count as f64;
    if count >= 1e9 {
        format!("{:.1} B", count / 1e9)
    } else if count >= 1e6 {
        format!("{:.1} M", count / 1e6)
    } else {
        format!("{:.0} K", count / 1e3)
    }
}

/// A length of time in one unit or two: `30 s`, `5 min`, `1 h 20 min`.
pub(crate) fn age(ms: u64) -> String {
    let seconds = (ms + 500) / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) if seconds.is_multiple_of(60) => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        _ if minutes.is_multiple_of(60) => format!("{hours} h"),
        _ => format!("{hours} h {} min", minutes % 60),
    }
}

/// A value with its unit, or a dash.
pub(crate) fn quantity(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    match unit {
        Unit::Bytes => bytes(value as u64),
        Unit::Percent => format!("{value:.0} %"),
        Unit::TokensPerSecond => format!("{} tok/s", rate(value)),
        Unit::Count => format!("{value:.0}"),
        Unit::Milliseconds if value >= 1000.0 => format!("{:.1} s", value / 1000.0),
        Unit::Milliseconds if value < 10.0 => format!("{value:.1} ms"),
        Unit::Milliseconds => format!("{value:.0} ms"),
        Unit::Watts => format!("{value:.1} W"),
        Unit::Joules => format!("{value:.2} J"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(bytes(900), "900 B");
        assert_eq!(bytes(212 << 20), "212 MiB");
        assert_eq!(bytes((1 << 30) + (200 << 20)), "1.2 GiB");
        assert_eq!(
            [0.0, 0.43, 41.23, 1234.5].map(rate),
            ["0.0", "0.43", "41.2", "1234"]
        );
        assert_eq!(clock(Duration::from_millis(2100)), "0:03");
        assert_eq!(clock(Duration::from_secs(720)), "12:00");
        assert_eq!(
            [18, 2500].map(|ms| duration(Duration::from_millis(ms))),
            ["18 ms", "2.5 s"]
        );
        assert_eq!(
            [400, 90_000, 120_000, 4_800_000, 7_200_000].map(age),
            ["0 s", "1 min 30 s", "2 min", "1 h 20 min", "2 h"]
        );
        assert_eq!(
            [3.12, 31.4, 2500.0].map(|ms| quantity(Some(ms), Unit::Milliseconds)),
            ["3.1 ms", "31 ms", "2.5 s"]
        );
        assert_eq!(quantity(None, Unit::Watts), "-");
        assert_eq!((percent(312, 1024), percent(1, 0)), (30, 0));
        assert_eq!(
            (parameters(5_250_000), parameters(2_412_820_480)),
            ("5.2 M".into(), "2.4 B".into())
        );
    }
}
