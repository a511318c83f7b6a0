//! Memory over thousands of steps on the GPU (burn#4792 tells of versions in which it grows), in a process of its own, so
//! that what it takes is this run's alone. On a software driver the device's memory is the host's, and both are watched.

use lorakeet_core::protocol::DeviceChoice;
use lorakeet_tests::alone::alone;

#[test]
fn two_thousand_steps_on_the_gpu_leave_memory_flat() {
    alone(|| {
        lorakeet_tests::soak::two_thousand_steps(DeviceChoice::Gpu);
    });
}
