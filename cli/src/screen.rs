//! What a person sees of a run: a table of steps on standard output, bars and notes on standard error. With `--json`,
//! standard output has the events instead, one a line.

use crate::json;
use indicatif::{ProgressBar, ProgressStyle};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::{
    DataInfo, EvalInfo, Event, HubEvent, MemoryEstimate, Metric, ModelInfo, PredictionTable, Probe, Report, RunSummary,
    Stage, StepInfo,
};
use lorakeet_core::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::command as msg;
use lorakeet_i18n::messages::common::At;
use lorakeet_i18n::messages::report as words;
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};

/// Shows events.
pub struct Screen {
    json: bool,
    /// Whether it shows nothing, and keeps what failed and how the run ended all the same.
    is_quiet: bool,
    bar: Option<(Stage, ProgressBar)>,
    max_steps: usize,
    table_open: bool,
    /// The validation losses by step, in the order in which they were scored.
    evals: Vec<(f64, f64)>,
    /// Why standard output took no more, unless its reader went away.
    unwritten: Option<Error>,
    /// The first thing that failed.
    pub failed: Option<Error>,
    /// How the run ended.
    pub summary: Option<RunSummary>,
}

impl Screen {
    /// A screen that shows `json`, or text.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            is_quiet: false,
            bar: None,
            max_steps: 0,
            table_open: false,
            evals: Vec::new(),
            unwritten: None,
            failed: None,
            summary: None,
        }
    }

    /// A screen that shows nothing.
    pub fn quiet() -> Self {
        Self {
            is_quiet: true,
            ..Self::new(false)
        }
    }

    /// Whether standard output has JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Failed(error) => {
                self.failed.get_or_insert_with(|| error.clone());
            }
            Event::Done(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        if self.is_quiet {
            return;
        }
        if self.json {
            if let Ok(line) = json::line(event) {
                self.keep(hand_out_json(&line));
            }
            return;
        }
        if let Event::Hub(HubEvent::Progress(progress)) = event {
            self.progress(Stage::Download, progress.done, progress.total);
            return;
        }
        if let Event::Progress { stage, done, total } = event {
            self.progress(*stage, *done, *total);
            return;
        }
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.line(event);
    }

    fn line(&mut self, event: &Event) {
        let note = |text: String| say(&text);
        let tell = |notes: &[Message]| {
            notes
                .iter()
                .for_each(|text| note(format!("         {}", text.english())))
        };
        match event {
            Event::Device(device) => {
                note(format!("device   {} ({})", device.name, device.backend));
                if let Some(text) = &device.note {
                    note(format!("         {}", text.english()));
                }
            }
            Event::Model(model) => note(format!("model    {}", model_line(model))),
            Event::Data(data) => {
                note(format!("data     {}", data_line(data)));
                tell(&data.notes);
            }
            Event::Validation { data: Some(data) } => {
                note(format!("held out {}", data_line(data)));
                tell(&data.notes);
            }
            Event::Probe(probe) => note(format!("measured {}", measured(probe))),
            Event::Estimate {
                memory,
                available_bytes,
                seconds_per_step,
                ..
            } => {
                note(format!("memory   {}", memory_line(memory)));
                if let Some(seconds) = seconds_per_step {
                    note(format!("time     about {} a step", duration(*seconds)));
                }
                if let Some(available) = available_bytes.filter(|&available| memory.is_above(available)) {
                    note(format!(
                        "         That is more than the {} of this device.",
                        size(available)
                    ));
                }
            }
            Event::Started(run) => {
                self.evals.clear();
                self.max_steps = run.max_steps;
                let share = 100.0 * run.trainable_parameters as f64 / run.all_parameters.max(1) as f64;
                note(format!(
                    "run      {} steps, {} examples, {} held out, {} weights trained ({share:.2}%)",
                    run.max_steps,
                    run.train_examples,
                    run.eval_examples,
                    count(run.trainable_parameters)
                ));
                note(format!("task     {}, loss {}", run.task, run.loss));
            }
            Event::Step(step) => {
                self.open_table();
                self.print(&step_line(step, self.max_steps));
            }
            Event::Eval(eval) => {
                self.evals.push((eval.step as f64, eval.loss));
                self.open_table();
                let step = format!("{}/{}", eval.step, self.max_steps);
                self.print(&format!("{step:>11}  validation {}\n", scores_line(eval)));
            }
            Event::Sample { step, prompt, text } => {
                let text = text.replace('\n', "\n             ");
                self.print(&format!("  step {step:<5}\u{2502} {prompt}\u{2026}{text}\n"));
            }
            Event::Baseline { scores } => {
                for baseline in scores {
                    note(format!(
                        "without  {}: {}",
                        baseline.name,
                        metrics_line(&baseline.metrics)
                    ));
                }
            }
            Event::Report(report) => self.print(&(class_table(report) + &verdict(report, &self.evals))),
            Event::Checkpoint { path, .. } => note(format!("saved    {path}")),
            Event::Paused { step } => note(format!("paused   after step {step}")),
            Event::Warning { message } => note(format!("note     {}", message.english())),
            Event::Token { text, .. } => self.keep(hand_out_data(text)),
            Event::Generated {
                tokens,
                tokens_per_second,
                ..
            } => {
                self.print("\n");
                note(format!("({tokens} tokens, {tokens_per_second:.1} a second)"));
            }
            Event::Done(summary) => self.print(&summary_line(summary)),
            _ => {}
        }
    }

    /// Prints what a person reads on the way.
    fn print(&mut self, text: &str) {
        self.keep(hand_out(text));
    }

    /// Whatever happens to standard output, a run goes on: the first error is told at the end.
    fn keep(&mut self, written: Result<()>) {
        if let Err(error) = written {
            self.unwritten.get_or_insert(error);
        }
    }

    /// Whether standard output took all that was shown.
    ///
    /// # Errors
    /// Why not.
    pub fn written(&self) -> Result<()> {
        self.unwritten.clone().map_or(Ok(()), Err)
    }

    /// Shows a table of answers as csv, or as an event.
    pub fn show_table(&mut self, table: PredictionTable) {
        match self.json {
            true => self.show(&Event::Predictions(table)),
            false => self.keep(hand_out_data(&table.to_csv())),
        }
    }

    fn open_table(&mut self) {
        if !self.table_open {
            self.print("       step    epoch     loss        lr      norm     tok/s   left\n");
            self.table_open = true;
        }
    }

    fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        // Steps follow, of which not every one has a line, or what an export came to.
        if matches!(stage, Stage::Compile | Stage::Export) && done == total {
            if let Some((_, bar)) = self.bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != stage) {
            let (bytes, items) = (
                "{msg:>11} [{bar:30}] {bytes}/{total_bytes} {eta}",
                "{msg:>11} [{bar:30}] {pos}/{len} {eta}",
            );
            let (name, template) = match stage {
                Stage::Download => ("downloading", bytes),
                Stage::LoadModel => ("loading", bytes),
                Stage::ReadData => ("reading", bytes),
                Stage::Tokenize => ("tokenizing", items),
                Stage::Check => ("checking", bytes),
                Stage::Copy => ("copying", bytes),
                Stage::Evaluate => ("scoring", items),
                Stage::Export => ("exporting", bytes),
                // In the midst of steps, how many there will be is not known.
                Stage::Compile if total == 0 => ("compiling", "{msg:>11} GPU kernels: {pos} so far"),
                Stage::Compile => ("compiling", items),
            };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total)
                .with_style(style.progress_chars("=> "))
                .with_message(name);
            self.bar = Some((stage, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
    }
}

/// A line on standard error. Where nobody reads it any more, nothing is lost.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(text));
}

/// A note on standard error.
pub fn say_note(note: impl Into<Message>) {
    say(&format!("note     {}", note.into().english()));
}

/// A text as a terminal may show it. Names, labels and what a model writes come from strangers, and a terminal obeys escape
/// sequences: control characters but line ends and tabs become their pictures (`␛`), or `�` where there is none.
pub fn plain(text: &str) -> Cow<'_, str> {
    let is_obeyed = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = |letter: char| match letter {
        letter if !is_obeyed(letter) => letter,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Writes to standard output what a person reads. A reader who has seen enough is no error.
///
/// # Errors
/// It cannot be written, as where the disk behind it is full.
pub fn hand_out(text: &str) -> Result<()> {
    write(&plain(text))
}

/// The same of what a program may read as well: to a file or a program it goes as it is.
///
/// # Errors
/// As [`hand_out`].
fn hand_out_data(text: &str) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => hand_out(text),
        false => write(text),
    }
}

/// The same of a line of JSON, with the control characters that JSON allows as escapes.
///
/// # Errors
/// As [`hand_out`].
pub fn hand_out_json(line: &str) -> Result<()> {
    let mut escaped = String::with_capacity(line.len() + 1);
    for letter in line.chars() {
        match letter {
            letter if letter.is_control() => escaped.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => escaped.push(letter),
        }
    }
    escaped.push('\n');
    write(&escaped)
}

/// Writes at once: a text that grows token by token has no line ends.
fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io(msg::StandardOutput { error })),
        _ => Ok(()),
    }
}

fn step_line(step: &StepInfo, max_steps: usize) -> String {
    // Where all steps so far had kernels to compile, neither is known.
    let known = |number: f64, shown: String| if number.is_nan() { "–".to_owned() } else { shown };
    format!(
        "{:>11}  {:>7.2}  {:>7.4}  {:>8.2e}  {:>8.3}  {:>8}  {:>5}\n",
        format!("{}/{max_steps}", step.step),
        step.epoch,
        step.loss,
        step.learning_rate,
        step.grad_norm,
        known(step.tokens_per_second, format!("{:.1}", step.tokens_per_second)),
        known(step.eta_seconds, time(step.eta_seconds))
    )
}

/// The loss, of generation the perplexity, and the task's metrics behind them: `0.3512  accuracy 0.9000  f1_macro 0.8990`.
pub fn scores_line(eval: &EvalInfo) -> String {
    let of_texts = eval.metrics.iter().any(|metric| metric.name == "token_accuracy");
    let perplexity = match of_texts {
        true => format!("perplexity {:.3}  ", eval.perplexity),
        false => String::new(),
    };
    format!("{:.4}  {perplexity}{}", eval.loss, metrics_line(&eval.metrics))
}

/// `accuracy 0.9000  f1_macro 0.8990`; a metric without a value is shown as a dash.
pub fn metrics_line(metrics: &[Metric]) -> String {
    let shown = metrics.iter().map(|metric| match metric.value.is_finite() {
        true => format!("{} {:.4}", metric.name, metric.value),
        false => format!("{} \u{2013}", metric.name),
    });
    shown.collect::<Vec<_>>().join("  ")
}

/// What a run comes to in a word, in a sentence, and the next step; `evals` are its validation losses by step.
pub fn verdict(report: &Report, evals: &[(f64, f64)]) -> String {
    let lines = [
        report.outcome().message(),
        report.sentence.clone(),
        At {
            place: words::NextStep,
            what: report.next_step(evals).message(),
        }
        .into(),
    ];
    lines.iter().map(|line| format!("{}\n", line.english())).collect()
}

/// The classes, where there are few.
fn class_table(report: &Report) -> String {
    const MOST_CLASSES: usize = 30;
    let mut text = String::new();
    if matches!(report.task, Task::Classification | Task::TokenClassification) && report.classes.len() <= MOST_CLASSES {
        text.push_str("  precision  recall      f1    rows  class\n");
        for class in &report.classes {
            let (p, r, f1) = (class.precision, class.recall, class.f1);
            text.push_str(&format!(
                "{p:>11.4}{r:>8.4}{f1:>8.4}{:>8}  {}\n",
                class.support, class.label
            ));
        }
    }
    text
}

fn summary_line(summary: &RunSummary) -> String {
    let state = if summary.finished { "done" } else { "stopped" };
    let mut text = format!("{state} after {} steps in {}", summary.steps, time(summary.seconds));
    match (summary.eval_loss_before, summary.eval_loss_after) {
        (Some(before), Some(after)) => text.push_str(&format!(": validation loss {before:.4} -> {after:.4}\n")),
        _ => text.push_str(&format!(": mean training loss {:.4}\n", summary.train_loss)),
    }
    text
}

/// One line on a model: `SmolLM2: llama, 30 layers x 576, 134.5M weights (Q4_1 82.0 MB, F32 0.1 MB)`.
pub fn model_line(model: &ModelInfo) -> String {
    let formats: Vec<_> = model
        .formats
        .iter()
        .map(|(name, bytes)| format!("{name} {}", size(*bytes)))
        .collect();
    format!(
        "{}: {}, {} layers x {}, {} weights ({})",
        model.name,
        model.model_type,
        model.num_hidden_layers,
        model.hidden_size,
        count(model.parameters),
        formats.join(", ")
    )
}

/// One line on data: `rows.csv: 120 rows, columns text, label`. What the rows are to the run, the run says.
fn data_line(data: &DataInfo) -> String {
    const MOST: usize = 12;
    let shown = data.columns.iter().take(MOST).map(String::as_str);
    let columns = shown.collect::<Vec<_>>().join(", ");
    let more = match data.columns.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = match data.columns.len() {
        0 => data.form.clone(),
        1 => format!("column {columns}"),
        _ => format!("columns {columns}{more}"),
    };
    format!("{}: {} rows, {what}", data.name, data.rows)
}

/// One line on a run's memory: `about 1.30 GB at its peak, of which the base 89.0 MB (0.66 bytes a parameter)`.
fn memory_line(memory: &MemoryEstimate) -> String {
    let base = size(memory.base_bytes);
    let base = format!(
        "the base {base} ({:.2} bytes a parameter)",
        memory.bytes_per_parameter()
    );
    match memory.peak_bytes {
        Some(peak) => format!("about {} at its peak, of which {base}", size(peak)),
        None => format!("{base}; the peak of this run is not known"),
    }
}

/// `12`, `3.4k`, `134.5M`, `1.2B`.
pub fn count(number: u64) -> String {
    match number as f64 {
        n if n >= 1e9 => format!("{:.1}B", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.1}k", n / 1e3),
        n => format!("{n}"),
    }
}

/// `512 bytes`, `98.1 MB`, `1.2 GB`, in powers of ten.
pub fn size(bytes: u64) -> String {
    match bytes as f64 {
        n if n >= 1e9 => format!("{:.2} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 1e3 => format!("{:.1} kB", n / 1e3),
        n => format!("{n} bytes"),
    }
}

/// `12.3 GFLOP/s, 8.21 GB/s, 0.050 ms a read, 6.30 µs a launch`.
pub fn measured(probe: &Probe) -> String {
    format!(
        "{} GFLOP/s, {} GB/s, {} ms a read, {} µs a launch",
        three_digits(probe.gflops),
        three_digits(probe.gbytes_per_s),
        three_digits(probe.await_ms),
        three_digits(probe.launch_us)
    )
}

/// A number of any size in three digits, of those below 1 three behind the point.
fn three_digits(number: f64) -> String {
    let digits = match number {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        n if n >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}

/// `85.3 ms`, `1.35 s`, `2:05`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{} ms", three_digits(s * 1e3)),
        s if s < 100.0 => format!("{} s", three_digits(s)),
        s => time(s),
    }
}

/// `8s`, `2:05`, `1:02:05`.
fn time(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_has_three_digits_and_units() {
        let probe = Probe {
            gflops: 1234.5,
            gbytes_per_s: 99.96,
            await_ms: 0.0512,
            launch_us: 6.299,
        };
        let line = "1234 GFLOP/s, 100 GB/s, 0.051 ms a read, 6.30 µs a launch";
        assert_eq!(measured(&probe), line);
        let durations = [0.0853, 1.349, 13.49, 125.0].map(duration);
        assert_eq!(durations, ["85.3 ms", "1.35 s", "13.5 s", "2:05"]);
    }

    #[test]
    fn step_lines_stand_under_their_headings() {
        let step = StepInfo {
            step: 12,
            epoch: 0.5,
            loss: 2.34567,
            learning_rate: 2e-4,
            grad_norm: 1.25,
            tokens_per_second: 144.0,
            num_input_tokens_seen: 1024,
            eta_seconds: 125.0,
            seconds: 30.0,
            device_bytes: None,
        };
        assert_eq!(
            step_line(&step, 100),
            "     12/100     0.50   2.3457   2.00e-4     1.250     144.0   2:05\n"
        );
        let compiled = StepInfo {
            tokens_per_second: f64::NAN,
            eta_seconds: f64::NAN,
            ..step
        };
        assert_eq!(
            step_line(&compiled, 100),
            "     12/100     0.50   2.3457   2.00e-4     1.250         –      –\n"
        );
    }

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(plain("a\tb\nc é 你 🙂"), "a\tb\nc é 你 🙂");
        assert_eq!(
            plain("\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\r\0"),
            "␛]0;title␇\u{fffd}2J␡␍␀"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(count(134_515_008), "134.5M");
        assert_eq!(count(460), "460");
        assert_eq!(size(98_100_000), "98.1 MB");
        assert_eq!(time(3725.0), "1:02:05");
        assert_eq!(time(8.4), "8s");
    }
}
