use crossterm::event::{KeyCode, KeyModifiers};
use proptest::prelude::*;

use super::super::headless::Headless;
use super::super::msg::Effect;
use super::*;
use crate::chat::composer::chip::{Chip, Origin};

/// A session with vi keys and `text` in the input, in normal mode; `|` is the cursor, and without it
/// the cursor is at the start.
fn session(text: &str) -> Headless {
    let mut session = Headless::loaded(60, 24);
    session.say("/composer vi");
    let at = text.find('|').unwrap_or(0);
    let bare = text.replacen('|', "", 1);
    session.state.composer.insert(&bare);
    session.key(KeyCode::Esc);
    session.state.composer.place(at);
    session
}

/// Types keys as they are written in vim's own documents: `<Esc>`, `<CR>`, `<C-r>`.
fn type_keys(session: &mut Headless, keys: &str) {
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let special = rest.strip_prefix('<').and_then(|rest| {
            let (name, behind) = rest.split_once('>')?;
            let key = match name {
                "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
                "CR" => (KeyCode::Enter, KeyModifiers::NONE),
                "BS" => (KeyCode::Backspace, KeyModifiers::NONE),
                "Del" => (KeyCode::Delete, KeyModifiers::NONE),
                "Up" => (KeyCode::Up, KeyModifiers::NONE),
                "Left" => (KeyCode::Left, KeyModifiers::NONE),
                "C-r" => (KeyCode::Char('r'), KeyModifiers::CONTROL),
                "C-w" => (KeyCode::Char('w'), KeyModifiers::CONTROL),
                "A-b" => (KeyCode::Char('b'), KeyModifiers::ALT),
                "C-j" => (KeyCode::Char('j'), KeyModifiers::CONTROL),
                _ => return None,
            };
            Some((key, behind))
        });
        match special {
            Some(((code, modifiers), behind)) => {
                session.press(code, modifiers);
                rest = behind;
            }
            None => {
                session.key(KeyCode::Char(c));
                rest = &rest[c.len_utf8()..];
            }
        }
    }
}

/// The text with the cursor, and the mode.
fn seen(session: &Headless) -> (String, Mode) {
    let composer = &session.state.composer;
    let mut text = composer.text().to_owned();
    text.insert(composer.cursor(), '|');
    let mode = session.state.vi.as_ref().unwrap().mode(composer);
    (text, mode)
}

/// What is there, which keys are typed, and what comes of it.
type Row = (&'static str, &'static str, &'static str);

fn check(rows: &[Row], mode: Mode) {
    let mut wrong = Vec::new();
    for (text, keys, expected) in rows {
        let mut session = session(text);
        type_keys(&mut session, keys);
        let seen = seen(&session);
        if seen != ((*expected).to_owned(), mode) {
            wrong.push(format!("{text:?} {keys} gives {seen:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn motions() {
    check(
        &[
            ("|one two", "l", "o|ne two"),
            ("|one two", "3l", "one| two"),
            ("|one", "9l", "on|e"),
            ("on|e", "h", "o|ne"),
            ("one\n|two", "h", "one\n|two"),
            ("|one, two", "w", "one|, two"),
            ("|one, two", "W", "one, |two"),
            ("|one, two", "3w", "one, tw|o"),
            ("|a\n\n b", "w", "a\n|\n b"),
            ("|a\n\n b", "2w", "a\n\n |b"),
            ("|one two", "e", "on|e two"),
            ("on|e two", "e", "one tw|o"),
            ("|one, two", "2e", "one|, two"),
            ("|one, two", "E", "one|, two"),
            ("one tw|o", "b", "one |two"),
            ("one |two", "b", "|one two"),
            ("one, |two", "B", "|one, two"),
            ("one, tw|o", "ge", "one|, two"),
            ("one two th|ree", "2ge", "on|e two three"),
            ("  one tw|o", "0", "|  one two"),
            ("  one tw|o", "^", "  |one two"),
            ("|one two", "$", "one tw|o"),
            ("|a\nbc", "2$", "a\nb|c"),
            ("|one  ", "g_", "on|e  "),
            ("a\n b\n|c", "gg", "|a\n b\nc"),
            ("|a\nb\n c", "G", "a\nb\n |c"),
            ("|a\n b\nc", "2G", "a\n |b\nc"),
            ("|a\nb", "j", "a\n|b"),
            ("ab|c\nd\nefg", "jj", "abc\nd\nef|g"),
            ("|abc\nd\nefg", "$jj", "abc\nd\nef|g"),
            ("a\nb\n|c", "9k", "|a\nb\nc"),
            ("漢字|x\nabcdef", "j", "漢字x\nabcd|ef"),
            ("|a(b)c", "fc", "a(b)|c"),
            ("|abcabc", "2fc", "abcab|c"),
            ("|abcabc", "tc", "a|bcabc"),
            ("|abcabc", "tc;", "abca|bc"),
            ("abcab|c", "Fa", "abc|abc"),
            ("abcab|c", "Ta", "abca|bc"),
            ("|abcabc", "fc;", "abcab|c"),
            ("|abcabc", "fc;,", "ab|cabc"),
            ("|abc", "fz", "|abc"),
            ("|a\nb\n\nc", "}", "a\nb\n|\nc"),
            ("a\nb\n\n|c", "{", "a\nb\n|\nc"),
            ("a\nb\n\nc|d", "{{", "|a\nb\n\ncd"),
            ("|f(a[1])", "%", "f(a[1]|)"),
            ("f(a|[1])", "%", "f(a[1|])"),
            ("f(a[1]|)", "%", "f|(a[1])"),
            ("|ab\ncd", "  ", "ab\n|cd"),
            ("ab\n|cd", "<BS>", "a|b\ncd"),
            ("|e\u{301}x", "l", "e\u{301}|x"),
            ("|one two", "<Esc>2<Esc>w", "one |two"),
        ],
        Mode::Normal,
    );
}

#[test]
fn operators() {
    check(
        &[
            ("|one two three", "dw", "|two three"),
            ("|one two three", "d2w", "|three"),
            ("|one two three", "2dw", "|three"),
            ("one |two", "dw", "one| "),
            ("one |two\nthree", "dw", "one| \nthree"),
            ("one t|wo", "db", "one |wo"),
            ("|one two", "de", "| two"),
            ("one tw|o", "dge", "o|n"),
            ("|one, two", "dW", "|two"),
            ("on|e two", "d$", "o|n"),
            ("on|e two", "D", "o|n"),
            ("one| two", "d0", "| two"),
            ("  one| two", "d^", "  | two"),
            ("|a\nb\nc", "dd", "|b\nc"),
            ("a\nb\n|c", "dd", "a\n|b"),
            ("a\n|b\nc", "dd", "a\n|c"),
            ("|a", "dd", "|"),
            ("|a\nb\nc", "2dd", "|c"),
            ("|a\nb\nc", "9dd", "|"),
            ("|a\nb\nc", "dj", "|c"),
            ("a\nb\n|c", "dk", "|a"),
            ("a\n|b\nc", "dG", "|a"),
            ("a\n|b\nc", "dgg", "|c"),
            ("a\nb\n|c", "dj", "a\nb\n|c"),
            ("|abc,d", "df,", "|d"),
            ("|abc,d", "dt,", "|,d"),
            ("|abc", "dfz", "|abc"),
            ("|a\nb\n\nc", "d}", "|\nc"),
            ("x|a\nb\n\nc", "d}", "|x\n\nc"),
            ("|f(a)b", "d%", "|b"),
            ("|abc", "x", "|bc"),
            ("ab|c", "x", "a|b"),
            ("|abc", "2x", "|c"),
            ("|abc", "9x", "|"),
            ("ab|c", "X", "a|c"),
            ("|abc", "<Del>", "|bc"),
            ("|", "x", "|"),
            ("|one\ntwo", "J", "one| two"),
            ("|one\n  two\nthree", "3J", "one two| three"),
            ("|f(\n)", "J", "f(|)"),
            ("|abc", "~", "A|bc"),
            ("|abC", "3~", "AB|c"),
            ("|abc def", "g~w", "|ABC def"),
            ("|ABC def", "guw", "|abc def"),
            ("a|bc def", "gUiw", "|ABC def"),
            ("a|bc\nd", "gUU", "A|BC\nd"),
            ("|abc", "rx", "|xbc"),
            ("|abc", "2rx", "x|xc"),
            ("|abc", "4rx", "|abc"),
            ("a|bc", "r<CR>", "a\n|c"),
            ("|one two", "dwP", "one| two"),
            ("|ab", "xp", "b|a"),
            ("|one two", "yiw$p", "one twoon|e"),
            ("|a\nb", "yyp", "a\n|a\nb"),
            ("|a\nb", "Yjp", "a\nb\n|a"),
            ("|a\nb", "ddp", "b\n|a"),
            ("|a\nb", "ddP", "|a\nb"),
            ("|a\nb", "yy3p", "a\n|a\na\na\nb"),
            ("|ab", "x3p", "baa|a"),
            ("one |two", "yb", "|one two"),
            ("a\n|b", "yk", "|a\nb"),
            ("|a b", "\"xyw\"ydwP\"xP", "aa|  b"),
            ("|a b", "\"_dwP", "|b"),
            ("|a b", "yiwwdiw\"0p", "a |a"),
            ("|one two", "dwu", "|one two"),
            ("|one two", "dwu<C-r>", "|two"),
            ("|abc", "xxuu", "|abc"),
            ("|one two three", "dw.", "|three"),
            ("|a b c d", "dw2.", "|d"),
            ("|abcd", "x..", "|d"),
            ("|ab", "rxl.", "x|x"),
            ("|a\nb\nc", "dd.", "|c"),
        ],
        Mode::Normal,
    );
}

#[test]
fn text_objects() {
    check(
        &[
            ("one t|wo three", "diw", "one | three"),
            ("one t|wo three", "daw", "one |three"),
            ("one t|wo", "daw", "on|e"),
            ("one| two", "diw", "one|two"),
            ("one t|wo, x", "diW", "one | x"),
            ("a b| c d", "d2aw", "a |b"),
            ("say \"o|ne\" x", "di\"", "say \"|\" x"),
            ("say \"o|ne\" x", "da\"", "say |x"),
            ("|say \"one\" x", "di\"", "say \"|\" x"),
            ("a \"b\\\" |c\" d", "di\"", "a \"|\" d"),
            ("f('|x')", "di'", "f('|')"),
            ("f(a, |b)", "di(", "f(|)"),
            ("f(a, |b)", "da(", "|f"),
            ("f(a, |b)", "dib", "f(|)"),
            ("f(a[|1])", "d2ab", "f(a[|1])"),
            ("f(a(|1))", "d2i(", "f(|)"),
            ("x[|1]", "di]", "x[|]"),
            ("x{|1}", "diB", "x{|}"),
            ("<|a>", "di<", "<|>"),
            ("a\n|b\n\nc", "dip", "|\nc"),
            ("a\n|b\n\nc", "dap", "|c"),
            ("a\n\n|b", "dap", "|a"),
            ("f(a|)", "di[", "f(a|)"),
        ],
        Mode::Normal,
    );
}

#[test]
fn writing() {
    check(
        &[
            ("|one two", "cwxy", "xy| two"),
            ("|one two", "c2wx", "x|"),
            ("on|e two", "cwx", "onx| two"),
            ("one| two", "cwx", "onex|two"),
            ("one |two", "Cx", "one x|"),
            ("a\n|b\nc", "ccx", "a\nx|\nc"),
            ("a\n|b\nc", "Sx", "a\nx|\nc"),
            ("|abc", "sx", "x|bc"),
            ("|", "sx", "x|"),
            ("|abc", "2sx", "x|c"),
            ("a|bc", "ix", "ax|bc"),
            ("a|bc", "ax", "abx|c"),
            ("  a|b", "Ix", "  x|ab"),
            ("|ab\nc", "Ax", "abx|\nc"),
            ("|a\nb", "ox", "a\nx|\nb"),
            ("a\n|b", "Ox", "a\nx|\nb"),
            ("f(a|)", "ci(x", "f(x|)"),
            ("f(|)", "ci(x", "f(x|)"),
            ("a|b", "ix<BS>y", "ay|b"),
            ("|one two", "yiwA <C-r>\"", "one two one|"),
            ("|ab", "ix<C-j>y", "x\ny|ab"),
        ],
        Mode::Insert,
    );
    check(
        &[
            ("a|bc", "ixy<Esc>", "ax|ybc"),
            ("one |two", "ix<A-b>", "|one xtwo"),
            ("one tw|o", "2d<A-b>", "one |two"),
            ("|a", "3ix<Esc>", "xx|xa"),
            ("|a", "2oxy<Esc>", "a\nxy\nx|y"),
            ("|one two", "cwx<Esc>w.", "x |x"),
            ("|a b", "A!<Esc>0.", "a b!|!"),
            ("|a\nb", "Ax<Esc>j.", "ax\nb|x"),
            ("|a\nb", "ox<Esc>.", "a\nx\n|x\nb"),
            ("|one two three", "ciwx<Esc>w2.", "x |xthree"),
            ("|ab", "ixy<Left>z<Esc>", "x|zyab"),
            ("|one two", "cwx<C-w>yz<Esc>w.", "yz y|z"),
            ("|one two", "cwxy<Esc>u", "|one two"),
            ("|one", "ixy z<Esc>u", "|one"),
            ("|one", "oa<Esc>obc<Esc>uu", "|one"),
        ],
        Mode::Normal,
    );
}

#[test]
fn selections() {
    check(
        &[
            ("|one two", "vld", "|e two"),
            ("|one two", "ved", "| two"),
            ("one |two", "vbd", "|wo"),
            ("a\n|b\nc", "Vd", "a\n|c"),
            ("|a\nb\nc", "Vjd", "|c"),
            ("|a\nb\nc", "vjd", "|\nc"),
            ("|abc", "vl~", "|ABc"),
            ("|ABC", "vu", "|aBC"),
            ("|abc", "v$U", "|ABC"),
            ("|abc", "vlrx", "|xxc"),
            ("|abc", "vly$p", "abca|b"),
            ("|one two", "yiwwviwp", "one on|e"),
            ("|one two", "yiwwviwp0viwp", "tw|o one"),
            ("one t|wo", "viwd", "one| "),
            ("f(a, |b)", "vi(d", "f(|)"),
            ("|abcd", "lvlohd", "|d"),
            ("|a\nb\nc", "VjJ", "a| b\nc"),
            ("|abcdef", "vld.", "|ef"),
            ("|a\nb\nc\nd", "Vjd.", "|"),
            ("|abc", "v<Esc>x", "|bc"),
            ("|a\nb", "vD", "|b"),
            ("|one two", "vVd", "|"),
        ],
        Mode::Normal,
    );
    check(&[("|one two", "vecx", "x| two")], Mode::Insert);
    check(&[("|one two", "ve", "on|e two")], Mode::Visual);
    check(&[("|one two", "Vw", "one |two")], Mode::VisualLine);
}

#[test]
fn chips_move_as_one() {
    let mut session = session("ab");
    let composer = &mut session.state.composer;
    composer.place(1);
    composer.insert_chip(Chip {
        origin: Origin::File("notes".to_owned()),
        content: "x".to_owned(),
    });
    let label = composer.chips()[0].chip.label(None);
    assert_eq!(composer.text(), format!("a{label}b"));
    type_keys(&mut session, "0l");
    assert_eq!(session.state.composer.cursor(), 1);
    type_keys(&mut session, "x");
    assert_eq!(session.state.composer.text(), "ab");
    type_keys(&mut session, "$p");
    let composer = &session.state.composer;
    assert_eq!(composer.text(), format!("ab{label}"));
    assert_eq!(
        composer.draft().message(),
        "ab\n<file name=\"notes\">\nx\n</file>"
    );
    type_keys(&mut session, "~0fnyl$P");
    assert!(
        session.state.composer.text().starts_with("aba["),
        "f does not look into it"
    );
    type_keys(&mut session, "0wd0");
    assert_eq!(session.state.composer.chips().len(), 1);
}

#[test]
fn esc_leaves_modes_before_it_stops_an_answer_and_enter_sends_in_each() {
    let mut session = Headless::loaded(60, 24);
    session.state.setting.vi = true;
    session.say("/composer vi");
    session.write("hello");
    type_keys(&mut session, "<Esc>0iwell, <Esc>");
    session.take_effects();
    session.key(KeyCode::Enter);
    let request = session.take_request();
    assert!(format!("{request:?}").contains("well, hello"));
    assert_eq!(seen(&session), ("|".to_owned(), Mode::Insert));
    session.tokens(&["Once"]);
    session.write("next").key(KeyCode::Esc);
    assert!(session.take_effects().is_empty(), "it leaves insert mode");
    session.key(KeyCode::Esc);
    let effects = session.take_effects();
    assert!(matches!(&effects[..], [Effect::Cancel]), "{effects:?}");
    type_keys(&mut session, "i");
    session.ctrl('c');
    assert!(
        session.state.quit_armed.is_some(),
        "Ctrl+C works in every mode"
    );
}

#[test]
fn esc_ends_no_program_while_the_model_is_loaded() {
    let mut session = Headless::new(60, 24);
    session.say("/composer vi").write("hello");
    session
        .key(KeyCode::Esc)
        .key(KeyCode::Esc)
        .key(KeyCode::Esc);
    assert!(session.take_effects().is_empty());
    session.key(KeyCode::Enter).key(KeyCode::Esc);
    assert!(session.state.waiting, "it only left insert mode");
    session.key(KeyCode::Esc);
    assert!(!session.state.waiting, "the message is taken back");
}

#[test]
fn k_in_the_first_line_goes_through_what_was_sent() {
    let mut session = session("");
    for sent in ["one", "two\nlines"] {
        session.state.composer.remember(Draft::plain(sent));
    }
    type_keys(&mut session, "idraft<Esc>k");
    assert_eq!(seen(&session).0, "two\nline|s");
    type_keys(&mut session, "kk");
    assert_eq!(seen(&session).0, "on|e");
    type_keys(&mut session, "jjj");
    assert_eq!(seen(&session).0, "draf|t");
    type_keys(&mut session, "dd");
    assert_eq!(seen(&session), ("|".to_owned(), Mode::Normal));
}

#[test]
fn what_is_copied_to_the_plus_register_goes_to_the_clipboard() {
    let mut session = session("|one two");
    session.take_effects();
    type_keys(&mut session, "\"+yiw");
    let effects = session.take_effects();
    assert!(
        matches!(&effects[..], [Effect::Copy(text)] if text == "one"),
        "{effects:?}"
    );
}

#[test]
fn ctrl_r_is_of_vi_and_a_paste_is_put_where_the_cursor_is() {
    let mut session = session("|ab");
    type_keys(&mut session, "x<C-r>");
    assert_eq!(seen(&session).0, "|b");
    session.send(super::super::msg::Msg::Paste("xy".to_owned()));
    assert_eq!(seen(&session), ("x|yb".to_owned(), Mode::Normal));
    type_keys(&mut session, "vl");
    session.send(super::super::msg::Msg::Paste("-".to_owned()));
    assert_eq!(seen(&session), ("x|-".to_owned(), Mode::Normal));
    type_keys(&mut session, "uu");
    assert_eq!(seen(&session).0, "|b");
    session.say("").key(KeyCode::Esc);
    type_keys(&mut session, "S/composer emacs");
    session.key(KeyCode::Enter);
    assert!(session.state.vi.is_none());
    assert_eq!(
        session
            .state
            .setting
            .keymap
            .label(super::super::commands::Action::Regenerate),
        "Ctrl+R"
    );
}

#[test]
fn the_mode_is_on_the_line_over_the_input_at_every_size() {
    for (columns, rows) in [(20, 6), (40, 12), (80, 24), (120, 40)] {
        for ascii in [false, true] {
            let mut session = Headless::loaded(columns, rows);
            session.state.setting.look.ascii = ascii;
            session.say("/composer vi").wait(5000);
            session.send(super::super::msg::Msg::Tick);
            assert!(session.screen().contains(" INSERT "), "{columns}x{rows}");
            session.write("ab").key(KeyCode::Esc);
            session.write("2d");
            let screen = session.screen();
            assert!(screen.contains(" NORMAL 2d "), "{screen}");
            session.write("\u{1b}").write("V");
            assert!(session.screen().contains(" V-LINE "), "{columns}x{rows}");
        }
    }
}

#[test]
fn the_help_lists_the_keys_while_they_are_in_force() {
    let mut session = Headless::loaded(80, 24);
    session.key(KeyCode::F(1)).write("vi again");
    assert!(!session.screen().contains("Ctrl+R ."));
    session.key(KeyCode::Esc).key(KeyCode::Esc);
    session
        .say("/composer vi")
        .key(KeyCode::F(1))
        .write("vi again");
    insta::assert_snapshot!(session.screen());
}

/// Whatever is typed: nothing panics, chips are whole, and undoing brings everything back.
#[derive(Clone, Debug)]
enum Do {
    Keys(String),
    Press(KeyCode),
    Ctrl(char),
    Paste(String),
}

fn doing() -> impl Strategy<Value = Do> {
    prop_oneof![
        8 => "[a-zA-Z0-9;,.~^$%{}() \"'+_]{1,4}".prop_map(Do::Keys),
        3 => proptest::sample::select(vec![
            "dw", "ciw", "yyp", "dd", "vjd", "Vy", "3p", "gUU", "xp", "da(", "o\u{301}x", "f(", "d}", "J", ".", "u",
        ]).prop_map(|keys| Do::Keys(keys.to_owned())),
        4 => Just(Do::Press(KeyCode::Esc)),
        1 => proptest::sample::select(vec![
            KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Backspace, KeyCode::Delete, KeyCode::Home,
        ]).prop_map(Do::Press),
        1 => proptest::sample::select(vec!['r', 'w', 'u', 'n', 'h']).prop_map(Do::Ctrl),
        1 => "[a-z\n漢]{1,5}".prop_map(Do::Paste),
        1 => Just(Do::Paste("x\n".repeat(20))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_typed(steps in proptest::collection::vec(doing(), 0..25)) {
        let begin = "one (two) \"three\"\n\n  four 漢字 e\u{301}";
        let mut session = session(begin);
        for step in steps {
            match step {
                Do::Keys(keys) => { session.write(&keys); }
                Do::Press(code) => { session.key(code); }
                Do::Ctrl(c) => { session.ctrl(c); }
                Do::Paste(text) => { session.send(super::super::msg::Msg::Paste(text)); }
            }
            session.state.overlay = None;
            let composer = &session.state.composer;
            let draft = composer.draft();
            prop_assert_eq!(&draft.clone().checked(), &draft, "chips are where they say");
            prop_assert!(composer.text().is_char_boundary(composer.cursor()));
            let inside = |chip: &crate::chat::composer::chip::Placed| {
                chip.start < composer.cursor() && composer.cursor() < chip.end
            };
            prop_assert!(!composer.chips().iter().any(inside));
            let _ = session.screen();
        }
        session.key(KeyCode::Esc).key(KeyCode::Esc);
        for _ in 0..9 {
            session.write("99u");
        }
        prop_assert_eq!(session.state.composer.text(), "");
    }
}
