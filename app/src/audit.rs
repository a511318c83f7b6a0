//! The audit of the data, as the page knows it.

use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::protocol::{AuditKind, AuditReport};
use serde_json::Value;

/// What was found in the data, and what a person did about it.
#[derive(Clone, Copy)]
pub struct Audit {
    /// What was found last.
    pub report: RwSignal<Option<AuditReport>>,
    /// Why nothing could be looked for.
    pub problem: RwSignal<Option<Error>>,
    /// Whether it waits for a press, because there are many rows.
    pub waits: RwSignal<bool>,
    /// Whose rows were left out by a press here: other data have them again. What a run file says stays.
    pub pressed: StoredValue<Vec<AuditKind>>,
    /// The knobs that were set by a press here, in that order, and what they were before.
    pub set: RwSignal<Vec<(&'static str, Value)>>,
}

impl Audit {
    /// Nothing was looked for yet.
    pub fn new() -> Self {
        Self {
            report: RwSignal::new(None),
            problem: RwSignal::new(None),
            waits: RwSignal::new(false),
            pressed: StoredValue::new(Vec::new()),
            set: RwSignal::new(Vec::new()),
        }
    }

    /// Forgets what was found.
    pub fn forget(self) {
        self.report.set(None);
        self.problem.set(None);
        self.waits.set(false);
    }
}
