use proptest::prelude::*;

use super::*;
use crate::app::commands::Action;
use crate::term::{Clipboard, Screen, Theme};

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, faults) = parse(Path::new("config.toml"), text.as_bytes());
    (config, faults.iter().map(Fault::sentence).collect())
}

#[test]
fn everything_that_can_be_said() {
    let (config, faults) = read(
        "[ui]\ntheme = \"light\"\nascii = true\nmouse = true\nfps = 0x0f\nscreen = \"inline\"\n\
         composer = \"vi\"\nanimations = false\nclipboard = \"off\"\n\
         [keys]\ncopy = \"ctrl+y\"\nshow-monitor = [\"f9\", \"alt+m\"]\nsuspend = []\n\
         [sampling.precise]\ntemperature = 0.1\ntop_k = 40\n",
    );
    assert_eq!(faults, [""; 0]);
    let manners = config.manners();
    assert_eq!(
        (manners.theme, manners.screen, manners.clipboard),
        (Theme::Light, Screen::Inline, Clipboard::Off)
    );
    assert_eq!(
        (manners.ascii, manners.mouse, manners.vi),
        (true, true, true)
    );
    assert_eq!((manners.fps, manners.animations), (15, false));
    let (keymap, _) = config.keymap();
    assert_eq!(keymap.label(Action::Copy), "Ctrl+Y");
    assert!(keymap.chords(Action::Suspend).is_empty());
    let [(name, sampling)] = config.sampling() else {
        panic!("one")
    };
    assert_eq!((name.as_str(), sampling.top_k), ("precise", 40));
}

#[test]
fn what_is_wrong_is_said_with_the_nearest_right_name_and_the_rest_holds() {
    let text = "theme = \"dark\"\n[ui]\nthem = \"dark\"\ntheme = \"drak\"\nfps = 90\nascii = true\n\
                [key]\na = 1\n\
                [keys]\nregen = \"ctrl+y\"\ncopy = \"x\"\nquit = \"ctrl+m\"\nclear = \"ctrl+g\"\n\
                race = \"ctrl+g\"\nsend = []\nstats = 3\n\
                [sampling.a]\ntemperture = 1\n[sampling.b]\ntop_p = 7\n";
    let (config, faults) = read(text);
    insta::assert_snapshot!(faults.join("\n"));
    assert!(config.manners().ascii, "the line that is right holds");
    assert_eq!(config.keymap().0.label(Action::Clear), "Ctrl+G");
    assert!(config.sampling().is_empty());
}

#[test]
fn what_the_program_cannot_be_used_without_keeps_its_key() {
    let (config, faults) = read("[keys]\ncopy = \"enter\"\n");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("send has no key left"), "{faults:?}");
    assert_eq!(config.keymap().0.label(Action::Send), "Enter");
    // With another key for it all is well.
    let (config, faults) = read("[keys]\nnewline = \"enter\"\nsend = \"alt+enter\"\n");
    assert_eq!(faults, [""; 0]);
    assert_eq!(config.keymap().0.label(Action::Send), "Alt+Enter");
}

#[test]
fn no_toml_and_no_text() {
    let (config, faults) = read("[ui\n");
    assert_eq!((config, faults.len()), (Config::default(), 1));
    let (_, faults) = parse(Path::new("c"), b"[ui]\n\xff\n");
    assert_eq!(faults[0].sentence(), "c, line 2: this is not UTF-8 text");
}

proptest! {
    #[test]
    fn no_file_is_too_strange(bytes in any::<Vec<u8>>()) {
        parse(Path::new("c"), &bytes);
    }

    #[test]
    fn no_value_is_too_strange(
        table in prop_oneof!["ui", "keys", "sampling", "sampling.a", "[a-z]{1,4}"],
        key in "[a-z_-]{1,12}|theme|fps|copy|send|top_k",
        value in "-?[0-9]{1,25}|\"[ -~]{0,8}\"|\\[\\]|true|inf|nan|\\{\\}|1979-05-27",
    ) {
        let text = format!("[{table}]\n{key} = {value}\n");
        let (config, _) = parse(Path::new("c"), text.as_bytes());
        config.manners();
        config.keymap();
    }
}
