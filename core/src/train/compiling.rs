//! Kernels that a GPU compiles in the course of a run: the front end is told of them, and the time of the steps that wait for them
//! tells nothing of the steps to come. Most are compiled before the first step (`trainer/rehearsing.rs`); what is left are those of
//! shapes that come late.
//!
//! What was launched is compiled when numbers that come of it are read. Kernels of an update, which nobody reads, are waited for
//! in the step after it.

use crate::device;
use crate::host::Emit;
use crate::protocol::Stage;
use burn::tensor::Device;

/// How often it is told, at most, while a pass is under way.
const INTERVAL_MS: f64 = 100.0;

/// The kernels of a run.
#[derive(Debug)]
pub(crate) struct Compiling {
    /// Whether the run is on a GPU: nothing is compiled for a CPU.
    is_gpu: bool,
    /// Those of this process before the run.
    before: u64,
    /// Those that are known to be ready.
    ready: u64,
    /// The number that was told last, and when, while they are not.
    told: Option<(u64, f64)>,
}

impl Compiling {
    /// Of a run on `device` that begins now.
    pub(crate) fn new(device: &Device) -> Self {
        let before = device::compiled();
        Self {
            is_gpu: device::is_gpu(device),
            before,
            ready: before,
            told: None,
        }
    }

    /// Tells how many kernels were compiled so far, if they became more and it was not told just now.
    pub(crate) fn look(&mut self, emit: &mut Emit<'_>) {
        let now_ms = (emit.host.now_ms)();
        if self.told.is_none_or(|(_, last_ms)| now_ms - last_ms >= INTERVAL_MS) {
            self.tell(emit);
        }
    }

    /// The same in front of a read, which may wait long: whenever it was told last.
    pub(crate) fn tell(&mut self, emit: &mut Emit<'_>) {
        let compiled = device::compiled();
        let known = self.told.map_or(self.ready, |(told, _)| told);
        if self.is_gpu && compiled > known {
            self.told = Some((compiled, (emit.host.now_ms)()));
            emit.progress(Stage::Compile, compiled - self.before, 0);
        }
    }

    /// A step's numbers were read: tells that its kernels are ready, if it had any to compile, and whether it had.
    pub(crate) fn step_is_read(&mut self, emit: &mut Emit<'_>) -> bool {
        let ready = self.ready;
        self.all_ready();
        let waited = self.is_gpu && self.ready > ready;
        if waited {
            let kernels = self.ready - self.before;
            emit.progress(Stage::Compile, kernels, kernels);
        }
        waited
    }

    /// All that was launched has been read: what was compiled for it is no step's to wait for.
    pub(crate) fn all_ready(&mut self) {
        self.told = None;
        self.ready = device::compiled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Control, Host};
    use crate::protocol::Event;

    #[test]
    fn kernels_are_told_of_now_and_then_and_at_the_end() {
        let mut told = Vec::new();
        let mut receiver = |event: Event, _: Option<Vec<u8>>| {
            if let Event::Progress { stage, done, total } = event {
                assert_eq!(stage, Stage::Compile);
                told.push((done, total));
            }
        };
        let host = Host {
            now_ms: || 0.0,
            yield_now: || Box::pin(std::future::ready(())),
        };
        let emit = &mut Emit::new(&mut receiver, host, Control::default());
        let before = device::compiled();
        let mut compiling = Compiling {
            is_gpu: true,
            before,
            ready: before,
            told: None,
        };
        compiling.look(emit);
        device::note_compiled();
        compiling.look(emit);
        device::note_compiled();
        // No time has passed.
        compiling.look(emit);
        device::note_compiled();
        compiling.tell(emit);
        compiling.tell(emit);
        assert!(compiling.step_is_read(emit));
        compiling.look(emit);
        assert!(!compiling.step_is_read(emit));
        // What a score compiled.
        device::note_compiled();
        compiling.all_ready();
        compiling.tell(emit);
        assert!(!compiling.step_is_read(emit));
        assert_eq!(told, [(1, 0), (3, 0), (3, 3)]);
    }
}
