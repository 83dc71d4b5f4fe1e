use super::*;

fn with(text: &str) -> Composer {
    let mut composer = Composer::new(10);
    composer.insert(text);
    composer
}

#[test]
fn deleting_takes_whole_clusters() {
    let mut composer = with("a👩\u{200d}🚀e\u{301}");
    composer.delete_back();
    assert_eq!(composer.text(), "a👩\u{200d}🚀");
    composer.go(Move::Left);
    assert_eq!(composer.cursor_cell(), (0, 1));
    composer.delete_on();
    assert_eq!(composer.text(), "a");
    composer.delete_back();
    composer.delete_back();
    assert_eq!(composer.text(), "");
}

#[test]
fn the_cursor_counts_cells() {
    let mut composer = with("漢字👩\u{200d}🚀");
    assert_eq!(composer.cursor_cell(), (0, 6));
    composer.go(Move::Left);
    assert_eq!(composer.cursor_cell(), (0, 4));
    composer.insert("\t");
    assert_eq!(composer.cursor_cell(), (0, 8));
}

#[test]
fn a_full_row_gives_the_cursor_a_row_of_its_own() {
    let composer = with("0123456789");
    assert_eq!((composer.cursor_cell(), composer.height()), ((1, 0), 2));
}

#[test]
fn up_and_down_follow_the_rows_on_the_screen() {
    let mut composer = with("first row of text\nlast");
    // Rows: "first row", "of text", "last"; the cursor stands behind "last".
    assert!(composer.go(Move::Up));
    assert_eq!(composer.cursor_cell(), (1, 4));
    assert!(composer.go(Move::Up));
    assert_eq!(composer.cursor_cell(), (0, 4));
    assert!(!composer.go(Move::Up), "there is nothing above");
    composer.go(Move::Down);
    composer.go(Move::Down);
    assert!(!composer.go(Move::Down), "there is nothing below");
}

#[test]
fn words_and_lines() {
    let mut composer = with("say hello, world\nnext");
    composer.go(Move::Up);
    composer.go(Move::LineEnd);
    composer.go(Move::WordLeft);
    composer.delete_to(Move::WordLeft);
    assert_eq!(composer.text(), "say world\nnext");
    composer.delete_to(Move::LineEnd);
    assert_eq!(composer.text(), "say \nnext");
    composer.delete_to(Move::LineStart);
    assert_eq!(composer.text(), "\nnext");
    composer.go(Move::WordRight);
    assert_eq!(composer.cursor_cell(), (1, 4));
}

#[test]
fn writing_inside_a_cluster_that_joins_keeps_the_cursor_at_an_edge() {
    let mut composer = with("👩🚀");
    composer.go(Move::Left);
    composer.insert("\u{200d}");
    composer.delete_back();
    assert_eq!(
        composer.text(),
        "",
        "the three characters became one cluster"
    );
}

#[test]
fn the_history_gives_the_draft_back() {
    let mut composer = with("one");
    composer.take();
    composer.insert("two");
    composer.take();
    composer.insert("dra");
    assert!(composer.recall_older() && composer.text() == "two");
    assert!(composer.recall_older() && composer.text() == "one");
    assert!(!composer.recall_older());
    assert!(composer.recall_newer() && composer.text() == "two");
    assert!(composer.recall_newer() && composer.text() == "dra");
    assert!(!composer.recall_newer());
}

#[test]
fn pasted_line_ends_are_line_ends() {
    assert_eq!(with("a\r\nb\rc\nd").text(), "a\nb\nc\nd");
}

fn chip(content: &str) -> Chip {
    Chip {
        origin: chip::Origin::Paste,
        content: content.to_owned(),
    }
}

#[test]
fn a_long_paste_is_one_word_that_is_sent_as_a_whole() {
    let mut composer = Composer::new(60);
    composer.insert("look: ");
    composer.paste(&"line\r\n".repeat(600));
    composer.insert(" ok?");
    assert_eq!(
        composer.text(),
        "look: [pasted 3 KiB, 600 lines, ~750 tokens] ok?"
    );
    let message = composer.draft().message();
    assert_eq!(message, format!("look: {} ok?", "line\n".repeat(600)));
    // The cursor passes it in one step, and one key deletes it.
    for _ in 0..4 {
        composer.go(Move::Left);
    }
    composer.go(Move::Left);
    assert_eq!(composer.cursor(), "look: ".len());
    composer.go(Move::Right);
    composer.delete_back();
    assert_eq!(composer.text(), "look:  ok?");
    assert!(composer.chips().is_empty());
    assert!(composer.undo() && composer.chips().len() == 1);
    assert!(composer.expand());
    assert_eq!(composer.text(), message);
    assert!(!composer.expand());
}

#[test]
fn text_before_a_chip_moves_it_and_a_cut_through_it_takes_it_away() {
    let mut composer = Composer::new(60);
    composer.insert("ab");
    composer.insert_chip(chip("one"));
    composer.insert_chip(chip("two"));
    composer.insert("cd");
    let first = composer.chips()[0].clone();
    composer.go(Move::LineStart);
    composer.insert("xyz");
    assert_eq!(composer.chips()[0].start, first.start + 3);
    assert_eq!(composer.draft().message(), "xyzabonetwocd");
    composer.replace(composer.chips()[0].start + 4..composer.chips()[0].end, "-");
    assert_eq!(composer.draft().message(), "xyzab-twocd");
    composer.go(Move::LineEnd);
    composer.delete_to(Move::LineStart);
    assert!(composer.text().is_empty() && composer.chips().is_empty());
}

#[test]
fn counted_tokens_replace_the_guess() {
    let mut composer = Composer::new(60);
    composer.insert_chip(chip("one"));
    composer.insert_chip(chip("three"));
    composer.insert("!");
    composer.relabel(|chip| Some(chip.content.len() * 1000));
    assert_eq!(
        composer.text(),
        "[pasted 3 B, 1 line, 3,000 tokens][pasted 5 B, 1 line, 5,000 tokens]!"
    );
    assert_eq!(composer.cursor(), composer.text().len());
    assert_eq!(composer.draft().message(), "onethree!");
    composer.relabel(|_| None);
    assert!(composer.text().contains("3,000"));
}

#[test]
fn edits_are_taken_back_word_by_word() {
    let mut composer = Composer::new(40);
    for c in "one two".chars() {
        composer.insert(c.encode_utf8(&mut [0; 4]));
    }
    composer.delete_to(Move::WordLeft);
    let mut seen = Vec::new();
    while composer.undo() {
        seen.push(composer.text().to_owned());
    }
    assert_eq!(seen, ["one two", "one ", "one", ""]);
    while composer.redo() {
        seen.push(composer.text().to_owned());
    }
    assert_eq!(seen[4..], ["one", "one ", "one two", "one "]);
    composer.insert("x");
    assert!(!composer.redo(), "another edit forgets what was undone");
}

#[test]
fn what_is_selected_is_written_over() {
    let mut composer = with("one two");
    composer.select(Move::WordLeft);
    assert_eq!(composer.selection(), Some(4..7));
    let pieces: Vec<_> = composer.rows(0).flatten().collect();
    assert_eq!(pieces, [("one ", Part::Text), ("two", Part::Selected)]);
    composer.insert("x");
    assert_eq!(composer.text(), "one x");
    composer.select(Move::LineStart);
    composer.delete_back();
    assert_eq!(composer.text(), "");
    composer.insert("ab");
    composer.select(Move::Left);
    composer.go(Move::Left);
    composer.delete_on();
    assert_eq!(composer.text(), "b", "moving selects nothing");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Do {
        Insert(String),
        Chip(String),
        Back,
        On,
        To(u8),
        Go(u8),
        Select(u8),
        Undo,
        Redo,
        Relabel(usize),
        Expand,
    }

    const MOVES: [Move; 8] = [
        Move::Left,
        Move::Right,
        Move::WordLeft,
        Move::WordRight,
        Move::LineStart,
        Move::LineEnd,
        Move::Up,
        Move::Down,
    ];

    fn to(number: u8) -> Move {
        MOVES[usize::from(number) % MOVES.len()]
    }

    fn doing() -> impl Strategy<Value = Do> {
        prop_oneof![
            4 => "[a-c \n]{1,6}".prop_map(Do::Insert),
            1 => Just(Do::Insert("\u{301}\u{200d}".to_owned())),
            1 => Just(Do::Insert("👩\u{200d}🚀漢".to_owned())),
            3 => "[a-z\n]{0,4}".prop_map(Do::Chip),
            3 => Just(Do::Back),
            2 => Just(Do::On),
            2 => any::<u8>().prop_map(Do::To),
            5 => any::<u8>().prop_map(Do::Go),
            3 => any::<u8>().prop_map(Do::Select),
            2 => Just(Do::Undo),
            2 => Just(Do::Redo),
            1 => (0_usize..99_999).prop_map(Do::Relabel),
            1 => Just(Do::Expand),
        ]
    }

    proptest! {
        /// Whatever is done: chips are whole, the cursor is at an edge of a cluster and never within
        /// a chip, and the rows hold all of the text that is not blank.
        #[test]
        fn chips_stay_whole(steps in proptest::collection::vec(doing(), 0..40), width in 8_u16..60) {
            let mut composer = Composer::new(width);
            for step in steps {
                match step {
                    Do::Insert(text) => composer.insert(&text),
                    Do::Chip(text) => composer.insert_chip(chip(&text)),
                    Do::Back => composer.delete_back(),
                    Do::On => composer.delete_on(),
                    Do::To(by) => composer.delete_to(to(by)),
                    Do::Go(by) => { composer.go(to(by)); }
                    Do::Select(by) => composer.select(to(by)),
                    Do::Undo => { composer.undo(); }
                    Do::Redo => { composer.redo(); }
                    Do::Relabel(tokens) => composer.relabel(|_| Some(tokens)),
                    Do::Expand => { composer.expand(); }
                }
                let text = composer.text().to_owned();
                prop_assert!(text.is_char_boundary(composer.cursor()));
                let draft = composer.draft();
                prop_assert_eq!(&draft.clone().checked(), &draft, "chips are where they say");
                for placed in composer.chips() {
                    let label = &text[placed.start..placed.end];
                    prop_assert!(label.starts_with("[pasted ") && label.ends_with(']'), "{label:?}");
                    let within = placed.start < composer.cursor() && composer.cursor() < placed.end;
                    prop_assert!(!within, "the cursor is within {label:?}");
                }
                let whole = Wrapped::new(&text, width);
                prop_assert_eq!(composer.wrapped.rows(), whole.rows());
                let shown: String = composer.rows(0).flatten().map(|(text, _)| text).collect();
                let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                prop_assert_eq!(ink(&shown), ink(&text));
                let (row, column) = composer.cursor_cell();
                prop_assert!(row < composer.height() && column < width);
            }
        }
    }
}
