//! Records the lessons beside the page: `record_lessons [ID…]`, without ids all of them.
//!
//! Each run is trained on the CPU, and what the engine says goes into `public/lessons/ID.recording.json`, which the
//! page shows on a device that cannot train. `public/lessons/index.json` gets the lessons' titles and minutes and keeps
//! its order. `cargo xtask record-lessons` calls it.

use anyhow::{Context, Result};
use lorakeet_core::host::Host;
use lorakeet_tests::lesson_recorder::{index, lesson, lesson_ids, page_folder, record};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const HOST: Host = Host {
    now_ms: || since_1970().as_secs_f64() * 1000.0,
    yield_now: || Box::pin(std::future::ready(())),
};

fn main() -> Result<()> {
    let page = page_folder();
    let mut ids: Vec<String> = std::env::args().skip(1).collect();
    if ids.is_empty() {
        ids = lesson_ids(&page)?;
    }
    for id in &ids {
        let lesson = lesson(&page, id)?;
        let mut say = |line: &str| eprintln!("{id}: {line}");
        let text = record(&page, &lesson, &today(), HOST, &mut say).with_context(|| format!("the lesson {id}"))?;
        let path = page.join(format!("lessons/{id}.recording.json"));
        fs::write(&path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
        eprintln!("{id}: {} bytes", text.len());
    }
    let path = page.join("lessons/index.json");
    let old = fs::read_to_string(&path).unwrap_or_else(|_| "[]".to_owned());
    fs::write(&path, index(&page, &old)?).with_context(|| format!("{} cannot be written", path.display()))
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The day in UTC as YYYY-MM-DD, by the calendar of 400 years, whose years begin in March here.
fn today() -> String {
    let days = (since_1970().as_secs() / 86_400) as i64 + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month < 10 {
        true => (400 * era + year, month + 3),
        false => (400 * era + year + 1, month - 9),
    };
    format!("{year}-{month:02}-{day:02}")
}
