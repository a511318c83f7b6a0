//! Memory over thousands of steps on the CPU, in a process of its own, so that what it takes is this run's alone.

use lorakeet_core::protocol::DeviceChoice;
use lorakeet_tests::alone::alone;

#[test]
fn two_thousand_steps_on_the_cpu_leave_memory_flat() {
    alone(|| {
        lorakeet_tests::soak::two_thousand_steps(DeviceChoice::Cpu);
    });
}
