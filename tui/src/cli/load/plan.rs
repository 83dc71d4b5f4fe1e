//! When requests are sent, and which clients leave.

use std::time::Duration;

use super::args::{Arrivals, LoadArgs};
use crate::cli::failure::Usage;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0, and below 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How requests come.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// At these times after the start.
    Times(Vec<Duration>),
    /// So many users, one request behind the other.
    Users(usize),
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) pattern: Pattern,
    /// Nothing is sent after that.
    pub(super) duration: Duration,
    /// Most requests.
    pub(super) requests: usize,
}

/// Arrivals that are planned at most; so many clients could not be waited for.
const MOST: usize = 1_000_000;

impl Plan {
    pub(super) fn new(args: &LoadArgs) -> anyhow::Result<Self> {
        let within = |name: &str, value: f64, least: f64, most: f64| {
            let fits = value > least && value <= most;
            let text = format!("{name} is {value}; it has to be above {least}, and at most {most}");
            fits.then_some(()).ok_or(Usage(text))
        };
        within("--duration", args.duration, 0.0, 7.0 * 86_400.0)?;
        within("--rate", args.rate, 0.0, 100_000.0)?;
        if !(0.0..=1.0).contains(&args.disconnect) {
            return Err(Usage(format!(
                "--disconnect is {}; it has to be from 0 to 1",
                args.disconnect
            ))
            .into());
        }
        if args.generate == 0 || args.users == Some(0) || args.requests == Some(0) {
            return Err(Usage(
                "--generate, --users and --requests have to be 1 or more".to_owned(),
            )
            .into());
        }
        let requests = args.requests.unwrap_or(MOST).min(MOST);
        let duration = Duration::from_secs_f64(args.duration);
        let pattern = match args.users {
            Some(users) => Pattern::Users(users.min(10_000)),
            None => Pattern::Times(times(args, requests)),
        };
        Ok(Self {
            pattern,
            duration,
            requests,
        })
    }
}

fn times(args: &LoadArgs, most: usize) -> Vec<Duration> {
    let mut draws = Draws::new(args.seed);
    let mut at = 0.0;
    let mut times = Vec::new();
    while at < args.duration && times.len() < most {
        times.push(Duration::from_secs_f64(at));
        at = match args.arrivals {
            // Not added up, which would drift.
            Arrivals::Constant => times.len() as f64 / args.rate,
            // Gaps of a Poisson process; what is drawn is below 1.
            Arrivals::Poisson => at - libm::log(1.0 - draws.next()) / args.rate,
        };
    }
    times
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn plan(words: &str) -> anyhow::Result<Plan> {
        let line = Line::try_parse_from(["load"].into_iter().chain(words.split_whitespace()))?;
        Plan::new(&line.args)
    }

    #[test]
    fn arrivals_have_the_rate_that_was_asked_for() {
        let count = |words: &str| match plan(words).unwrap().pattern {
            Pattern::Times(times) => times.len(),
            Pattern::Users(_) => panic!(),
        };
        assert_eq!(count("--rate 5 --duration 10 --arrivals constant"), 50);
        let poisson = count("--rate 50 --duration 100");
        assert!((4700..5300).contains(&poisson), "{poisson}");
        assert_eq!(count("--rate 50 --duration 100 --requests 7"), 7);
        assert_ne!(count("--rate 50 --duration 100 --seed 1"), poisson);
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        for words in [
            "--rate 0",
            "--rate nan",
            "--duration -1",
            "--disconnect 2",
            "--users 0",
            "--generate 0",
        ] {
            assert!(plan(words).is_err(), "{words}");
        }
        assert!(plan("--users 2 --rate 3").is_err());
    }
}
