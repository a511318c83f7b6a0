//! Which part of the text a template writes in the round of which message, so that answers are found without laying the
//! conversation out again.

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::collections::BTreeSet;
use std::io::{Error, Result, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The name under which a template's functions find their [`Watch`].
pub(super) const WATCH: &str = "lorakeet_watch";

/// A round of a loop that is still going on.
#[derive(Debug)]
struct Round {
    /// The loop.
    number: usize,
    message: Option<usize>,
    start: usize,
    /// Messages whose content was asked for, while the loop counts.
    asked: Option<BTreeSet<usize>>,
}

#[derive(Debug, Default)]
struct Notes {
    text: Vec<u8>,
    open: Vec<Round>,
    rounds: Vec<Vec<Range<usize>>>,
}

/// What a run of a template has written so far.
#[derive(Debug)]
pub(super) struct Watch {
    notes: Mutex<Notes>,
    most_bytes: usize,
    /// The values that a value with a name may be made of.
    pub most_values: usize,
}

impl Object for Watch {}

impl Watch {
    pub fn new(messages: usize, most_bytes: usize, most_values: usize) -> Self {
        let notes = Notes {
            rounds: vec![Vec::new(); messages],
            ..Notes::default()
        };
        Self {
            notes: Mutex::new(notes),
            most_bytes,
            most_values,
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A round of a loop begins, with a value; or the loop ends.
    pub fn note(&self, number: usize, value: Option<&Value>) {
        self.with(|notes| {
            let place = notes.open.iter().rposition(|round| round.number == number);
            for round in notes.open.drain(place.unwrap_or(notes.open.len())..) {
                let asked = round.asked.filter(|asked| asked.len() == 1);
                let message = round.message.or(asked.and_then(|asked| asked.first().copied()));
                let written = round.start..notes.text.len();
                if let Some(parts) = message.and_then(|message| notes.rounds.get_mut(message))
                    && !written.is_empty()
                {
                    parts.push(written);
                }
            }
            if let Some(value) = value {
                notes.open.push(Round {
                    number,
                    message: value.downcast_object_ref::<Turn>().map(|turn| turn.message),
                    start: notes.text.len(),
                    asked: value.is_integer().then(BTreeSet::new),
                });
            }
        });
    }

    fn ask(&self, message: usize) {
        self.with(|notes| {
            let counting = notes.open.iter_mut().filter_map(|round| round.asked.as_mut());
            counting.for_each(|asked| asked.extend([message]));
        });
    }

    /// The text; and of each message, the parts that were written in its rounds.
    pub fn take(&self) -> (String, Vec<Vec<Range<usize>>>) {
        let notes = self.with(std::mem::take);
        (String::from_utf8(notes.text).unwrap_or_default(), notes.rounds)
    }
}

/// Where minijinja writes to.
pub(super) struct Writer(pub Arc<Watch>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.with(|notes| {
            if notes.text.len() + bytes.len() > self.0.most_bytes {
                return Err(Error::other("has far too long a text"));
            }
            notes.text.extend_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A message, which is known again in loops; otherwise the dictionary that it is.
#[derive(Debug)]
pub(super) struct Turn {
    pub message: usize,
    pub keys: Value,
    pub watch: Arc<Watch>,
}

impl Object for Turn {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() == Some("content") {
            self.watch.ask(self.message);
        }
        self.keys.as_object()?.get_value(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.keys.as_object().map_or(Enumerator::Empty, |keys| keys.enumerate())
    }
}
