//! What reaches into a run from outside while it is under way: wishes from the person, time and breath from the host.

use crate::protocol::Command;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
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

/// A handle on a session that works while a command is under way; clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Wishes>);

#[derive(Debug, Default)]
struct Wishes {
    paused: AtomicBool,
    stopped: AtomicBool,
    cancelled: AtomicBool,
    requests: Mutex<VecDeque<Command>>,
    /// The run that sleeps in a pause.
    sleeper: Mutex<Option<Waker>>,
}

impl Control {
    /// Holds the run after the step under way.
    pub fn pause(&self) {
        self.0.paused.store(true, SeqCst);
    }
    /// Goes on after a pause.
    pub fn resume(&self) {
        self.0.paused.store(false, SeqCst);
        self.wake();
    }
    /// Ends the run after the step under way.
    pub fn stop(&self) {
        self.0.stopped.store(true, SeqCst);
        self.wake();
    }
    /// Ends the generation under way.
    pub fn cancel_generate(&self) {
        self.0.cancelled.store(true, SeqCst);
    }
    /// Asks for something in the middle of a run: `Generate` and `ExportAdapter` are served after the step under way, also
    /// in a pause.
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

    /// Sleeps while the run is held and nobody asks for anything. Who wakes it does so after the wish is written down, and here
    /// the wishes are read after the name is left: none is missed.
    pub(crate) async fn wait(&self) {
        std::future::poll_fn(|context| {
            if let Ok(mut sleeper) = self.0.sleeper.lock() {
                *sleeper = Some(context.waker().clone());
            }
            let asked = self.0.requests.lock().is_ok_and(|requests| !requests.is_empty());
            match self.is_paused() && !self.is_stopped() && !asked {
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
    /// Whether the generation is to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(SeqCst)
    }
    /// The oldest request that was not served yet.
    pub(crate) fn next_request(&self) -> Option<Command> {
        self.0.requests.lock().ok()?.pop_front()
    }
    /// Forgets wishes that belong to an earlier run. A stop stays: it may have come while the model was loading.
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
