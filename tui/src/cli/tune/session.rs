//! Measuring in turn, within a time, and remembering what was measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bed::{Bed, Refused};
use super::point::{Interval, Measured, Point};
use crate::cli::cache_file;
use crate::cli::console::Progress;

/// The form of the file of measurements.
const SCHEMA: &str = "tritone-tune-1";

/// What is kept between two runs: of one model, machine, version and workload.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    schema: String,
    measured: Vec<Measured>,
}

/// Why measuring ended before everything was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cut {
    /// The time is over.
    Time,
    /// Ctrl+C.
    Interrupted,
}

/// Measures points and remembers them.
pub(super) struct Session<'a> {
    pub(super) bed: Bed<'a>,
    book: Book,
    file: Option<PathBuf>,
    progress: Progress,
    begin: Instant,
    budget: Duration,
    /// Rounds that earlier runs had measured.
    pub(super) known: usize,
    pub(super) cut: Option<Cut>,
}

impl<'a> Session<'a> {
    /// With what `file` remembers, unless it is to be forgotten; the second value is why nothing is remembered,
    /// if that is wrong.
    pub(super) fn new(
        bed: Bed<'a>,
        file: Option<PathBuf>,
        fresh: bool,
        budget: Duration,
        progress: Progress,
    ) -> (Self, Option<String>) {
        let (mut book, mut note) = (Book::default(), None);
        if let Some(path) = file.as_ref().filter(|_| !fresh) {
            let read = cache_file::read::<Book>(path).and_then(|book| {
                let book = book.unwrap_or_default();
                match book.measured.is_empty() {
                    true => Ok(book),
                    false => cache_file::expect_schema(&book.schema, SCHEMA).map(|()| book),
                }
            });
            match read {
                Ok(found) => book = found,
                Err(why) => {
                    note = Some(format!(
                        "what was measured before is left out: {}: {why}",
                        path.display()
                    ));
                }
            }
        }
        SCHEMA.clone_into(&mut book.schema);
        let known = book.measured.iter().map(|one| one.rounds.len()).sum();
        let session = Self {
            bed,
            book,
            file,
            progress,
            begin: Instant::now(),
            budget,
            known,
            cut: None,
        };
        (session, note)
    }

    /// What is known of a point.
    pub(super) fn known(&self, point: &Point) -> Option<&Measured> {
        let key = point.key();
        self.book.measured.iter().find(|one| one.point.key() == key)
    }

    /// Everything that is known.
    pub(super) fn all(&self) -> &[Measured] {
        &self.book.measured
    }

    /// How long it has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    fn entry(&mut self, point: &Point) -> &mut Measured {
        let key = point.key();
        let at = self
            .book
            .measured
            .iter()
            .position(|one| one.point.key() == key);
        let at = at.unwrap_or_else(|| {
            self.book.measured.push(Measured {
                point: point.clone(),
                runs: String::new(),
                planned: 0,
                rounds: Vec::new(),
                skipped: None,
            });
            self.book.measured.len() - 1
        });
        &mut self.book.measured[at]
    }

    /// Measures every point until each has `rounds` rounds, one after the other, so that what else the machine does
    /// hits all of them; `what` is shown, `share` of the time may be used up. The first round of points that were never
    /// measured is done even if the time is over.
    pub(super) fn measure(
        &mut self,
        what: &str,
        points: &[Point],
        rounds: usize,
        share: f64,
    ) -> anyhow::Result<()> {
        for round in 0..rounds {
            for point in points {
                if self.cut == Some(Cut::Interrupted) {
                    return Ok(());
                }
                let entry = self.entry(point);
                if entry.skipped.is_some() || entry.rounds.len() > round {
                    continue;
                }
                let over = self.begin.elapsed() >= self.budget.mul_f64(share);
                if over && round > 0 {
                    self.cut = Some(Cut::Time);
                    return Ok(());
                }
                self.one(what, point)?;
            }
        }
        Ok(())
    }

    /// One more round of each point, whatever is known of them; only these count in `Measured::rounds` afterwards.
    pub(super) fn again(
        &mut self,
        what: &str,
        points: &[Point],
        rounds: usize,
    ) -> anyhow::Result<()> {
        for point in points {
            self.entry(point).rounds.clear();
        }
        self.measure(what, points, rounds, 1.0)
    }

    fn one(&mut self, what: &str, point: &Point) -> anyhow::Result<()> {
        let ready = match self.bed.apply(point) {
            Ok(ready) => ready,
            Err(refused) => return self.refused(point, refused),
        };
        match self.bed.round(point) {
            Ok(round) => {
                let entry = self.entry(point);
                (entry.runs, entry.planned) = (ready.runs, ready.planned);
                entry.rounds.push(round);
                let (elapsed, budget) = (self.begin.elapsed(), self.budget);
                let left = budget.saturating_sub(elapsed).as_secs();
                let text = format!(
                    "{what}: {}: {:.1} tok/s; {left} s left at most",
                    point.name, round.decode
                );
                self.progress.show(|| text);
                self.save();
                Ok(())
            }
            Err(refused) => self.refused(point, refused),
        }
    }

    fn refused(&mut self, point: &Point, refused: Refused) -> anyhow::Result<()> {
        match refused {
            Refused::Skip(why) => self.entry(point).skipped = Some(why),
            Refused::Stopped => self.cut = Some(Cut::Interrupted),
            Refused::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Nobody depends on it: what cannot be kept is measured again.
    fn save(&self) {
        if let Some(path) = &self.file {
            let _ = cache_file::write(path, &self.book);
        }
    }

    /// Takes the line of progress away.
    pub(super) fn quiet(&mut self) {
        self.progress.clear();
    }

    /// A number of a point, if it was measured.
    pub(super) fn speed(&self, point: &Point, together: bool) -> Option<Interval> {
        self.known(point)?.speed(together)
    }
}
