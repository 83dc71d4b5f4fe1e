//! A text that is still being written, as if it were finished.
//!
//! Half of a marker would be shown as it is until the other half comes: `**bold` with its stars, a
//! line of dashes as a heading. So what is open is closed, and what may become a marker is left
//! out, before the last block is parsed for the screen. Only what is shown changes.

/// The text of the last block, mended; `None` if nothing is to be mended.
pub(super) fn mend(text: &str) -> Option<String> {
    let line_start = text.rfind('\n').map_or(0, |end| end + 1);
    let line = &text[line_start..];
    // Half a fence, a rule or the underline of a heading, a bullet, the line under a table's head.
    let bare = line.trim_matches([' ', '\t', '>']);
    if may_become(bare) {
        let mended = &text[..line_start];
        return Some(table(mended).unwrap_or_else(|| mended.to_owned()));
    }
    if let Some(mended) = table(text) {
        return Some(mended);
    }
    if in_fence(text) {
        return None;
    }
    let item = last_item(text);
    let mended = close(&text[item..])?;
    Some(format!("{}{mended}", &text[..item]))
}

/// Whether a line that begins so may become something other than text.
fn may_become(line: &str) -> bool {
    let Some(first) = line.chars().next() else {
        return false;
    };
    match first {
        '`' | '~' => {
            let info = line.trim_start_matches(first);
            let count = line.len() - info.len();
            info.is_empty() || count >= 3 && !info.contains(first)
        }
        '-' | '=' | '+' | '*' | '_' => line.chars().all(|c| c == first || c == ' '),
        '|' | ':' => line.chars().all(|c| matches!(c, '|' | ':' | '-' | ' ')) && line.len() > 1,
        '#' => line.chars().all(|c| c == '#'),
        _ => false,
    }
}

/// A table whose head is there, or half there, but not the line under it.
fn table(text: &str) -> Option<String> {
    let paragraph = &text[last_paragraph(text)..];
    let head = paragraph.strip_suffix('\n').unwrap_or(paragraph);
    if head.contains('\n') || !head.starts_with('|') || head.len() < 2 {
        return None;
    }
    let inner = head.trim_end().strip_suffix('|').unwrap_or(head.trim_end());
    let columns = inner.replace("\\|", "").matches('|').count();
    let closing = if head.trim_end().ends_with('|') && columns > 0 {
        ""
    } else {
        "|"
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    Some(format!("{text}{closing}\n|{}", "-|".repeat(columns.max(1))))
}

/// Where the last paragraph begins: behind the last blank line.
fn last_paragraph(text: &str) -> usize {
    text.rfind("\n\n").map_or(0, |end| end + 2)
}

/// Where the last paragraph begins, or the last item, heading or row of a table in it:
/// nothing that is open reaches further.
fn last_item(text: &str) -> usize {
    let paragraph = last_paragraph(text);
    let mut line = text.len();
    while let Some(end) = text[paragraph..line].rfind('\n') {
        let start = paragraph + end + 1;
        let first = text[start..].trim_start_matches([' ', '\t', '>']);
        let numbered = first.trim_start_matches(|c: char| c.is_ascii_digit());
        let begins = first.starts_with(['-', '*', '+', '#', '|'])
            || first.len() > numbered.len() && numbered.starts_with(['.', ')']);
        if begins {
            return start;
        }
        line = paragraph + end;
    }
    paragraph
}

/// Whether the text ends inside of a fence.
fn in_fence(text: &str) -> bool {
    let mut fence: Option<(char, usize)> = None;
    for line in text.lines() {
        let line = line.trim_start_matches([' ', '\t', '>']);
        let line =
            line.trim_start_matches(|c: char| matches!(c, '-' | '*' | '+') || c.is_ascii_digit());
        let line = line.trim_start_matches(['.', ')', ' ']);
        let Some(sign) = line.chars().next().filter(|c| matches!(c, '`' | '~')) else {
            continue;
        };
        let count = line.len() - line.trim_start_matches(sign).len();
        fence = match fence {
            None if count >= 3 => Some((sign, count)),
            Some((open, least)) if open == sign && count >= least => None,
            other => other,
        };
    }
    fence.is_some()
}

/// A paragraph with what is open in it closed.
fn close(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'`' => {
                let run = run_of(bytes, at);
                match find_run(bytes, at + run, run) {
                    Some(end) => at = end,
                    None if at + run == bytes.len() => {
                        return Some(finish(&text[..at], &open));
                    }
                    None => {
                        let ticks = "`".repeat(run);
                        // A tick or two at the end are the beginning of those that close it.
                        let inner = text.trim_end_matches('`');
                        let mut mended = format!("{inner}{ticks}");
                        mended.push_str(&finish("", &open));
                        return Some(mended);
                    }
                }
            }
            b'*' | b'_' | b'~' => {
                let run = run_of(bytes, at);
                let before = text[..at].chars().next_back();
                let after = text[at + run..].chars().next();
                mark(&mut open, byte, run, before, after);
                at += run;
                if at == bytes.len() {
                    // What ends the text may be half a marker; what it closes is closed below.
                    let kept = text.trim_end_matches(char::from(byte));
                    let mut before: Vec<(u8, usize)> = Vec::new();
                    rescan(&mut before, kept);
                    return Some(finish(kept, &before));
                }
            }
            b']' if bytes.get(at + 1) == Some(&b'(') => {
                let rest = &text[at + 2..];
                if !rest.contains([')', ' ', '\n']) {
                    return Some(format!("{text}){}", finish("", &open)));
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    (!open.is_empty()).then(|| finish(text, &open))
}

/// Reads the markers of a text again, without looking at its end.
fn rescan(open: &mut Vec<(u8, usize)>, text: &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'`' => {
                let run = run_of(bytes, at);
                at = find_run(bytes, at + run, run).unwrap_or(at + run);
            }
            b'*' | b'_' | b'~' => {
                let run = run_of(bytes, at);
                let before = text[..at].chars().next_back();
                let after = text[at + run..].chars().next();
                mark(open, byte, run, before, after);
                at += run;
            }
            _ => at += 1,
        }
    }
}

/// Takes in a run of markers.
fn mark(
    open: &mut Vec<(u8, usize)>,
    sign: u8,
    run: usize,
    before: Option<char>,
    after: Option<char>,
) {
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let inside = sign == b'_' && word(before) && word(after);
    if inside || run > 3 {
        return;
    }
    let mut run = run;
    if !blank(before) {
        while run > 0
            && let Some(at) = open.iter().rposition(|&(s, n)| s == sign && n <= run)
        {
            run -= open[at].1;
            open.truncate(at);
        }
    }
    if run > 0 && !blank(after) && (sign != b'~' || run <= 2) {
        if run == 3 {
            open.push((sign, 1));
            run = 2;
        }
        open.push((sign, run));
    }
}

/// `text` with the markers that close what is open. A marker does not close behind a blank.
fn finish(text: &str, open: &[(u8, usize)]) -> String {
    let mut mended = if open.is_empty() {
        text.to_owned()
    } else {
        text.trim_end().to_owned()
    };
    for &(sign, run) in open.iter().rev() {
        for _ in 0..run {
            mended.push(char::from(sign));
        }
    }
    mended
}

fn run_of(bytes: &[u8], at: usize) -> usize {
    let sign = bytes[at];
    bytes[at..].iter().take_while(|&&byte| byte == sign).count()
}

/// Behind the next run of exactly `run` ticks.
fn find_run(bytes: &[u8], from: usize, run: usize) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] != b'`' {
            at += 1;
            continue;
        }
        let count = run_of(bytes, at);
        at += count;
        if count == run {
            return Some(at);
        }
    }
    None
}
