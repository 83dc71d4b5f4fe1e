//! Times in words.

use crate::cli::date::{date, now};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long ago a time in milliseconds since 1970 was, as `now`, `5 min ago`, `3 h ago`, `2 days ago`, or
/// the day if it is more than two weeks.
pub(crate) fn ago(millis: u64) -> String {
    words(millis / 1000, now())
}

fn words(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        0..MINUTE => "now".to_owned(),
        past @ MINUTE..HOUR => format!("{} min ago", past / MINUTE),
        past @ HOUR..DAY => format!("{} h ago", past / HOUR),
        past if past < 2 * DAY => "1 day ago".to_owned(),
        past if past < 14 * DAY => format!("{} days ago", past / DAY),
        _ => date(then),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        let now = 1_795_392_000;
        let cases = [
            (0, "now"),
            (59, "now"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (7200, "2 h ago"),
            (100_000, "1 day ago"),
            (13 * DAY, "13 days ago"),
            (14 * DAY, "2026-11-09"),
        ];
        for (past, expected) in cases {
            assert_eq!(words(now - past, now), expected);
        }
        // A clock that was set back.
        assert_eq!(words(now + 500, now), "now");
    }
}
