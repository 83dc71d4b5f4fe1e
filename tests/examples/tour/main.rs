//! Makes the screen tour: drives the program in a pseudo-terminal as a person would, and draws what is on
//! the screen at each stop into `docs/tour/`, with `docs/tour.md` around the pictures.
//!
//! `cargo build --release && cargo run --release -p tritone-tests --example tour`

mod script;
mod svg;
mod terminal;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A stop of the tour.
struct Stop {
    /// Name of the picture.
    name: &'static str,
    /// What is to be seen, a sentence or two.
    caption: &'static str,
    picture: String,
}

/// The stops so far.
#[derive(Default)]
struct Tour(Vec<Stop>);

impl Tour {
    /// Draws what is on the screen.
    fn stop(
        &mut self,
        terminal: &terminal::Terminal,
        name: &'static str,
        caption: &'static str,
    ) -> Outcome<()> {
        let picture = terminal.look(|screen| svg::draw(screen, caption))?;
        self.0.push(Stop {
            name,
            caption,
            picture,
        });
        Ok(())
    }

    fn write(&self, docs: &Path) -> Outcome<()> {
        let pictures = docs.join("tour");
        fs::create_dir_all(&pictures)?;
        let mut page = String::from(
            "# A tour of the screen\n\n\
             Every picture is what the program had on its screen when it was driven through a pseudo-terminal by\n\
             `cargo run --release -p tritone-tests --example tour`.\n",
        );
        for stop in &self.0 {
            let Stop {
                name,
                caption,
                picture,
            } = stop;
            fs::write(pictures.join(format!("{name}.svg")), picture)?;
            write!(page, "\n{caption}\n\n![{name}](tour/{name}.svg)\n")?;
        }
        fs::write(docs.join("tour.md"), page)?;
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let mut tour = Tour::default();
    script::play(&mut tour)?;
    tour.write(&tritone_tests::repository().join("docs"))
}
