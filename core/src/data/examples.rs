//! From rows to examples: tokens and, token by token, what is learnt.

use super::layout::{Layout, Piece, layout};
use super::long_text::{MOST_PIECE, encode_long, encode_pieces};
use super::packing::packed;
use super::{Content, Dataset, Row, Schema};
use crate::chat::{ChatTemplate, Conversation, assistant_mask};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::loss::IGNORE_INDEX;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::sync::Arc;

/// What shapes examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Rows are cut at this many tokens, which packed ones hold at most.
    pub cutoff_len: usize,
    /// Put several examples into a row, of which none sees another.
    pub packing: bool,
    /// Of examples that are packed, only the first so many; all where none is given.
    pub max_samples: Option<usize>,
    /// Train on the answers only; plain text is all answer.
    pub completion_only_loss: bool,
    /// End every text, and every answer that no chat template ends, with the end-of-text token.
    pub add_eos: bool,
}

impl Settings {
    /// The settings of a run file; where it leaves packing open, plain text is packed and nothing else.
    /// Rows are cut at `cutoff_len`, which is the run file's where the model has positions for so many tokens.
    pub fn new(config: &RunConfig, dataset: &Dataset, cutoff_len: usize) -> Self {
        Self {
            cutoff_len,
            packing: config.packing.unwrap_or(dataset.form == Schema::Text),
            max_samples: None,
            completion_only_loss: config.completion_only_loss,
            add_eos: true,
        }
    }
}

/// What an example teaches besides its own next tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Target {
    /// Nothing: the next tokens are learnt.
    #[default]
    NextTokens,
    /// The whole row has these labels: a class, numbers, or 0 and 1 for each class. Of a preferred or rejected answer, its
    /// log-probability by the model that the run starts from.
    Row(Vec<f32>),
    /// Each token has a class, [`IGNORE_INDEX`] where it has none.
    Tokens(Vec<i32>),
    /// An encoder-decoder's answer, token by token.
    Answer(Vec<i32>),
}

/// A row, or several packed into one, as the model sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// Tokens; at least two, at most `cutoff_len`, of text.
    pub input_ids: Vec<u32>,
    /// The same tokens where they are learnt and [`IGNORE_INDEX`] elsewhere; not shifted, as transformers has it.
    pub labels: Vec<i32>,
    /// Of a packed row, where each example but the first begins, rising; empty of a single one.
    pub starts: Vec<Start>,
    /// The number of the row that it comes from, of a packed one its first example.
    pub row: usize,
    /// Whether the row was cut at `cutoff_len`.
    pub truncated: bool,
    /// BERT's segments; empty where all are 0.
    pub token_type_ids: Vec<u32>,
    /// What else is learnt of it.
    pub target: Target,
    /// Further texts of the same row: the documents of a query, the answer that was rejected.
    pub others: Vec<Example>,
    /// Of rankings, the query and its documents as the file has them.
    pub texts: Vec<String>,
    /// Of words with classes, all words of the row, those without a token, too.
    pub words: Vec<Word>,
    /// What goes into a model that takes numbers instead of tokens, which are then none.
    pub features: Arc<[f32]>,
}

/// Where an example of a packed row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Its first token.
    pub token: usize,
    /// The number of the row of the data that it comes from.
    pub row: usize,
}

/// A word of a row that has, or is to get, a class.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    /// As the file has it.
    pub text: String,
    /// Its class, where the file says it.
    pub label: Option<i32>,
    /// Whether a token stands for it of which the model is asked the class. Of a word of invisible letters there may be none,
    /// none behind `cutoff_len`, and what is marked as not to be learnt is not asked.
    pub is_asked: bool,
}

/// Numbers of a row that are shown.
const SHOWN_NUMBERS: usize = 32;

impl Example {
    /// The first of its numbers, with spaces between.
    pub fn features_text(&self) -> String {
        let first = self.features.iter().take(SHOWN_NUMBERS);
        first.map(|number| format!("{number:.4}")).collect::<Vec<_>>().join(" ")
    }

    /// The numbers of the rows of the data that are in it.
    pub fn row_numbers(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.row).chain(self.starts.iter().map(|start| start.row))
    }

    /// What is learnt where next tokens are: `labels` without the first of each further example of a packed row, in front of which
    /// there is nothing of its own.
    pub fn next_token_labels(&self) -> Vec<i32> {
        let mut labels = self.labels.clone();
        for start in &self.starts {
            labels[start.token] = IGNORE_INDEX;
        }
        labels
    }

    /// The examples of a packed row as rows of their own.
    pub fn apart(&self) -> Vec<Self> {
        if self.starts.is_empty() {
            return vec![self.clone()];
        }
        let begins = std::iter::once(0).chain(self.starts.iter().map(|start| start.token));
        let ends = self
            .starts
            .iter()
            .map(|start| start.token)
            .chain([self.input_ids.len()]);
        let part = |((begin, end), row): ((usize, usize), usize)| Self {
            input_ids: self.input_ids[begin..end].to_vec(),
            labels: self.labels[begin..end].to_vec(),
            row,
            ..Self::default()
        };
        begins.zip(ends).zip(self.row_numbers()).map(part).collect()
    }

    /// Labels that are predicted and learnt; of next tokens, the first has nothing in front of it.
    pub fn target_tokens(&self) -> usize {
        let counted = |labels: &[i32]| labels.iter().filter(|&&label| label != IGNORE_INDEX).count();
        match &self.target {
            Target::NextTokens | Target::Row(_) if !self.others.is_empty() => 1,
            Target::NextTokens => counted(self.next_token_labels().get(1..).unwrap_or_default()),
            Target::Row(labels) => labels.len(),
            Target::Tokens(labels) | Target::Answer(labels) => counted(labels),
        }
    }
}

/// All examples of a data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// At least one, in the order of the rows, each with something to learn.
    pub items: Vec<Example>,
    /// Things worth knowing, as sentences: what was cut or dropped.
    pub notes: Vec<Message>,
}

/// Tokens of a row before they are cut.
#[derive(Default)]
struct Tokens {
    ids: Vec<u32>,
    labels: Vec<i32>,
    /// Cuts that the tokenizer does not allow and that were made all the same.
    seams: usize,
}

impl Tokens {
    fn push(&mut self, ids: &[u32], learnt: bool) {
        self.ids.extend_from_slice(ids);
        self.labels
            .extend(ids.iter().map(|&id| if learnt { id as i32 } else { IGNORE_INDEX }));
    }

    /// The first token that is predicted and learnt.
    fn first_target(&self) -> Option<usize> {
        self.labels
            .iter()
            .skip(1)
            .position(|&label| label != IGNORE_INDEX)
            .map(|at| at + 1)
    }
}

/// Tokenizes every row and marks what is learnt.
///
/// A row longer than `cutoff_len` keeps its start; if none of its answer is left, the row is dropped with a note, and
/// if that befalls every row, it is an error. With packing, texts to be continued are cut into pieces of `cutoff_len` tokens
/// instead, and pieces, or examples, are joined into rows of at most that many. A file that is one text is cut into full
/// pieces; as in transformers' `run_clm` the tokens left over are dropped with a note, unless they are all that there is.
pub async fn examples(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
    settings: &Settings,
    turns: &mut Turns<'_, '_>,
) -> Result<Examples> {
    if settings.cutoff_len < 2 {
        let got = settings.cutoff_len;
        return Err(Error::config(msg::CutoffTooSmall { got }).field("cutoff_len"));
    }
    dataset.check_texts()?;
    let eos = if settings.add_eos {
        tokenizer.eos_token_ids().first().copied()
    } else {
        None
    };
    let mut notes = Vec::new();
    if settings.add_eos && eos.is_none() {
        notes.push(msg::NoEndOfText.into());
    }
    if dataset.form != Schema::Text && template.is_none() {
        notes.push(msg::NoChatTemplate.into());
    }
    if dataset.form != Schema::Text && template.is_some_and(ChatTemplate::asks_for_date) {
        notes.push(msg::TemplateDate.into());
    }
    if template.is_some_and(ChatTemplate::is_told_in_vain) {
        notes.push(msg::ThinkingWithoutEffect.into());
    }
    let specials = SpecialTokens::of(tokenizer)?;
    let total = dataset.rows.len();
    let cut = match (settings.packing, dataset.form == Schema::Text) {
        (true, true) if total == 1 => Cut::IntoFullPieces,
        (true, true) => Cut::IntoPieces,
        _ => Cut::Off,
    };
    let mut collector = Collector::new(settings, cut);
    for (index, row) in dataset.rows.iter().enumerate() {
        turns.at(index, total).await?;
        let tokens = tokenize(row, tokenizer, template, &specials, eos, settings.completion_only_loss)
            .map_err(|error| error.file(dataset.name.clone()).row(row.number))?;
        collector.add(row.number, tokens);
    }
    turns.at(total, total).await?;
    let items = collector
        .finish(&mut notes)
        .map_err(|error| error.file(dataset.name.clone()))?;
    Ok(Examples { items, notes })
}

/// What becomes of a row that is longer than `cutoff_len`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Its start is kept.
    Off,
    /// All of it is kept, in pieces.
    IntoPieces,
    /// The same without a last piece that is shorter.
    IntoFullPieces,
}

/// Cuts rows, packs them, and counts what is lost.
struct Collector {
    cutoff_len: usize,
    packing: bool,
    max_samples: usize,
    cut: Cut,
    items: Vec<Example>,
    /// Tokens behind the last full piece.
    left: usize,
    seams: usize,
    rows: usize,
    truncated: usize,
    longest: usize,
    dropped: usize,
    first_dropped: usize,
    /// The least `cutoff_len` that would have saved one of the dropped rows.
    needed: Option<usize>,
}

impl Collector {
    fn new(settings: &Settings, cut: Cut) -> Self {
        Self {
            cutoff_len: settings.cutoff_len,
            packing: settings.packing,
            max_samples: settings.max_samples.unwrap_or(usize::MAX),
            cut,
            items: Vec::new(),
            left: 0,
            seams: 0,
            rows: 0,
            truncated: 0,
            longest: 0,
            dropped: 0,
            first_dropped: 0,
            needed: None,
        }
    }

    fn add(&mut self, row: usize, tokens: Tokens) {
        self.rows += 1;
        self.seams += tokens.seams;
        self.longest = self.longest.max(tokens.ids.len());
        if self.cut != Cut::Off {
            self.add_pieces(row, &tokens);
            return;
        }
        let truncated = tokens.ids.len() > self.cutoff_len;
        let first_target = tokens.first_target();
        self.truncated += usize::from(truncated);
        if first_target.is_some_and(|at| at < self.cutoff_len) {
            let Tokens {
                mut ids, mut labels, ..
            } = tokens;
            ids.truncate(self.cutoff_len);
            labels.truncate(self.cutoff_len);
            self.items.push(Example {
                input_ids: ids,
                labels,
                row,
                truncated,
                ..Example::default()
            });
        } else {
            self.drop_row(row, first_target);
        }
    }

    /// Cuts a text into pieces of `cutoff_len` tokens.
    fn add_pieces(&mut self, row: usize, tokens: &Tokens) {
        let most = self.cutoff_len;
        let (mut start, end) = (0, tokens.ids.len());
        if end < 2 {
            self.drop_row(row, None);
        }
        while start + 1 < end {
            let rest = end - start;
            let length = match self.cut {
                Cut::IntoFullPieces if rest < most && start > 0 => break,
                // A last token alone would have nothing in front of it.
                Cut::IntoPieces if rest == most + 1 && most > 2 => most - 1,
                _ => rest.min(most),
            };
            let piece = Example {
                input_ids: tokens.ids[start..start + length].to_vec(),
                labels: tokens.labels[start..start + length].to_vec(),
                row,
                ..Example::default()
            };
            if piece.target_tokens() > 0 {
                self.items.push(piece);
            } else {
                self.drop_row(row, None);
            }
            start += length;
        }
        match self.cut {
            Cut::IntoFullPieces if start > 0 => self.left = end - start,
            // The last of an odd number of tokens, where pieces are pairs.
            _ if start > 0 && start < end => self.drop_row(row, None),
            _ => {}
        }
    }

    fn drop_row(&mut self, row: usize, first_target: Option<usize>) {
        if self.dropped == 0 {
            self.first_dropped = row;
        }
        self.dropped += 1;
        if let Some(at) = first_target {
            self.needed = Some(self.needed.map_or(at + 1, |needed| needed.min(at + 1)));
        }
    }

    fn finish(mut self, notes: &mut Vec<Message>) -> Result<Vec<Example>> {
        if self.seams > 0 {
            let (megabytes, cuts) = (MOST_PIECE >> 20, self.seams);
            notes.push(msg::CutsWithinTexts { megabytes, cuts }.into());
        }
        if self.items.is_empty() {
            return Err(self.nothing_left());
        }
        if self.left > 0 {
            let (left, block) = (self.left, self.cutoff_len);
            notes.push(msg::LeftOutAtEnd { left, block }.into());
        }
        if self.truncated > 0 {
            notes.push(Message::from(msg::CutRows {
                tokens: self.cutoff_len,
                cut: self.truncated,
                rows: self.rows,
                longest: self.longest,
            }));
        }
        if self.dropped > 0 {
            let (dropped, first) = (self.dropped, self.first_dropped);
            notes.push(match self.cut {
                Cut::Off => msg::DroppedRows { dropped, first }.into(),
                Cut::IntoPieces | Cut::IntoFullPieces => msg::DroppedBlocks { dropped, first }.into(),
            });
        }
        if !self.packing {
            return Ok(self.items);
        }
        self.items.truncate(self.max_samples);
        Ok(packed(self.items, self.cutoff_len))
    }

    fn nothing_left(&self) -> Error {
        let (tokens, longest) = (self.cutoff_len, self.longest);
        match self.needed {
            Some(needed) => Error::data(msg::AnswersBeyond { tokens })
                .field("cutoff_len")
                .remedy(msg::RaiseCutoffAbove { needed, longest }),
            None => Error::data(msg::NothingToTrain).remedy(msg::CheckAnswers),
        }
    }
}

/// What the tokenizer puts around every text by itself: Llama's start token, BERT's [CLS] and [SEP].
pub(super) struct SpecialTokens {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

impl SpecialTokens {
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let bare = tokenizer.encode("a", false)?;
        let full = tokenizer.encode("a", true)?;
        let at = full.windows(bare.len().max(1)).position(|window| window == bare);
        // A tokenizer that changes the text itself when it adds its tokens is none that we know: then it adds nothing.
        Ok(at.map_or(
            Self {
                before: Vec::new(),
                after: Vec::new(),
            },
            |at| Self {
                before: full[..at].to_vec(),
                after: full[at + bare.len()..].to_vec(),
            },
        ))
    }
}

fn tokenize(
    row: &Row,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
    specials: &SpecialTokens,
    eos: Option<u32>,
    answers_only: bool,
) -> Result<Tokens> {
    let mut tokens = Tokens::default();
    match (layout(&row.content, template.is_some()), template) {
        (Layout::Text(text), _) => {
            tokens.push(&specials.before, true);
            let (ids, seams) = encode_pieces(tokenizer, &text)?;
            tokens.push(&ids, true);
            tokens.seams = seams;
            tokens.push(&specials.after, true);
            tokens.push(eos_unless_there(&tokens, eos).as_slice(), true);
        }
        (Layout::Pieces(pieces), _) => {
            tokens.push(&specials.before, !answers_only);
            for Piece { text, answer, learnt } in pieces {
                tokens.push(&encode_long(tokenizer, &text)?, learnt && (answer || !answers_only));
                if answer {
                    tokens.push(eos_unless_there(&tokens, eos).as_slice(), learnt);
                }
            }
        }
        (Layout::Chat(conversation), Some(template))
            if answers_only || conversation.learnt_answers().contains(&false) =>
        {
            tokens = chat(&conversation, tokenizer, template, answers_only)?;
        }
        // A template whose answers cannot be told from the rest still serves to train on everything.
        (Layout::Chat(conversation), Some(template)) => {
            tokens.push(
                &tokenizer.encode(&template.lay_out(&conversation, false)?, false)?,
                true,
            );
        }
        (Layout::Chat(_), None) => return Err(Error::internal(msg::ChatWithoutTemplate)),
    }
    Ok(tokens)
}

/// Reads rows one by one, for tasks that need several of them in an example.
pub(super) struct Reader<'a> {
    tokenizer: &'a Tokenizer,
    template: Option<&'a ChatTemplate>,
    specials: SpecialTokens,
    eos: Option<u32>,
    settings: &'a Settings,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        tokenizer: &'a Tokenizer,
        template: Option<&'a ChatTemplate>,
        settings: &'a Settings,
    ) -> Result<Self> {
        let eos = tokenizer.eos_token_ids().first().copied();
        Ok(Self {
            tokenizer,
            template,
            specials: SpecialTokens::of(tokenizer)?,
            eos: eos.filter(|_| settings.add_eos),
            settings,
        })
    }

    /// The row as it would stand alone, cut; `None` where nothing that is learnt is left.
    pub(super) fn example(&self, number: usize, content: &Content) -> Result<Option<Example>> {
        let row = Row {
            number,
            content: content.clone(),
        };
        let answers_only = self.settings.completion_only_loss;
        let tokens = tokenize(
            &row,
            self.tokenizer,
            self.template,
            &self.specials,
            self.eos,
            answers_only,
        )?;
        let cutoff = self.settings.cutoff_len;
        if tokens.first_target().is_none_or(|at| at >= cutoff) {
            return Ok(None);
        }
        let truncated = tokens.ids.len() > cutoff;
        let Tokens {
            mut ids, mut labels, ..
        } = tokens;
        ids.truncate(cutoff);
        labels.truncate(cutoff);
        Ok(Some(Example {
            input_ids: ids,
            labels,
            row: number,
            truncated,
            ..Example::default()
        }))
    }
}

/// The end-of-text token, unless the tokens end with it already (some tokenizers add it by themselves).
fn eos_unless_there(tokens: &Tokens, eos: Option<u32>) -> Option<u32> {
    eos.filter(|&eos| tokens.ids.last() != Some(&eos))
}

/// A conversation in the model's own layout; learnt are the answers and what ends each of them, or all, without the answers whose
/// weight is 0.
fn chat(
    conversation: &Conversation,
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    answers_only: bool,
) -> Result<Tokens> {
    let rendered = template.lay_out_with_spans(conversation)?;
    let (ids, covered) = tokenizer.encode_with_offsets(&rendered.text, false)?;
    let (mut spans, learnt) = (rendered.generation_spans, conversation.learnt_answers());
    if learnt.contains(&false) {
        if spans.len() != learnt.len() {
            return Err(Error::data(msg::WeightsUnclear)
                .field("weight")
                .remedy(msg::LeaveWeightOut));
        }
        // Those that are learnt, or those that are not.
        let mut which = learnt.into_iter();
        spans.retain(|_| which.next() == Some(answers_only));
    }
    let in_span = assistant_mask(&covered, &spans);
    let label = |(&id, in_span)| {
        if in_span == answers_only {
            id as i32
        } else {
            IGNORE_INDEX
        }
    };
    let labels = ids.iter().zip(in_span).map(label).collect();
    Ok(Tokens { ids, labels, seams: 0 })
}
