//! Dates without a clock's zone: days of the Gregorian calendar in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 now; 0 when the clock is set before that.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// The day of a Unix time as `2026-11-23` (UTC).
///
/// Counts eras of 400 years, whose days are always the same, from 1 March of year 0, so that the leap
/// day is the last of a year.
pub(crate) fn date(unix_time: u64) -> String {
    const ERA_DAYS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = unix_time / 86_400 + 719_468;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA_DAYS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on: 31 30 31 30 31 | 31 30 31 30 31 | 31 28: 153 days in every five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
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
