//! A list to choose from by typing some of the letters.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use unicode_segmentation::UnicodeSegmentation as _;

use super::msg::Effect;
use super::overlay::Overlay;
use super::state::State;

/// One of the things to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// What is handed on when it is chosen.
    pub(crate) value: String,
    /// What is matched and shown.
    pub(crate) label: String,
    /// What is shown behind it.
    pub(crate) detail: String,
}

/// What is done with the value that was chosen.
pub(crate) type Choose = fn(&mut State, &str) -> Vec<Effect>;

/// The list.
#[derive(Clone, Debug)]
pub(crate) struct Picker {
    /// What is chosen.
    pub(crate) title: String,
    items: Vec<Item>,
    filter: String,
    /// Numbers of the items that match, the best first.
    matching: Vec<usize>,
    selected: usize,
    choose: Choose,
    /// Value of the item that is in use.
    marked: Option<String>,
    /// A line under the list.
    note: Option<String>,
}

impl Picker {
    /// A list of `items`; `choose` gets the value of the one that is chosen.
    pub(crate) fn new(title: impl Into<String>, items: Vec<Item>, choose: Choose) -> Self {
        Self {
            title: title.into(),
            matching: (0..items.len()).collect(),
            items,
            filter: String::new(),
            selected: 0,
            choose,
            marked: None,
            note: None,
        }
    }

    /// Marks the item of this value as the one in use.
    pub(crate) fn mark(mut self, value: &str) -> Self {
        self.marked = Some(value.to_owned());
        self
    }

    /// Says something under the list.
    pub(crate) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// Whether the item is in use.
    pub(crate) fn is_marked(&self, item: &Item) -> bool {
        self.marked.as_ref() == Some(&item.value)
    }

    /// What is said under the list.
    pub(crate) fn footnote(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// How many items there are, matching or not.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// Adds to what is looked for; a line end is a blank.
    pub(crate) fn type_in(&mut self, text: &str) {
        let text = text.chars().filter(|c| !c.is_control() || *c == '\n');
        let text = text.map(|c| if c == '\n' { ' ' } else { c });
        self.filter.extend(text);
        self.refilter();
    }

    /// Selects the item of this value, if it is there.
    pub(crate) fn select(mut self, value: &str) -> Self {
        let of = |index: &usize| self.items[*index].value == value;
        self.selected = self.matching.iter().position(of).unwrap_or(0);
        self
    }

    /// What was typed.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// The items that match, the best first.
    pub(crate) fn matching(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.matching.iter().map(|&index| &self.items[index])
    }

    /// Which of the matching ones is selected.
    pub(crate) fn selected(&self) -> usize {
        self.selected
    }

    fn refilter(&mut self) {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(&self.filter, CaseMatching::Smart, Normalization::Smart);
        let mut scored: Vec<(u32, usize)> = Vec::new();
        let mut buffer = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let text = format!("{} {}", item.label, item.detail);
            if let Some(score) = pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher) {
                scored.push((score, index));
            }
        }
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.matching = scored.into_iter().map(|(_, index)| index).collect();
        self.selected = 0;
    }

    fn go(&mut self, by: isize) {
        let last = self.matching.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }
}

/// Gives a key to the picker on the screen.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Picker(picker)) = &mut state.overlay else {
        return Vec::new();
    };
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Esc => state.overlay = None,
        KeyCode::Up => picker.go(-1),
        KeyCode::Down => picker.go(1),
        KeyCode::Char('p') if ctrl => picker.go(-1),
        KeyCode::Char('n') if ctrl => picker.go(1),
        KeyCode::PageUp => picker.go(-10),
        KeyCode::PageDown => picker.go(10),
        KeyCode::Char('u') if ctrl => {
            picker.filter.clear();
            picker.refilter();
        }
        KeyCode::Backspace => {
            let last = picker.filter.grapheme_indices(true).next_back();
            let end = last.map_or(0, |(at, _)| at);
            picker.filter.truncate(end);
            picker.refilter();
        }
        KeyCode::Char(c) if !ctrl && !event.modifiers.contains(KeyModifiers::ALT) => {
            picker.type_in(c.encode_utf8(&mut [0; 4]));
        }
        KeyCode::Enter => {
            let chosen = picker.matching().nth(picker.selected);
            if let Some(value) = chosen.map(|item| item.value.clone()) {
                let choose = picker.choose;
                state.overlay = None;
                return choose(state, &value);
            }
        }
        _ => {}
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(labels: &[&str]) -> Vec<Item> {
        let item = |label: &&str| Item {
            value: (*label).to_owned(),
            label: (*label).to_owned(),
            detail: String::new(),
        };
        labels.iter().map(item).collect()
    }

    #[test]
    fn letters_in_order_are_enough() {
        let mut picker = Picker::new("kernel", items(&["scalar", "avx2", "lut"]), |_, _| {
            Vec::new()
        });
        picker.filter = "ax".to_owned();
        picker.refilter();
        let found: Vec<_> = picker.matching().map(|item| item.value.as_str()).collect();
        assert_eq!(found, ["avx2"]);
        picker.filter.clear();
        picker.refilter();
        assert_eq!(picker.matching().len(), 3);
        assert_eq!(picker.select("lut").selected(), 2);
    }
}
