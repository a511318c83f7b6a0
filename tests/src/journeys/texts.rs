//! What practitioners bring: a table of tickets as an office program exports it, and conversations.

use lorakeet_core::random::Generator;
use serde_json::json;

/// The classes of the tickets, in order.
pub const CATEGORIES: [&str; 3] = ["billing", "delivery", "praise"];

/// Rows with a text, the copies among them.
const ROWS: usize = 3000;
const COPIES: usize = 12;
const EMPTY: usize = 3;

const NAMES: [&str; 6] = ["Müller", "Lefèvre", "Núñez", "Håkansson", "O’Brien", "Weiß"];
const PLACES: [&str; 5] = ["Zürich", "Besançon", "Malmö", "Cork", "Kraków Street"];

/// What is said, class by class.
const SENTENCES: [[&str; 5]; 3] = [
    [
        "I was charged twice on the invoice and want the money back",
        "the bill shows {amount} €, but the price was lower",
        "please send a corrected invoice for the payment of {amount} €",
        "my card was debited {amount} € for an order that I cancelled",
        "the refund of {amount} € has not reached my account",
    ],
    [
        "the parcel has not arrived although it was sent {amount} days ago",
        "the courier left the box in the rain – it is broken",
        "tracking has not moved for {amount} days, where is the shipment",
        "please deliver to the neighbour, nobody is at home",
        "the package came to the wrong address in {place}",
    ],
    [
        "thank you for the friendly help, it was wonderful",
        "great service, I will gladly recommend you",
        "the team was kind and quick, I am very happy",
        "excellent quality, better than I had hoped",
        "a lovely experience from beginning to end, well done",
    ],
];

/// 3,000 tickets of three categories, semicolons between two columns, in Windows-1252: as a spreadsheet saves them in much of Europe.
/// The last rows are copies of others, and rows without a text.
#[must_use]
pub fn tickets() -> Vec<u8> {
    let mut generator = Generator::new(18, "tickets");
    let mut rows: Vec<String> = (0..ROWS - COPIES)
        .map(|row| {
            let class = row % CATEGORIES.len();
            let mut one = |of: &[&'static str]| of[generator.below(of.len())];
            let (sentence, name, place) = (one(&SENTENCES[class]), one(&NAMES), one(&PLACES));
            let amount = (2 + generator.below(90)).to_string();
            let sentence = sentence.replace("{amount}", &amount).replace("{place}", place);
            format!("{};{name} from {place}, ticket {row}: {sentence}.", CATEGORIES[class])
        })
        .collect();
    rows.extend_from_within(100..100 + COPIES);
    rows.extend(CATEGORIES.iter().take(EMPTY).map(|class| format!("{class};")));
    let mut bytes = b"Category;Message\r\n".to_vec();
    for row in rows {
        bytes.extend(row.chars().map(windows_1252));
        bytes.extend(b"\r\n");
    }
    bytes
}

/// A letter of Windows-1252; a question mark where it has none.
fn windows_1252(letter: char) -> u8 {
    match letter {
        '€' => 0x80,
        '’' => 0x92,
        '–' => 0x96,
        letter => u8::try_from(u32::from(letter)).unwrap_or(b'?'),
    }
}

/// Conversations as chat programs store them: an instruction, a question, an answer.
#[must_use]
pub fn chats() -> String {
    let row = |row: usize| {
        let (item, days) = (["a lamp", "two chairs", "a kettle"][row % 3], 2 + row / 3);
        let message = |role: &str, content: String| json!({ "role": role, "content": content });
        let messages = [
            message("system", "You answer customers in one short sentence.".to_owned()),
            message("user", format!("I ordered {item}. When does it come?")),
            message("assistant", format!("Arr, {item} comes aboard in {days} days.")),
        ];
        format!("{}\n", json!({ "messages": messages }))
    };
    (0..24).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::data::{Columns, Dataset};
    use lorakeet_core::protocol::ColumnRole;
    use lorakeet_core::task::Task;
    use std::collections::BTreeSet;

    #[test]
    fn the_tickets_are_read_as_a_person_means_them() {
        let bytes = tickets();
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let different: BTreeSet<&[u8]> = lines.iter().copied().collect();
        // With the header and what is behind the last line.
        assert_eq!(lines.len(), ROWS + EMPTY + 2);
        assert_eq!(different.len(), ROWS - COPIES + EMPTY + 2);
        let data = Dataset::parse("tickets.csv", &bytes).expect("a table");
        assert_eq!(data.info().rows, ROWS);
        let roles = data.column_uses(Task::Classification, &Columns::default());
        let roles: Vec<ColumnRole> = roles.into_iter().map(|of| of.role).collect();
        assert_eq!(roles, [ColumnRole::Label, ColumnRole::Text]);
    }
}
