//! Personal data that a run reads as placeholders (`mask_personal`). The file stays as it is; the run file says what is replaced, so
//! that the same run elsewhere reads the same rows. Placeholders come before `drop_rows` looks at the rows.

use super::dropping::Reading;
use super::personal;
use super::rows::Roles;
use crate::config::MASK_WORDS;
use crate::data::parse::key;
use crate::data::value::Value;
use crate::data::{Content, Dataset};
use crate::error::{Error, Result};
use crate::protocol::AuditKind;
use lorakeet_i18n::messages::audit as msg;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

/// What stands for each kind.
fn placeholder(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::PhoneNumbers => "PHONE",
        AuditKind::Ibans => "IBAN",
        AuditKind::PaymentCards => "CARD",
        AuditKind::ResidentIds => "ID",
        _ => "EMAIL",
    }
}

/// The kinds that these words of `mask_personal` name.
pub(super) fn kinds(words: &[String]) -> Vec<AuditKind> {
    let known = words.iter().filter(|word| MASK_WORDS.contains(&word.as_str()));
    known.filter_map(|word| AuditKind::named(word)).collect()
}

/// The text with placeholders for what is of these kinds; none where there is nothing of them. Of what overlaps, that which begins
/// first is replaced, or the longer one. Time is linear in the text.
fn masked(text: &str, kinds: &[AuditKind]) -> Option<String> {
    let (mut made, mut at) = (String::new(), 0);
    // Where each kind stands next.
    let next = kinds.iter().map(|kind| (*kind, personal::first(text, *kind)));
    let mut next: Vec<(AuditKind, Option<Range<usize>>)> = next.collect();
    loop {
        let found = next.iter().filter_map(|(kind, place)| Some((*kind, place.clone()?)));
        let Some((kind, place)) = found.min_by_key(|(_, place)| (place.start, Reverse(place.end))) else {
            break;
        };
        made.push_str(&text[at..place.start]);
        made.push_str(placeholder(kind));
        at = place.end;
        for (kind, place) in &mut next {
            if place.as_ref().is_some_and(|place| place.start < at) {
                let found = personal::first(&text[at..], *kind);
                *place = found.map(|place| at + place.start..at + place.end);
            }
        }
    }
    if at == 0 {
        return None;
    }
    made.push_str(&text[at..]);
    Some(made)
}

/// Masks every text in a value; gives whether there was something.
fn mask(value: &mut Value, kinds: &[AuditKind]) -> bool {
    match value {
        Value::String(text) => match masked(text, kinds) {
            Some(made) => {
                *text = made.into();
                true
            }
            None => false,
        },
        Value::Array(items) => mask_all(items.iter_mut(), kinds),
        Value::Object(fields) => mask_all(fields.iter_mut().map(|(_, item)| item), kinds),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Masks a number that is read as text, as a spreadsheet has card and phone numbers.
fn mask_number(value: &mut Value, kinds: &[AuditKind]) -> bool {
    let Value::Number(number) = &*value else {
        return false;
    };
    match masked(number, kinds) {
        Some(made) => {
            *value = Value::String(made.into());
            true
        }
        None => false,
    }
}

fn mask_all<'v>(values: impl Iterator<Item = &'v mut Value>, kinds: &[AuditKind]) -> bool {
    let mut is_changed = false;
    for value in values {
        is_changed |= mask(value, kinds);
    }
    is_changed
}

impl Dataset {
    /// The rows with placeholders in all columns but those of labels. What the rows are to a run is still to be told from them anew.
    ///
    /// # Errors
    /// A column that is not there.
    pub(super) fn with_placeholders(mut self, reading: &Reading) -> Result<Self> {
        let kinds = reading.masked();
        let (texts, labels) = match &self.table {
            Some(table) => {
                let roles = Roles::of(&self, table, reading.columns());
                let Roles { texts, labels, .. } = roles.map_err(|error: Error| error.file(&self.name))?;
                (texts, labels)
            }
            None => Default::default(),
        };
        let mut count = 0;
        match self.table.take().and_then(Arc::into_inner) {
            Some(mut table) => {
                let change = |name: &str, value: &mut Value| {
                    let name = key(name);
                    let is_text = texts.contains(&name);
                    !labels.contains(&name) && (mask(value, kinds) || is_text && mask_number(value, kinds))
                };
                table.change(change, &mut count);
                self.table = Some(Arc::new(table));
            }
            None => {
                for row in &mut self.rows {
                    if let Content::Text(text) = &mut row.content
                        && let Some(made) = masked(text, kinds)
                    {
                        *text = made.into();
                        count += 1;
                    }
                }
            }
        }
        if count > 0 {
            self.notes.push(msg::RowsMasked { count }.into());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_text_s_personal_data_become_placeholders_and_the_rest_stays() {
        let kinds = [AuditKind::EmailAddresses, AuditKind::PhoneNumbers];
        let text = "Write to a@firm.de or b@firm.de.\nCall +49 30 1234567, or c@firm.de; invoice 2024-1.";
        let wanted = "Write to EMAIL or EMAIL.\nCall PHONE, or EMAIL; invoice 2024-1.";
        assert_eq!(masked(text, &kinds).as_deref(), Some(wanted));
        assert_eq!(masked(text, &kinds[1..]).map(|text| text.matches('@').count()), Some(3));
        assert_eq!(masked(wanted, &kinds), None);
        assert_eq!(masked("", &kinds), None);
    }

    #[test]
    fn of_what_overlaps_all_is_replaced_and_a_long_line_takes_no_longer_than_many() {
        let kinds = [AuditKind::PaymentCards, AuditKind::EmailAddresses];
        let text = "4111111111111111@firm.de and 4111 1111 1111 1111";
        assert_eq!(masked(text, &kinds).as_deref(), Some("EMAIL and CARD"));
        // By searching the rest of the line anew for each, it would take hours.
        let all = MASK_WORDS.iter().filter_map(|word| AuditKind::named(word));
        let all: Vec<AuditKind> = all.collect();
        let made = masked(&"a@firm.de, +49 30 1234567; ".repeat(100_000), &all).expect("it is masked");
        assert!(made == "EMAIL, PHONE; ".repeat(100_000));
    }
}
