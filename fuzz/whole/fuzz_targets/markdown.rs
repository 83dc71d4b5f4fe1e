//! An answer in Markdown from the fuzzer, written piece by piece and drawn: width, height and the length
//! of the pieces come first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tritone::screen::Screen;

fuzz_target!(|input: &[u8]| {
    let [columns, rows, step, text @ ..] = input else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let (columns, rows) = (20 + u16::from(columns % 101), 6 + u16::from(rows % 35));
    let Ok(mut screen) = Screen::new(columns, rows) else {
        return;
    };
    screen.ask("What is it?");
    let mut piece = String::new();
    for (count, character) in text.chars().enumerate() {
        piece.push(character);
        if count % (usize::from(*step) + 1) == 0 {
            screen.token(&std::mem::take(&mut piece));
            let _ = screen.draw();
        }
    }
    screen.token(&piece);
    screen.finish();
    screen.top();
    let _ = screen.draw();
});
