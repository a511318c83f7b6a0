//! Which name was meant: the known one that is nearest to what was written.

/// The one of `names` that is nearest to `written`, if any is near enough to be a typing error: at most one letter in
/// three. Hyphens, blanks and capitals do not count.
pub(crate) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = written
        .trim()
        .replace(['-', ' '], "_")
        .to_ascii_lowercase()
        .chars()
        .take(64)
        .collect();
    // A name that was only begun counts as one slip.
    let begun: String = wanted.iter().collect();
    let slips = |name: &str| {
        if begun.len() > 3 && name.starts_with(&begun) {
            1
        } else {
            distance(&wanted, name)
        }
    };
    let (distance, name) = names
        .map(|name| (slips(name), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= (wanted.len() / 3).max(1)).then_some(name)
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name_and_a_stranger_none() {
        let names = || ["focal", "huber", "label_smoothing"].into_iter();
        assert_eq!(nearest("focl", names()), Some("focal"));
        assert_eq!(nearest("Hbuer", names()), Some("huber"));
        assert_eq!(nearest("Label-Smoothing", names()), Some("label_smoothing"));
        assert_eq!(nearest("label", names()), Some("label_smoothing"));
        assert_eq!(nearest("perplexity", names()), None);
    }
}
