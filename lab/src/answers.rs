//! What the pupil answered, and that as a table for the teacher.

use crate::words::lab_words;
use lorakeet_core::lesson::{Lesson, Results};
use lorakeet_core::protocol::PredictionTable;
use lorakeet_i18n::Language;

/// A prediction: a choice, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction {
    /// One of the choices, from 0.
    Choice(usize),
    /// The number, as the lesson counts it.
    Number(f64),
}

/// The answers so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answers {
    /// To the question before.
    pub before: Option<usize>,
    /// Committed before anything was trained.
    pub predicted: Option<Prediction>,
    /// The pupil's own sentence.
    pub explanation: String,
    /// Whether the explanation was asked for.
    pub is_explained: bool,
    /// To the question after.
    pub after: Option<usize>,
}

impl Answers {
    /// The table: a row an answer, with what was measured behind it.
    pub fn table(&self, lesson: &Lesson, results: &Results, language: Language) -> PredictionTable {
        let words = lab_words(language);
        let choice = |place: Option<usize>| {
            let text = place.and_then(|place| lesson.question.choices.get(place));
            text.map_or(String::new(), |text| text.get(language).to_owned())
        };
        let right = |place: Option<usize>| match place {
            None => String::new(),
            Some(place) => (place == lesson.question.answer).to_string(),
        };
        let question = lesson.question.text.get(language).to_owned();
        let mut rows = vec![row(
            words.parts[0],
            &question,
            &choice(self.before),
            &right(self.before),
        )];
        let predicted = match self.predicted {
            None => String::new(),
            Some(Prediction::Number(number)) => number.to_string(),
            Some(Prediction::Choice(place)) => {
                let text = lesson
                    .predict
                    .choices
                    .get(place)
                    .map(|choice| choice.text.get(language));
                text.unwrap_or_default().to_owned()
            }
        };
        let came_true = match (self.predicted, lesson.outcome(results)) {
            (Some(Prediction::Choice(place)), Some(outcome)) => (place == outcome).to_string(),
            _ => String::new(),
        };
        rows.push(row(
            words.parts[1],
            lesson.predict.text.get(language),
            &predicted,
            &came_true,
        ));
        rows.push(row(words.parts[4], words.own_words, &self.explanation, ""));
        for value in &lesson.compare.show {
            let measured = results
                .get(&value.run)
                .and_then(|run| run.value(&value.value, value.at));
            let measured = measured.map_or(String::new(), |measured| measured.to_string());
            rows.push(row(words.parts[3], &value.to_string(), &measured, ""));
        }
        rows.push(row(words.parts[6], &question, &choice(self.after), &right(self.after)));
        PredictionTable {
            columns: ["lesson", "part", "question", "answer", "correct"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows
                .into_iter()
                .map(|fields| [vec![lesson.id.clone()], fields].concat())
                .collect(),
        }
    }
}

fn row(part: &str, question: &str, answer: &str, correct: &str) -> Vec<String> {
    [part, question, answer, correct].map(str::to_owned).to_vec()
}
