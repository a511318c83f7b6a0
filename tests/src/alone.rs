//! Tests that need a process to themselves: what an allocator's books say is true of a whole process, and a GPU is opened once
//! in each. All other tests of a stage share one program, which is linked once.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Names the test that a process was started for.
const TEST: &str = "LORAKEET_TEST_ALONE";

/// Runs `body`, the body of a test, in a process of its own: this test program, started again for this test only.
///
/// The test is told by the name of the closure's type, so `body` has to be written in the test itself.
///
/// # Panics
/// Where the test fails in that process, or is not found there.
pub fn alone<F: FnOnce()>(body: F) {
    let test = test_of(std::any::type_name::<F>());
    if std::env::var(TEST).is_ok_and(|started| started == test) {
        body();
        return lorakeet_core::device::finish();
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let mut child = Command::new(program)
        .args([test, "--exact", "--nocapture", "--test-threads", "1"])
        .env(TEST, test)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start its program again");
    let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let mut passed = false;
    for line in output.lines() {
        let line = line.expect("its output is text");
        passed |= line.contains("test result: ok. 1 passed");
        // Set back, so that whoever counts closing lines counts this test once.
        println!("  alone: {line}");
    }
    let status = child.wait().expect("it ends");
    assert!(
        status.success() && passed,
        "{test} failed in a process of its own ({status})"
    );
}

/// `module::test` of a closure's type, `program::module::test::{{closure}}`.
fn test_of(closure: &str) -> &str {
    let (_, path) = closure
        .split_once("::")
        .expect("a type in a program has its name in front");
    path.split("::{{").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_its_closure() {
        assert_eq!(test_of("native::memory::it_holds::{{closure}}"), "memory::it_holds");
    }

    #[test]
    fn a_body_runs_in_a_process_that_was_started_for_its_test() {
        alone(|| {
            let started = std::env::var(TEST).expect("the process was started for a test");
            assert!(std::env::args().any(|word| word == started), "{started}");
        });
    }

    #[test]
    #[should_panic(expected = "failed in a process of its own")]
    fn a_failure_in_the_other_process_is_this_test_s() {
        alone(|| panic!("on purpose"));
    }
}
