//! What front ends say to the engine and what it says back: one enum in, one enum out.
//!
//! The page, the widget and the command all drive the engine through these types and nothing else. They travel as JSON
//! (`lorakeet train --json` prints the events one a line; the page's worker posts them), except for bulk bytes: dropped files
//! go to the worker as the browser's own `File` objects beside the command that names them, and an exported file's bytes come
//! back as buffers beside the events that name them. Nothing here needs burn.

mod audit;
mod baselines;
mod command;
mod conclusion;
mod event;
mod export;
mod files;
mod hub;
mod judgement;
mod kept_run;
mod knob_info;
mod number;
mod picture;
mod preview;
mod rate;
mod report;
mod run_curve;
mod run_outcome;
mod run_report;
mod sweep;

pub use audit::{AuditDropped, AuditFinding, AuditKind, AuditPlace, AuditReport, AuditSetting};
pub use baselines::{MeasuredBaselines, TuningOutlook, best_baseline, best_of, doubt_of_baselines};
pub use command::{ChatMessage, Command, DeviceChoice, GenerateOptions, Prompt};
pub use conclusion::{NextStep, Outcome};
pub use event::{
    DataInfo, DeviceInfo, DeviceKind, Divergence, Event, Learnt, MemoryEstimate, ModelInfo, Probe, RunInfo, RunSummary,
    Sign, Stage, StepInfo,
};
pub use export::{
    ExportCheck, ExportCommand, ExportEvent, ExportForm, ExportOption, ExportScore, PIECE_BYTES, ReadBack, TensorError,
};
pub use files::{
    AdapterOutline, ComparedFiles, FileKind, FileTensors, FilesCommand, FilesEvent, FormatShare, InspectedFiles,
    LoadedAdapter, OfModules, TensorChange, UncomparedTensor,
};
pub use hub::{ENDPOINT, HubCommand, HubEvent, HubFile, HubListing, HubProgress, HubSource, HubToken, StoredModel};
pub use judgement::{DecisionKind, Decisions, FileScore, Interval, Judgement, Slice, SliceBy};
pub use kept_run::{
    COPIES, InputFile, Keep, RateChange, RunInput, RunLabels, RunRecord, RunSample, RunScore, RunState, StoredCopy,
    StoredRun,
};
pub use knob_info::{KnobInfo, KnobRange};
pub use picture::{Picture, PictureKind, PictureRequest, TokenProbability};
pub use preview::{ColumnRole, ColumnUse, PreviewExample, RunPreview};
pub use rate::{RatePoint, RateSearch, SearchEnd};
pub use report::{
    Baseline, BaselineKind, CalibrationBin, ClassRow, Comparison, EvalInfo, Metric, PredictionTable, Report,
    TextPrediction, Verdict,
};
pub use run_curve::{CurveAxis, CurveEval, CurvePoint, RunCurve, better_score};
pub use run_outcome::{OpenedRun, RunOutcome};
pub use run_report::{ReportForm, ReportRequest};
pub use sweep::{StoredSweep, Sweep, SweepCommand, SweptRun, SweptRung, SweptScore};
