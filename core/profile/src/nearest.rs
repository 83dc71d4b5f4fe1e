//! The name that was probably meant.

/// Longer names than any of ours by this much are nobody's typing error.
const MAX_CHARS: usize = 64;

/// The candidate with the fewest edits from `name`, if they are few for its length.
///
/// A candidate `table.name` is also compared by its last part, so that a setting written outside
/// its table is recognised.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.chars().nth(MAX_CHARS).is_some() {
        return None;
    }
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let allowed = (name.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            let whole = distance(&name, candidate);
            let last = candidate
                .rsplit_once('.')
                .map_or(whole, |(_, last)| distance(&name, last));
            (whole.min(last), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits() {
        let edits = |a: &str, b| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("thraeds", "threads"), 1);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn few_edits_only() {
        let names = ["mobile", "edge", "server", "cloud"];
        assert_eq!(nearest("Sever", names), Some("server"));
        assert_eq!(nearest("egde", names), Some("edge"));
        assert_eq!(nearest("desktop", names), None);
        assert_eq!(nearest(&"x".repeat(10_000), names), None);
        assert_eq!(
            nearest("queue_mx", ["admission.queue_max"]),
            Some("admission.queue_max")
        );
    }
}
