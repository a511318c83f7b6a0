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

/// The text with placeholders for what is of these kinds; none where there is nothing of them. None of them goes over a line's end.
fn masked(text: &str, kinds: &[AuditKind]) -> Option<String> {
    let (mut made, mut is_changed) = (String::with_capacity(text.len()), false);
    for mut rest in text.split_inclusive('\n') {
        loop {
            let mut first: Option<(Range<usize>, AuditKind)> = None;
            personal::find(rest, &mut |kind, place| {
                let is_first = first.as_ref().is_none_or(|(known, _)| place.start < known.start);
                if kinds.contains(&kind) && is_first {
                    first = Some((place, kind));
                }
            });
            let Some((place, kind)) = first else { break };
            made.push_str(&rest[..place.start]);
            made.push_str(placeholder(kind));
            rest = &rest[place.end..];
            is_changed = true;
        }
        made.push_str(rest);
    }
    is_changed.then_some(made)
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
        let labels = match &self.table {
            Some(table) => {
                let roles = Roles::of(&self, table, reading.columns());
                roles.map_err(|error: Error| error.file(&self.name))?.labels
            }
            None => Vec::new(),
        };
        let mut count = 0;
        match self.table.take().and_then(Arc::into_inner) {
            Some(mut table) => {
                table.change(
                    |name, value| !labels.contains(&key(name)) && mask(value, kinds),
                    &mut count,
                );
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
}
