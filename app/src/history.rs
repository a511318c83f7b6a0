//! Runs in the browser's storage as a person looks back on them: which of them are compared, over what, by which metric and by which
//! setting; as the page's address has it, too.

use leptos::prelude::*;
use lorakeet_core::config::{PageQuery, find};
use lorakeet_core::protocol::{CurveAxis, RunCurve, RunLabels, StoredRun};
use std::collections::BTreeMap;

/// Runs that are compared at most.
pub const MOST: usize = 10;

/// The metric that every run has.
pub const LOSS: &str = "loss";

/// What the address says: the ids of the runs that are compared, between commas; the axis; the metric; the setting by which they are
/// grouped.
const RUNS: &str = "runs";
const OVER: &str = "runs-over";
const METRIC: &str = "runs-metric";
const BY: &str = "runs-by";

/// What is looked at.
#[derive(Clone, Copy)]
pub struct History {
    /// Whether it is shown at all.
    pub is_open: RwSignal<bool>,
    /// The ids of the runs that are compared.
    pub chosen: RwSignal<Vec<String>>,
    /// What their curves are drawn over.
    pub axis: RwSignal<CurveAxis>,
    /// The metric that is drawn.
    pub metric: RwSignal<String>,
    /// The setting by which they are grouped; empty for none.
    pub by: RwSignal<String>,
    /// What the runs are searched for.
    pub search: RwSignal<String>,
    /// The curves that were told, by the runs' ids.
    pub curves: RwSignal<BTreeMap<String, RunCurve>>,
    /// What the run is called whose settings were taken last.
    pub taken: RwSignal<Option<String>>,
    /// Names and tags that were given to runs and are not written yet, by the runs' ids, in order.
    pub renamed: StoredValue<Vec<(String, RunLabels)>>,
}

impl History {
    /// Nothing is looked at.
    pub fn new() -> Self {
        Self {
            is_open: RwSignal::new(false),
            chosen: RwSignal::new(Vec::new()),
            axis: RwSignal::new(CurveAxis::Step),
            metric: RwSignal::new(LOSS.to_owned()),
            by: RwSignal::new(String::new()),
            search: RwSignal::new(String::new()),
            curves: RwSignal::new(BTreeMap::new()),
            taken: RwSignal::new(None),
            renamed: StoredValue::new(Vec::new()),
        }
    }

    /// Compares a run, or does not any more.
    pub fn choose(self, id: &str, is_chosen: bool) {
        self.chosen.update(|chosen| {
            chosen.retain(|known| known != id);
            if is_chosen && chosen.len() < MOST {
                chosen.push(id.to_owned());
            }
        });
    }

    /// Forgets what is known of runs that are gone, and the curves of those that went on. Of runs that are left out for a while,
    /// because they are being written, it is not known whether they are gone.
    pub fn renew(self, before: &[StoredRun], now: &[StoredRun], is_partial: bool) {
        let find = |runs: &[StoredRun], id: &str| {
            let run = runs.iter().find(|run| run.record.id == id);
            run.map(|run| (run.step, run.record.state))
        };
        let is_same = |id: &String| find(now, id).is_some() && find(before, id) == find(now, id);
        self.curves.update(|curves| curves.retain(|id, _| is_same(id)));
        let is_gone = |id: &String| find(now, id).is_none();
        if !is_partial && self.chosen.with_untracked(|chosen| chosen.iter().any(is_gone)) {
            self.chosen.update(|chosen| chosen.retain(|id| !is_gone(id)));
        }
    }

    /// Takes out of a link what it says of the view; gives back what of it cannot be used.
    pub fn take(self, query: &mut PageQuery) -> Vec<(&'static str, String)> {
        let mut unusable = Vec::new();
        let mut value = |key| {
            let value = query.get(key).map(str::to_owned);
            query.set(key, None);
            value
        };
        if let Some(text) = value(RUNS) {
            self.is_open.set(true);
            match ids(&text) {
                Some(ids) => self.chosen.set(ids),
                None => unusable.push((RUNS, text)),
            }
        }
        if let Some(text) = value(OVER) {
            match CurveAxis::ALL.into_iter().find(|axis| axis.name() == text) {
                Some(axis) => self.axis.set(axis),
                None => unusable.push((OVER, text)),
            }
        }
        if let Some(text) = value(METRIC) {
            self.metric.set(text);
        }
        if let Some(text) = value(BY) {
            match find(&text) {
                Some(knob) => self.by.set(knob.name.to_owned()),
                None => unusable.push((BY, text)),
            }
        }
        unusable
    }

    /// Writes into a link what is looked at; nothing where nothing is.
    pub fn put(self, query: &mut PageQuery) {
        let (is_open, axis, metric, by) = (self.is_open.get(), self.axis.get(), self.metric.get(), self.by.get());
        let chosen = self.chosen.with(|chosen| chosen.join(","));
        let mut put = |key, value: &str, is_usual: bool| query.set(key, (is_open && !is_usual).then_some(value));
        put(RUNS, &chosen, false);
        put(OVER, axis.name(), axis == CurveAxis::Step);
        put(METRIC, &metric, metric == LOSS);
        put(BY, &by, by.is_empty());
    }
}

/// The ids in a link; none where they can be none, or are too many.
fn ids(text: &str) -> Option<Vec<String>> {
    let ids: Vec<String> = text.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let is_plain = |id: &String| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (ids.len() <= MOST && ids.iter().all(is_plain)).then_some(ids)
}

/// How a run's line looks: its colour, which is always the same for a run, and its dashes, which tell runs of one colour apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The number of its colour, from 1.
    pub colour: usize,
    /// The number of its dashes, from 1.
    pub dash: usize,
}

/// Colours and dashes that there are.
const COLOURS: usize = 8;
const DASHES: usize = 5;

/// The looks of runs that are shown together, by their ids.
pub fn looks(ids: &[&str]) -> Vec<Look> {
    let colours: Vec<usize> = ids.iter().map(|id| colour(id)).collect();
    let look = |(place, colour): (usize, &usize)| {
        let before = colours[..place].iter().filter(|other| *other == colour).count();
        Look {
            colour: *colour,
            dash: before % DASHES + 1,
        }
    };
    colours.iter().enumerate().map(look).collect()
}

/// A number from 1 after a run's id: FNV-1a.
fn colour(id: &str) -> usize {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize % COLOURS + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_colour_and_runs_of_one_colour_differ_in_dashes() {
        let ids: Vec<String> = (0..10)
            .map(|number| format!("19ab{number:x}-{:04x}", number * 977))
            .collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let all = looks(&ids);
        for (place, look) in all.iter().enumerate() {
            assert_eq!(looks(&ids[place..=place])[0].colour, look.colour);
            assert!((1..=COLOURS).contains(&look.colour));
            assert!(!all[..place].contains(look), "{all:?}");
        }
        assert!(all.iter().any(|look| look.colour != all[0].colour));
        let same = looks(&["a", "a", "a"]);
        assert_eq!(same.iter().map(|look| look.dash).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn only_ids_are_taken_from_a_link_and_not_too_many() {
        assert_eq!(ids(""), Some(Vec::new()));
        assert_eq!(ids("19ab-00ff,2"), Some(vec!["19ab-00ff".to_owned(), "2".to_owned()]));
        assert_eq!(ids("../a"), None);
        assert_eq!(ids(&["a"; MOST + 1].join(",")), None);
    }
}
