//! An answer of the playground while it grows.

/// One side of the comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The request's number; 0 where nothing was asked.
    pub id: u32,
    /// The text so far.
    pub text: String,
    /// Whether more is to come.
    pub growing: bool,
    /// Tokens and tokens/s of a complete text.
    pub speed: Option<(usize, f64)>,
}

impl Answer {
    /// A text that was asked for.
    pub fn asked(id: u32) -> Self {
        Self {
            id,
            growing: true,
            ..Self::default()
        }
    }
    /// Takes a piece, if it is for this request.
    pub fn append(&mut self, id: u32, text: &str) {
        if self.id == id {
            self.text.push_str(text);
        }
    }
    /// Takes the whole, if it is for this request.
    pub fn complete(&mut self, id: u32, text: &str, tokens: usize, tokens_per_second: f64) {
        if self.id == id {
            self.text = text.to_owned();
            self.speed = Some((tokens, tokens_per_second));
            self.growing = false;
        }
    }
    /// Nothing more comes.
    pub fn end(&mut self) {
        self.growing = false;
    }
    /// Forgets a request that has no text yet.
    pub fn drop_unstarted(&mut self) {
        if self.text.is_empty() {
            self.growing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_another_request_are_not_mixed_in() {
        let mut answer = Answer::asked(7);
        answer.append(7, "Yes");
        answer.append(8, "No");
        assert_eq!(answer.text, "Yes");
    }

    #[test]
    fn a_complete_text_replaces_its_pieces_and_stops_growing() {
        let mut answer = Answer::asked(7);
        answer.append(7, "Ye");
        answer.complete(7, "Yes.", 2, 10.0);
        assert_eq!(
            (answer.text.as_str(), answer.growing, answer.speed),
            ("Yes.", false, Some((2, 10.0)))
        );
    }
}
