//! A race, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Entry, Standing, State};

/// Narrower than this, only the rates are shown.
const WIDE: usize = 62;

/// The race as lines of at most `width` cells where that is possible; the leader is marked.
pub(crate) fn lines(standing: &Standing, width: usize) -> Vec<String> {
    let wide = width >= WIDE;
    // In a chat the bandwidth is not measured.
    let shares = (standing.entries.iter()).any(|entry| entry.share_of_read.is_some());
    let names = standing
        .entries
        .iter()
        .map(|entry| entry.name.chars().count());
    let name = names.max().unwrap_or(0).max(6);
    let mut lines = vec![if wide {
        let read = if shares { "  of read" } else { "" };
        format!(
            "  {:name$} {:>8} {:>8}{read} {:>5} {:>9}  (rates in tok/s)",
            "kernel", "decode", "prefill", "bits", "first"
        )
    } else {
        format!(
            "  {:name$} {:>8} {:>8}  tok/s",
            "kernel", "decode", "prefill"
        )
    }];
    let leader = standing.leader().map(|leader| &leader.name);
    for entry in &standing.entries {
        let mark = if Some(&entry.name) == leader {
            '*'
        } else {
            ' '
        };
        let mut line = format!(
            "{mark} {:name$} {:>8} {:>8}",
            entry.name,
            rate(entry.decode),
            rate(entry.prefill)
        );
        if wide {
            if shares {
                let share = entry.share_of_read;
                let share = share.map(|share| format!("{:.0} %", share * 100.0));
                line.push_str(&format!(" {:>8}", share.as_deref().unwrap_or("-")));
            }
            let first = entry.first.map_or_else(|| "-".to_owned(), time);
            line.push_str(&format!(" {:>5.2} {first:>9}", entry.bits));
        }
        match &entry.state {
            State::Packing => line.push_str("  packing"),
            State::Running => line.push_str("  ..."),
            State::Out(why) => line.push_str(&format!("  {why}")),
            State::Waiting | State::Measured => {}
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// What to say below the table, once the race is over.
pub(crate) fn verdict(standing: &Standing) -> String {
    if standing.cancelled {
        return "stopped early, nothing has changed".to_owned();
    }
    let Some((leader, turn)) = standing.leader().and_then(|l| Some((l, l.turn()?))) else {
        return "nothing was measured".to_owned();
    };
    let rivals = standing
        .entries
        .iter()
        .filter(|entry| entry.name != leader.name);
    let second = rivals.filter_map(|rival| Some((rival.turn()?, &rival.name)));
    match second.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((other, name)) => format!(
            "{} wins: 128 tokens read and 128 written in {}, {name} in {}{}",
            leader.name,
            time(Duration::from_secs_f64(turn)),
            time(Duration::from_secs_f64(other.min(1e9))),
            if other < turn {
                ", too close to beat the higher score"
            } else {
                ""
            }
        ),
        None => format!("{} ran alone", leader.name),
    }
}

fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate >= 100.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        0.0..1.0 => format!("{:.0} ms", seconds * 1e3),
        1.0..10.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.1} s"),
    }
}

/// The race for programs.
pub(crate) fn object(standing: &Standing) -> Value {
    let entry = |entry: &Entry| {
        let (state, reason) = match &entry.state {
            State::Waiting => ("waiting", None),
            State::Packing => ("packing", None),
            State::Running => ("running", None),
            State::Measured => ("measured", None),
            State::Out(why) => ("out", Some(why)),
        };
        json!({
            "name": entry.name,
            "build": entry.build_id,
            "decode_tokens_per_s": entry.decode,
            "prefill_tokens_per_s": entry.prefill,
            "share_of_read": entry.share_of_read,
            "bits_per_weight": entry.bits,
            "first_token_ms": entry.first.map(|time| time.as_secs_f64() * 1e3),
            "turn_seconds": entry.turn(),
            "state": state,
            "reason": reason,
        })
    };
    json!({
        "winner": standing.leader().map(|leader| &leader.name),
        "cancelled": standing.cancelled,
        "kernels": standing.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}
