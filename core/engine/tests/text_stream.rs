//! Tokens to text, piece by piece, and the end of an answer.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod text_support;

use proptest::prelude::*;
use text_support::{BOS, EOT, tiny};
use tritone_engine::text::{Specials, StopStrings, TextError, TokenStream, Utf8Stream};

#[test]
fn characters_come_whole() {
    let tokenizer = tiny();
    let text = "é 👩‍👩‍👧 語!";
    let ids = tokenizer.encode(text, Specials::Plain).unwrap();
    let mut stream = TokenStream::default();
    let pieces: Vec<String> = ids.iter().map(|&id| stream.push(&tokenizer, id)).collect();
    assert_eq!(pieces.concat(), text);
    assert!(
        pieces.iter().any(String::is_empty),
        "some token ends inside a character"
    );
    assert_eq!(stream.finish(), "");
    assert_eq!(
        stream.push(&tokenizer, BOS) + &stream.push(&tokenizer, EOT),
        ""
    );
    assert_eq!(stream.push(&tokenizer, u32::MAX), "");
    // The first of the four bytes of a character, and then the end.
    let first = tokenizer.encode("👩", Specials::Plain).unwrap()[0];
    assert_eq!(
        (stream.push(&tokenizer, first), stream.finish()),
        ("".into(), "\u{fffd}".into())
    );
}

#[test]
fn broken_bytes_are_replaced_as_soon_as_they_are_certain() {
    let mut stream = Utf8Stream::default();
    let mut push = |bytes: &[u8]| {
        let mut out = String::new();
        stream.push(bytes, &mut out);
        out
    };
    assert_eq!(push(b"a\xe2"), "a");
    assert_eq!(push(b"\x82"), "");
    assert_eq!(push(b"\xac"), "€");
    assert_eq!(push(b"\xe2\x82"), "");
    assert_eq!(push(b"b"), "\u{fffd}b");
    assert_eq!(push(b"\xff"), "\u{fffd}");
    assert_eq!(push(b"\xf0\x9f"), "");
    assert_eq!(push(b"\xf0"), "\u{fffd}");
}

proptest! {
    #[test]
    fn pieces_of_bytes_join_to_the_lossy_text(
        bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0), Just(0x9f), Just(b'a')
        ], 0..40),
        cuts in prop::collection::vec(1..5usize, 40),
    ) {
        let (mut stream, mut out) = (Utf8Stream::default(), String::new());
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            stream.push(piece, &mut out);
            rest = after;
        }
        stream.finish(&mut out);
        prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
    }

    /// The answer ends before the stop string that is complete first, however it is cut up; and
    /// at no time has part of a stop string been shown.
    #[test]
    fn stop_strings_are_found_across_pieces(
        pieces in prop::collection::vec("[abé]{0,4}", 0..12),
        stops in prop::collection::vec("[abé]{1,4}", 0..4),
    ) {
        let text = pieces.concat();
        let expected = (0..=text.len()).filter(|&end| text.is_char_boundary(end)).find_map(|end| {
            let at_end = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str()));
            at_end.max_by_key(|stop| stop.len()).map(|stop| (&text[..end - stop.len()], stop))
        });
        let mut matcher = StopStrings::new(&stops).unwrap();
        let (mut shown, mut stopped) = (String::new(), None);
        for piece in &pieces {
            let before = stopped;
            let out = matcher.push(piece);
            prop_assert!(before.is_none() || (out.text.is_empty() && out.stopped.is_none()));
            shown.push_str(&out.text);
            stopped = stopped.or(out.stopped);
            let cut = expected.map_or(text.as_str(), |(before, _)| before);
            prop_assert!(cut.starts_with(&shown));
        }
        shown.push_str(&matcher.finish());
        prop_assert_eq!(stopped.map(|index| &stops[index]), expected.map(|(_, stop)| stop));
        prop_assert_eq!(shown, expected.map_or(text.as_str(), |(before, _)| before));
    }
}

#[test]
fn what_cannot_be_a_stop_is_shown_at_once() {
    let mut matcher = StopStrings::new(&["\nUser:", "END"]).unwrap();
    assert_eq!(matcher.push("Hello\n").text, "Hello");
    assert_eq!(matcher.push("Us").text, "");
    assert_eq!(matcher.push("ing E").text, "\nUsing ");
    let end = matcher.push("ND of");
    assert_eq!((end.text.as_str(), end.stopped), ("", Some(1)));
    assert_eq!(matcher.finish(), "");
    assert_eq!(matcher.push("more").text, "");
}

#[test]
fn useless_stop_strings_are_refused() {
    let long = "x".repeat(StopStrings::MAX_BYTES + 1);
    for (stops, part) in [
        (vec![""], "number 0 has 0 bytes"),
        (vec!["a", &long], "number 1 has 4097 bytes"),
        (vec!["a"; 65], "65 were given"),
    ] {
        let err = StopStrings::new(&stops).unwrap_err();
        assert!(
            matches!(err, TextError::StopStrings(_)) && err.to_string().contains(part),
            "{err}"
        );
    }
    // As slow as it gets: nothing but beginnings.
    let stop = "a".repeat(4095) + "b";
    let mut matcher = StopStrings::new(&[stop]).unwrap();
    let text = "a".repeat(500_000);
    let mut shown = matcher.push(&text).text;
    shown.push_str(&matcher.finish());
    assert_eq!(shown, text);
}
