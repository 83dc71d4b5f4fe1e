//! Dates without a clock's zone: days of the Gregorian calendar in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 now; 0 when the clock is set before that.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// The day of a Unix time as `2026-11-23` (UTC).
pub(crate) fn date(unix_time: u64) -> String {
    let moment = tritone_monitor::utc(unix_time.saturating_mul(1000));
    let day = moment.split('T').next();
    day.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_399), "2000-02-28");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(951_868_800), "2000-03-01");
        assert_eq!(date(1_795_392_000), "2026-11-23");
        assert_eq!(date(1_798_761_599), "2026-12-31");
        assert_eq!(date(4_102_444_800), "2100-01-01");
        assert_eq!(date(4_107_542_400), "2100-03-01");
    }
}
