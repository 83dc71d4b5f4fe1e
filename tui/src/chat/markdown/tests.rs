use std::fs;

use proptest::prelude::*;

use super::*;
use crate::chat::glyph;

/// All rows as text.
fn shown(text: &str, width: u16) -> Vec<String> {
    texts(&Rich::new(text, width, false), text)
}

fn texts(rich: &Rich, text: &str) -> Vec<String> {
    (0..rich.height())
        .map(|at| rich.row(text, at).unwrap().text.to_owned())
        .collect()
}

/// Everything that is drawn of `rich`.
fn picture<'a>(rich: &'a Rich, text: &'a str) -> Vec<(RowView<'a>, usize)> {
    (0..rich.height())
        .map(|at| (rich.row(text, at).unwrap(), rich.source(at)))
        .collect()
}

/// The text in one go: one parser, nothing frozen.
fn at_once(text: &str, width: u16) -> (Rows, Vec<Code>) {
    let mut rows = Rows::default();
    let mut codes = Vec::new();
    let sheet = Sheet {
        rows: &mut rows,
        codes: &mut codes,
        width,
    };
    let mut writer = Writer::new(sheet, text, 0, true);
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        writer.event(event, range);
    }
    if rows.len() == 0 {
        rows.begin(0);
    }
    (rows, codes)
}

/// Replays the corpus of the fuzz target `markdown`: columns, rows, length of the pieces, text.
#[test]
fn the_corpus_looks_the_same_at_once_and_piece_by_piece() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/markdown");
    let mut read = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let input = fs::read(entry.unwrap().path()).unwrap();
        let [columns, _, step, text @ ..] = input.as_slice() else {
            continue;
        };
        let text = String::from_utf8_lossy(text);
        let width = 18 + u16::from(columns % 101);
        let mut streamed = Rich::new("", width, true);
        let step = usize::from(*step) + 1;
        for (end, _) in text.char_indices().step_by(step) {
            streamed.update(&text[..end], true);
        }
        streamed.update(&text, false);
        let whole = Rich::new(&text, width, false);
        assert_eq!(picture(&streamed, &text), picture(&whole, &text));
        read += 1;
    }
    assert!(read > 1, "{corpus} has {read} files");
}

fn line() -> impl Strategy<Value = String> {
    let words = "[a-c]{1,6}( [a-c*_`]{1,6}){0,5}";
    prop_oneof![
        4 => words,
        5 => Just(String::new()),
        2 => "#{1,4} [a-c]{1,5}",
        4 => ("[ ]{0,4}", "[-*+]|[0-9]{1,2}[.)]", words).prop_map(|(i, m, w)| format!("{i}{m} {w}")),
        2 => ("(> ?){1,3}", words).prop_map(|(q, w)| format!("{q}{w}")),
        3 => "[ ]{0,3}(```|~~~|````)(rust|py|)?",
        1 => "[ ]{1,6}[a-c]{1,6}",
        2 => "\\|[a-c]{1,3}\\|[a-c `*]{1,5}\\|?",
        2 => Just("|--|:-:|".to_owned()),
        1 => Just("---".to_owned()),
        1 => Just("===".to_owned()),
        1 => Just("<div>".to_owned()),
        1 => Just("<!-- x".to_owned()),
        1 => Just("-->".to_owned()),
        1 => Just("**bold** *it* ~~gone~~ `code` [a](http://b.c)".to_owned()),
        1 => Just("漢字 👩\u{200d}🚀 e\u{301} \u{1b}[0m\ttab".to_owned()),
        1 => Just("- [x] done".to_owned()),
        1 => Just("  - > ```".to_owned()),
        1 => Just("\\`&amp; &lt;b&gt; <br>x".to_owned()),
    ]
}

fn definition() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[a]: http://x.y".to_owned()),
        Just("[^1]: a note".to_owned()),
        Just("see [a] and [b][a] and ![c][] and [^1]".to_owned()),
    ]
}

fn markdown() -> impl Strategy<Value = String> {
    let end = prop_oneof![12 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n")];
    let line = prop_oneof![12 => line(), 1 => definition()];
    proptest::collection::vec((line, end), 0..24).prop_map(|lines| {
        lines
            .into_iter()
            .map(|(line, end)| format!("{line}{end}"))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn streamed_is_whole(
        text in markdown(), width in 4u16..60, window in 8usize..200, step in 1usize..9,
        open in any::<bool>(),
    ) {
        let window = if window > 100 { WINDOW } else { window };
        let mut streamed = Rich::with_window("", width, open, window);
        let ends = text.char_indices().map(|(at, _)| at).step_by(step).chain([text.len()]);
        for end in ends {
            let text = &text[..end];
            streamed.update(text, open);
            let whole = Rich::with_window(text, width, open, window);
            // A block longer than the window is cut where the text had come to when it grew too long.
            if text.len() > window {
                prop_assert!(streamed.height() > 0);
                continue;
            }
            prop_assert_eq!(picture(&streamed, text), picture(&whole, text), "{:?}", text);
            prop_assert_eq!(streamed.codes(), whole.codes());
        }
        streamed.update(&text, false);
        if text.len() <= window {
            let whole = Rich::with_window(&text, width, false, window);
            prop_assert_eq!(picture(&streamed, &text), picture(&whole, &text));
        }
    }

    #[test]
    fn whole_is_what_one_parser_makes_of_it(text in markdown(), width in 4u16..60) {
        let rich = Rich::new(&text, width, false);
        let (rows, codes) = at_once(&text, width);
        let expected: Vec<_> = (0..rows.len()).map(|at| rows.get(at).unwrap()).collect();
        let found: Vec<_> = picture(&rich, &text).into_iter().map(|(row, _)| row).collect();
        prop_assert_eq!(found, expected, "{:?}", text);
        prop_assert_eq!(rich.codes(), &codes[..]);
    }

    #[test]
    fn rows_fit_and_begin_in_order(text in markdown(), width in 8u16..60, open in any::<bool>()) {
        let rich = Rich::new(&text, width, open);
        let mut source = 0;
        for at in 0..rich.height() {
            let row = rich.row(&text, at).unwrap();
            prop_assert!(glyph::width(row.text) <= usize::from(width), "{:?}", row.text);
            let covered: usize = row.spans.iter().map(|span| span.len).sum();
            prop_assert_eq!(covered, row.text.len());
            prop_assert!(rich.source(at) >= source);
            source = rich.source(at);
        }
    }

    #[test]
    fn anything_at_all(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}", width in 1u16..30, step in 1usize..40) {
        let mut streamed = Rich::new("", width, true);
        for end in text.char_indices().map(|(at, _)| at).step_by(step).chain([text.len()]) {
            streamed.update(&text[..end], true);
            let whole = Rich::new(&text[..end], width, true);
            prop_assert_eq!(picture(&streamed, &text[..end]), picture(&whole, &text[..end]));
        }
    }
}

#[test]
fn a_table_is_one_once_its_second_row_is_whole() {
    let text = " a\n|a| \n|--|:-:|\n";
    let mut streamed = Rich::new("", 4, true);
    for end in 0..=text.len() {
        streamed.update(&text[..end], true);
        let whole = Rich::new(&text[..end], 4, true);
        assert_eq!(
            picture(&streamed, &text[..end]),
            picture(&whole, &text[..end])
        );
    }
}

#[test]
fn blocks() {
    let text = "Title\n=====\n\npara one\nline two\n\n- a\n- b\n  - c\n\n    more\n\n3. x\n4. y\n\n> q\n\n***";
    assert_eq!(
        shown(text, 20),
        [
            "Title",
            "",
            "para one",
            "line two",
            "",
            "• a",
            "• b",
            "  ◦ c",
            "",
            "    more",
            "",
            "3. x",
            "4. y",
            "",
            "│ q",
            "",
            "────────────────────",
        ]
    );
}

#[test]
fn links_say_where_they_lead_unless_their_text_does() {
    for (text, expected) in [
        ("[a](http://b.c)", "a (http://b.c)"),
        ("<http://b.c>", "http://b.c"),
        ("[http://b.c](http://b.c)", "http://b.c"),
        ("<me@b.c>", "me@b.c"),
        ("![a picture](b.png)", "image: a picture (b.png)"),
        ("[a][x]\n\n[x]: http://b.c", "a (http://b.c)"),
    ] {
        assert_eq!(shown(text, 40), [expected], "{text:?}");
    }
}

#[test]
fn code_keeps_its_blanks_and_is_marked_where_it_goes_on() {
    let text = "```sh title=x\n\tls\n  a b c d e f g h\n\n```\n";
    assert_eq!(
        shown(text, 12),
        [
            "── sh · code",
            "\tls",
            "  a b c d e ",
            "↪ f g h",
            "",
            "────────────"
        ]
    );
    let rich = Rich::new(text, 12, false);
    let [code] = rich.codes() else {
        panic!("{:?}", rich.codes())
    };
    assert_eq!(
        code.text, "\tls\n  a b c d e f g h\n\n",
        "the copy has no marks"
    );
    assert_eq!(code.language, "sh");
}

#[test]
fn tables_fit_or_become_lists() {
    let text = "| Name | What it is |\n|---|--:|\n| a | one two three |\n| bb | x |\n";
    assert_eq!(
        shown(text, 30),
        [
            "Name │    What it is",
            "─────┼──────────────",
            "a    │ one two three",
            "bb   │             x",
        ]
    );
    assert_eq!(
        shown(text, 16),
        [
            "Name │   What it",
            "     │        is",
            "─────┼──────────",
            "a    │   one two",
            "     │     three",
            "─────┼──────────",
            "bb   │         x",
        ]
    );
    assert_eq!(
        shown(text, 9),
        [
            "Name: a",
            "What it",
            "is: one",
            "two three",
            "─────────",
            "Name: bb",
            "What it",
            "is: x",
        ]
    );
}

#[test]
fn what_is_open_is_shown_as_if_it_were_closed() {
    for (text, expected) in [
        ("a **b", "a b"),
        ("a **b*", "a b"),
        ("a **", "a"),
        ("a *b **c", "a b c"),
        ("a `b", "a b"),
        ("a `", "a"),
        ("a ~~b", "a b"),
        ("2 * 3", "2 * 3"),
        ("snake_case_x", "snake_case_x"),
        ("[a](http://b", "a (http://b)"),
        ("a\n-", "a"),
        ("a\n==", "a"),
        ("``", ""),
        ("done **b** and `c`", "done b and c"),
        ("a __b", "a b"),
        ("***a", "a"),
        ("a \\**b", "a *b"),
        ("a `b` **`c", "a b c"),
    ] {
        let rich = Rich::new(text, 40, true);
        assert_eq!(texts(&rich, text), [expected], "{text:?}");
    }
    for (text, expected) in [
        ("- **a\n- b", ["• **a", "• b"]),
        ("1. `a\n2. **b", ["1. `a", "2. b"]),
        ("> *a\n> b", ["│ a", "│ b"]),
    ] {
        let rich = Rich::new(text, 40, true);
        assert_eq!(texts(&rich, text), expected, "{text:?}");
    }
    let text = "| a | b";
    let rich = Rich::new(text, 40, true);
    assert_eq!(texts(&rich, text), ["a │ b", "──┼──"]);
    let text = "```\ncode\n``";
    let rich = Rich::new(text, 9, true);
    assert_eq!(texts(&rich, text), ["── code 1", "code", "─────────"]);
}

#[test]
fn hostile_texts_end() {
    let deep = |open: &str| open.repeat(20_000);
    let texts = [
        deep("> "),
        deep("- "),
        deep("["),
        deep("**a "),
        deep("*a_ "),
        deep("`"),
        deep("![a]("),
        deep("<a "),
        deep("1. "),
        "x".repeat(1 << 20),
        "字".repeat(300_000),
        format!("```\n{}", "x".repeat(1 << 20)),
        format!(
            "|{}\n|{}\n{}",
            "a|".repeat(10_000),
            "-|".repeat(10_000),
            "|b\n".repeat(900)
        ),
        "\u{1b}]0;x\u{7}\0\u{9b}".repeat(10_000),
        "a\u{301}".repeat(100_000),
        "- a\n".repeat(50_000),
        "[a]: b\n".repeat(20_000),
        "\n".repeat(200_000),
        (0..3000)
            .map(|depth| format!("{}- a\n", " ".repeat(depth % 300)))
            .collect(),
    ];
    for text in texts {
        let whole = Rich::new(&text, 40, true);
        assert!(whole.height() >= 1);
        for at in [0, whole.height() / 2, whole.height() - 1] {
            let row = whole.row(&text, at).unwrap();
            assert!(glyph::width(row.text) <= 40, "{:?}", row.text);
        }
        // And while it comes.
        let mut streamed = Rich::new("", 40, true);
        for step in 1..=40 {
            let end = text.floor_char_boundary(text.len() / 40 * step);
            streamed.update(&text[..end], true);
        }
        streamed.update(&text, true);
        assert_eq!(streamed.height(), whole.height());
    }
}
