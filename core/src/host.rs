//! What the engine needs of the place that it runs in, and what reaches into a command while it is under way: events out,
//! requests in, time, and turns for others.

use crate::error::{Error, Result};
use crate::protocol::{Command, Event, ExportEvent, Stage};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};
use std::task::{Poll, Waker};

/// What the engine needs of the place that it runs in; it has no clock and no event loop of its own.
#[derive(Clone, Copy)]
pub struct Host {
    /// Milliseconds since some fixed moment.
    pub now_ms: fn() -> f64,
    /// Lets others run: in a browser the messages that came meanwhile, natively nothing.
    pub yield_now: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Takes events, an exported file's with its bytes.
pub type Receiver<'a> = &'a mut dyn FnMut(Event, Option<Vec<u8>>);

/// What a command has of the outside while it is served: where its events go, the host, and what is asked for meanwhile.
pub struct Emit<'a> {
    receiver: Receiver<'a>,
    /// The place that the command runs in.
    pub host: Host,
    /// What is asked for.
    pub control: Control,
}

impl<'a> Emit<'a> {
    /// Hands events to `receiver`.
    pub fn new(receiver: Receiver<'a>, host: Host, control: Control) -> Self {
        Self {
            receiver,
            host,
            control,
        }
    }
    /// Sends an event.
    pub fn event(&mut self, event: Event) {
        (self.receiver)(event, None);
    }
    /// Sends on what another receiver took.
    pub(crate) fn pass_on(&mut self, event: Event, bytes: Option<Vec<u8>>) {
        (self.receiver)(event, bytes);
    }
    /// Sends a note on what is done otherwise than one might expect.
    pub fn warn(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.event(Event::Warning { message });
    }
    /// Sends each of the notes.
    pub fn warn_all(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.warn(message);
        }
    }
    /// Says how far a long piece of work is.
    pub fn progress(&mut self, stage: Stage, done: u64, total: u64) {
        self.event(Event::Progress { stage, done, total });
    }
    /// Takes events, and sends on those that say how far the work is: for a part of which nothing else is to be heard.
    pub(crate) fn progress_only(&mut self) -> impl FnMut(Event, Option<Vec<u8>>) {
        |event, _| {
            if let Event::Progress { .. } = event {
                self.event(event);
            }
        }
    }
    /// Hands over an exported file.
    pub fn file(&mut self, name: String, content: Vec<u8>) {
        let bytes = content.len() as u64;
        (self.receiver)(Event::File { name, bytes }, Some(content));
    }
    /// Hands over a file of a checkpoint.
    pub fn checkpoint_file(&mut self, name: String, content: Vec<u8>) {
        let bytes = content.len() as u64;
        (self.receiver)(Event::CheckpointFile { name, bytes }, Some(content));
    }
    /// Hands over a part of an exported file.
    pub fn piece(&mut self, event: ExportEvent, content: Vec<u8>) {
        (self.receiver)(Event::Export(event), Some(content));
    }
    /// Yields to the host in a long loop of device work.
    ///
    /// # Errors
    /// [`crate::error::Kind::Stopped`] where a stop was requested; `what` says what it ends.
    pub async fn yield_or_stop(&self, what: impl Into<Message>) -> Result<()> {
        (self.host.yield_now)().await;
        match self.control.is_stopped() {
            true => Err(Error::stopped(what)),
            false => Ok(()),
        }
    }
    /// Progress, yields and stops for a loop over rows.
    pub fn turns(&mut self, stage: Stage) -> Turns<'_, 'a> {
        Turns {
            emit: self,
            stage,
            last_ms: f64::NEG_INFINITY,
        }
    }
}

/// How long a loop over rows goes on before it yields.
const TURN_MS: f64 = 20.0;

/// Cooperative scheduling of a long loop over rows: every 20 ms it reports progress, yields to the host, and ends with an error
/// if a stop was requested.
pub struct Turns<'e, 'a> {
    emit: &'e mut Emit<'a>,
    stage: Stage,
    last_ms: f64,
}

impl Turns<'_, '_> {
    /// To be called with each row: `done` of `total` are through.
    ///
    /// # Errors
    /// [`crate::error::Kind::Stopped`] where a stop is asked for.
    pub async fn at(&mut self, done: usize, total: usize) -> Result<()> {
        let now_ms = (self.emit.host.now_ms)();
        if now_ms - self.last_ms < TURN_MS && done < total {
            return Ok(());
        }
        self.last_ms = now_ms;
        self.emit.progress(self.stage, done as u64, total as u64);
        self.emit.yield_or_stop(msg::StoppedPreparingRows).await
    }
}

/// A handle on a session that works while a command is under way; clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    paused: AtomicBool,
    stopped: AtomicBool,
    cancelled: AtomicBool,
    reading_cancelled: AtomicBool,
    download_cancelled: AtomicBool,
    export_cancelled: AtomicBool,
    /// Pieces of the export under way that were put away.
    taken: AtomicU64,
    requests: Mutex<VecDeque<Command>>,
    /// The run that sleeps in a pause, the download that waits for the network, or the export that waits for the front end.
    sleeper: Mutex<Option<Waker>>,
}

impl Control {
    /// Holds the run after the step under way, or after the layer, where a pass goes by layers.
    pub fn pause(&self) {
        self.0.paused.store(true, SeqCst);
    }
    /// Goes on after a pause.
    pub fn resume(&self) {
        self.0.paused.store(false, SeqCst);
        self.wake();
    }
    /// Ends the run after the step under way; one that goes by layers is given up.
    pub fn stop(&self) {
        self.0.stopped.store(true, SeqCst);
        self.wake();
    }
    /// Ends the generation under way.
    pub fn cancel_generate(&self) {
        self.0.cancelled.store(true, SeqCst);
    }
    /// Ends the reading of a data file that is under way.
    pub fn cancel_reading(&self) {
        self.0.reading_cancelled.store(true, SeqCst);
    }
    /// Forgets a cancellation that belongs to an earlier reading.
    pub(crate) fn begin_reading(&self) {
        self.0.reading_cancelled.store(false, SeqCst);
    }
    /// Whether the reading is to end.
    pub(crate) fn is_reading_cancelled(&self) -> bool {
        self.0.reading_cancelled.load(SeqCst)
    }
    /// Ends the download under way, or the look at a hub.
    pub fn cancel_download(&self) {
        self.0.download_cancelled.store(true, SeqCst);
        self.wake();
    }
    /// Forgets a cancellation that belongs to an earlier download.
    pub fn begin_download(&self) {
        self.0.download_cancelled.store(false, SeqCst);
    }
    /// Ends the export under way.
    pub fn cancel_export(&self) {
        self.0.export_cancelled.store(true, SeqCst);
        self.wake();
    }
    /// A piece of the export under way was put away.
    pub fn piece_taken(&self) {
        self.0.taken.fetch_add(1, SeqCst);
        self.wake();
    }
    /// Forgets what belongs to an earlier export.
    pub(crate) fn begin_export(&self) {
        self.0.export_cancelled.store(false, SeqCst);
        self.0.taken.store(0, SeqCst);
    }
    /// Whether the export is to end.
    pub(crate) fn is_export_cancelled(&self) -> bool {
        self.0.export_cancelled.load(SeqCst)
    }
    /// Sleeps until so many pieces were put away, or the export is to end.
    pub(crate) async fn until_taken(&self, pieces: u64) {
        std::future::poll_fn(|context| {
            // Stored before they are counted, so that none is missed.
            if let Ok(mut sleeper) = self.0.sleeper.lock() {
                *sleeper = Some(context.waker().clone());
            }
            match self.0.taken.load(SeqCst) >= pieces || self.is_export_cancelled() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
    /// The outcome of `work`; none where the download is cancelled before.
    pub(crate) async fn unless_download_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            // Stored before it is looked at, so that no cancellation is missed.
            if let Ok(mut sleeper) = self.0.sleeper.lock() {
                *sleeper = Some(context.waker().clone());
            }
            match self.0.download_cancelled.load(SeqCst) {
                true => Poll::Ready(None),
                false => work.as_mut().poll(context).map(Some),
            }
        })
        .await
    }
    /// Asks for something in the middle of a run: `Generate`, `Picture`, `ExportAdapter`, `SaveRun` and `HandOver` are served after
    /// the step under way, also in a pause.
    pub fn request(&self, command: Command) {
        if let Ok(mut requests) = self.0.requests.lock() {
            requests.push_back(command);
        }
        self.wake();
    }

    fn wake(&self) {
        let sleeper = self.0.sleeper.lock().ok().and_then(|mut sleeper| sleeper.take());
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Sleeps while the run is paused and there is no request. Requests are stored before the waker is called, and read here
    /// after the waker is registered, so that none is missed.
    pub(crate) async fn wait(&self) {
        std::future::poll_fn(|context| {
            if let Ok(mut sleeper) = self.0.sleeper.lock() {
                *sleeper = Some(context.waker().clone());
            }
            match self.is_paused() && !self.is_stopped() && !self.is_asked() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Whether the run is to hold.
    pub fn is_paused(&self) -> bool {
        self.0.paused.load(SeqCst)
    }
    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(SeqCst)
    }
    /// Asks whether the work that begins now is to end: a stop that came before was another's.
    pub(crate) fn stops_from_now_on(&self) -> impl Fn() -> bool + use<> {
        let (control, was_stopped) = (self.clone(), self.is_stopped());
        move || !was_stopped && control.is_stopped()
    }
    /// Whether the generation is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(SeqCst)
    }
    /// Whether a request waits to be served.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.requests.lock().is_ok_and(|requests| !requests.is_empty())
    }
    /// The oldest request that was not served yet.
    pub(crate) fn next_request(&self) -> Option<Command> {
        self.0.requests.lock().ok()?.pop_front()
    }
    /// Forgets a pause of an earlier run. A stop stays: it may have come while the model was loading.
    pub(crate) fn begin_run(&self) {
        self.0.paused.store(false, SeqCst);
    }
    /// Forgets the stop that just ended a run.
    pub(crate) fn end_run(&self) {
        self.0.stopped.store(false, SeqCst);
        self.0.paused.store(false, SeqCst);
    }
    /// Forgets a cancellation that belongs to an earlier generation.
    pub(crate) fn begin_generate(&self) {
        self.0.cancelled.store(false, SeqCst);
    }
}
