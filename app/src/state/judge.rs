//! Judging the fine-tuned model: texts that it answers, another file that it is scored on, the report as a file.

use super::PageState;
use crate::conversation::Job;
use crate::download;
use crate::run::Phase;
use crate::stored_runs::name_of;
use leptos::prelude::*;
use lorakeet_core::protocol::{Command, Judgement, PredictionTable, ReportForm, ReportRequest};
use web_sys::File;

impl PageState {
    /// Has texts answered as the run was trained to, at the chosen strength of its adapter, and where it is wanted without it, too.
    pub fn predict(self, texts: Vec<Vec<String>>, without: bool) {
        let mut config = self.config().unwrap_or_default();
        config.task = Some(untrack(|| self.task()));
        let outcome = self.training.outcome;
        outcome.answers.set(Vec::new());
        outcome.answers_without.set(Vec::new());
        let chosen = outcome.strength.get_untracked();
        // What was asked before is of another strength.
        self.worker.drop_waiting(Job::Predict);
        let also = (without && chosen != 0.0).then_some(0.0);
        for strength in [chosen].into_iter().chain(also) {
            let (config, texts) = (config.clone(), texts.clone());
            let command = Command::Predict {
                config,
                texts,
                strength,
            };
            self.ask(Job::Predict, command, Vec::new());
        }
    }

    /// Whether every weight was trained, so that there is no adapter that could be weighed or left out.
    pub fn is_trained_whole(self) -> bool {
        self.training.frame.track();
        let info = self.training.run.with_value(|run| run.info.clone());
        info.is_some_and(|info| info.trainable_parameters >= info.all_parameters)
    }

    /// Has the fine-tuned model scored on a file.
    pub fn score_file(self, files: Vec<File>) {
        self.worker.clear_error(&[Job::ScoreFile]);
        self.training.outcome.file_score.set(None);
        let file = files.first().map(File::name).unwrap_or_default();
        self.ask(Job::ScoreFile, Command::ScoreFile { file }, files);
    }

    /// Has the run's report written as a file.
    pub fn write_report(self, form: ReportForm) {
        self.worker.clear_error(&[Job::Report]);
        let request = untrack(|| self.report_request(form));
        self.ask(Job::Report, Command::WriteReport(Box::new(request)), Vec::new());
    }

    /// What the page knows of the run.
    fn report_request(self, form: ReportForm) -> ReportRequest {
        let outcome = self.training.outcome;
        let record = self.stored.own_record();
        // Other data may have been chosen since the run.
        let names = record
            .as_ref()
            .map(|record| [name_of(&record.model), name_of(&record.data)]);
        let settings = record.as_ref().and_then(|record| record.config().ok());
        let summary = match self.training.phase.get() {
            Phase::Done(summary) => Some(summary),
            _ => None,
        };
        let (info, losses, evals, samples) = self.training.run.with_value(|run| {
            let samples = ReportRequest::first_and_last(&run.samples);
            (run.info.clone(), run.curves.loss(), run.curves.eval_loss(), samples)
        });
        let worst = outcome.predictions.with(|table| PredictionTable {
            columns: table.columns.clone(),
            rows: table.rows.iter().take(ReportRequest::WORST_ROWS).cloned().collect(),
        });
        ReportRequest {
            form,
            language: self.language.get().tag().to_owned(),
            names: names.unwrap_or_else(|| [self.model_name(), self.data_name()]),
            settings: settings.map(|config| config.to_yaml()),
            inputs: record.map(|record| record.inputs).unwrap_or_default(),
            info,
            summary,
            losses,
            evals,
            samples,
            report: outcome.report.get(),
            judgement: outcome.judgement.get().map(|judgement| Judgement {
                decisions: None,
                ..judgement
            }),
            predictions: worst,
        }
    }

    /// Offers a report for download.
    pub(super) fn take_report(self, form: ReportForm, text: &str) {
        let kind = match form {
            ReportForm::Html => "text/html",
            ReportForm::Markdown => "text/markdown",
        };
        download::save(form.file_name(), text.as_bytes(), kind);
    }
}
