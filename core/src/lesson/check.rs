//! What the types of a lesson cannot say: that names stand for something, and that what is compared was measured by
//! then.

use super::{
    BUNDLED_MODEL, BreakIt, Estimate, Lesson, LessonRun, PartPicture, PartPictureKind, Predict, Question, RunValue,
    Text, one_of, other_format, setting_names,
};
use crate::config::SMALL_MODELS;
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use crate::protocol::PictureKind;
use lorakeet_i18n::messages::lesson as msg;
use lorakeet_i18n::messages::{common, config};

/// A lesson fits into a school lesson.
const MOST_MINUTES: u32 = 90;

/// Checks a lesson that has the right types.
pub(super) fn check(lesson: &Lesson) -> Result<()> {
    if lesson.format != super::FORMAT {
        return Err(other_format(lesson.format));
    }
    name("id", &lesson.id)?;
    if !(1..=MOST_MINUTES).contains(&lesson.minutes) {
        let (most, got) = (MOST_MINUTES, lesson.minutes);
        return Err(Error::config(common::NotFromOneTo { most, got }).field("minutes"));
    }
    text("title", &lesson.title)?;
    text("idea", &lesson.idea)?;
    question(&lesson.question)?;
    for (name, run) in &lesson.runs {
        self::run(&format!("runs.{name}"), name, run)?;
    }
    parts(lesson)
}

fn question(question: &Question) -> Result<()> {
    text("question.text", &question.text)?;
    text("question.why", &question.why)?;
    for (place, choice) in question.choices.iter().enumerate() {
        text(&format!("question.choices[{place}]"), choice)?;
    }
    let (answer, choices) = (question.answer, question.choices.len());
    if choices < 2 {
        return Err(Error::config(msg::TooFewChoices { got: choices }).field("question.choices"));
    }
    if answer >= choices {
        return Err(Error::config(msg::NoSuchChoice { answer, choices }).field("question.answer"));
    }
    Ok(())
}

fn run(field: &str, name: &str, run: &LessonRun) -> Result<()> {
    self::name(field, name)?;
    text(&format!("{field}.label"), &run.label)?;
    if run.model != BUNDLED_MODEL && !SMALL_MODELS.contains(&run.model.as_str()) {
        let model = &run.model;
        let names = [BUNDLED_MODEL].into_iter().chain(SMALL_MODELS);
        let error = Error::config(msg::NoSuchModel { model }).field(format!("{field}.model"));
        return Err(error.remedy(one_of(model, names)));
    }
    let files = [("data", Some(&run.data)), ("validation", run.validation.as_ref())];
    for (of, path) in files {
        if let Some(path) = path.filter(|path| !lies_beside_page(path)) {
            let error = Error::config(msg::NotBesidePage { path }).field(format!("{field}.{of}"));
            return Err(error.remedy(msg::GivePathBesidePage));
        }
    }
    run.config().map_err(|error| {
        let knob = error.field_name().map(|knob| format!("{field}.settings.{knob}"));
        let field = knob.unwrap_or_else(|| format!("{field}.settings"));
        Error { field: None, ..error }.field(field)
    })?;
    let mut kinds = Vec::new();
    let requests = run.requests().map_err(|error| {
        let of = format!("{field}.{}", error.field_name().unwrap_or_default());
        Error { field: None, ..error }.field(of)
    })?;
    for (place, request) in requests.iter().enumerate() {
        let field = format!("{field}.watch[{place}]");
        let kind = PictureKind::from(request);
        if kinds.contains(&kind) {
            let kind = kind.name();
            return Err(Error::config(msg::WatchedTwice { kind }).field(&field));
        }
        kinds.push(kind);
    }
    Ok(())
}

/// The parts in the order in which a pupil comes to them; what they speak of was trained by then.
fn parts(lesson: &Lesson) -> Result<()> {
    let Lesson {
        predict,
        train,
        compare,
        explain,
        break_it,
        ..
    } = lesson;
    let trained: Vec<&str> = train.runs.iter().map(String::as_str).collect();
    run_names(lesson, "train.runs", &train.runs)?;
    text("train.text", &train.text)?;
    controls("train.controls", &train.controls)?;
    pictures(lesson, "train.pictures", &train.pictures)?;

    self::predict(lesson, predict, &trained)?;

    text("compare.text", &compare.text)?;
    for (place, value) in compare.show.iter().enumerate() {
        was_trained(lesson, &format!("compare.show[{place}]"), value, &trained)?;
    }
    text("explain.text", &explain.text)?;
    pictures(lesson, "explain.pictures", &explain.pictures)?;

    run_names(lesson, "break_it.runs", &break_it.runs)?;
    text("break_it.text", &break_it.text)?;
    controls("break_it.controls", &break_it.controls)?;
    let broken = break_it.runs.iter().map(String::as_str);
    let trained: Vec<&str> = trained.iter().copied().chain(broken).collect();
    for (place, value) in break_it.show.iter().enumerate() {
        was_trained(lesson, &format!("break_it.show[{place}]"), value, &trained)?;
    }
    let unused = lesson.runs.keys().find(|name| !trained.contains(&name.as_str()));
    match unused {
        None => Ok(()),
        Some(name) => Err(Error::config(msg::TrainedNowhere).field(format!("runs.{name}"))),
    }
}

fn predict(lesson: &Lesson, predict: &Predict, trained: &[&str]) -> Result<()> {
    text("predict.text", &predict.text)?;
    match (&predict.number, predict.choices.len()) {
        (Some(number), 0) => return estimate(lesson, number, trained),
        (None, 2..) => {}
        (None, got @ 1) => return Err(Error::config(msg::TooFewChoices { got }).field("predict.choices")),
        _ => return Err(Error::config(msg::ChoicesOrNumber).field("predict")),
    }
    for (place, choice) in predict.choices.iter().enumerate() {
        let field = format!("predict.choices[{place}]");
        text(&format!("{field}.text"), &choice.text)?;
        let field = format!("{field}.when");
        if choice.when.is_empty() {
            return Err(Error::config(msg::NoConditions)
                .field(field)
                .remedy(msg::WriteCondition));
        }
        for value in choice.when.iter().flat_map(|condition| condition.values()) {
            was_trained(lesson, &field, value, trained)?;
        }
    }
    Ok(())
}

fn estimate(lesson: &Lesson, number: &Estimate, trained: &[&str]) -> Result<()> {
    was_trained(lesson, "predict.number.of", &number.of, trained)?;
    let Estimate { from, to, step, .. } = number;
    match from < to && *step > 0.0 {
        true => Ok(()),
        false => Err(Error::config(msg::NoRange).field("predict.number")),
    }
}

fn pictures(lesson: &Lesson, field: &str, pictures: &[PartPicture]) -> Result<()> {
    for (place, picture) in pictures.iter().enumerate() {
        let field = format!("{field}[{place}]");
        let kind = picture.kind.name();
        let Some(name) = &picture.run else {
            match picture.kind {
                PartPictureKind::Loss => continue,
                _ => return Err(Error::config(msg::NeedsRun { kind }).field(field)),
            }
        };
        if picture.kind == PartPictureKind::Loss {
            let error = Error::config(msg::LossIsOfAllRuns).field(format!("{field}.run"));
            return Err(error.remedy(config::TakeLineOut));
        }
        let run = find_run(lesson, &format!("{field}.run"), name)?;
        if !lesson.train.runs.contains(name) {
            return Err(not_trained(name).field(format!("{field}.run")));
        }
        let watched = run.requests()?;
        let mut watched = watched.iter().map(|request| PartPictureKind::Watched(request.into()));
        if matches!(picture.kind, PartPictureKind::Watched(_)) && !watched.any(|kind| kind == picture.kind) {
            let error = Error::config(msg::NoSuchWatch { kind, run: name }).field(field);
            return Err(error.remedy(msg::AddWatch { kind, run: name }));
        }
    }
    Ok(())
}

fn run_names(lesson: &Lesson, field: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Err(Error::config(msg::NamesNoRun).field(field));
    }
    for (place, name) in names.iter().enumerate() {
        find_run(lesson, &format!("{field}[{place}]"), name)?;
        if names[..place].contains(name) {
            return Err(Error::config(msg::StandsTwice).field(format!("{field}[{place}]")));
        }
    }
    Ok(())
}

fn was_trained(lesson: &Lesson, field: &str, value: &RunValue, trained: &[&str]) -> Result<()> {
    find_run(lesson, field, &value.run)?;
    match trained.contains(&value.run.as_str()) {
        true => Ok(()),
        false => Err(not_trained(&value.run).field(field)),
    }
}

fn not_trained(name: &str) -> Error {
    Error::config(msg::NotTrainedYet { name }).remedy(msg::TrainItBefore { name })
}

fn find_run<'a>(lesson: &'a Lesson, field: &str, name: &str) -> Result<&'a LessonRun> {
    lesson.runs.get(name).ok_or_else(|| {
        let error = Error::config(msg::NoSuchRun { name }).field(field);
        error.remedy(one_of(name, lesson.runs.keys().map(String::as_str)))
    })
}

fn controls(field: &str, names: &[String]) -> Result<()> {
    let known = setting_names().chain([BreakIt::DATA]);
    for (place, name) in names.iter().enumerate() {
        if !known.clone().any(|known| known == name) {
            let error = Error::config(msg::NoSuchControl { name }).field(format!("{field}[{place}]"));
            return Err(match nearest(name, known.clone()) {
                Some(name) => error.remedy(common::DidYouMean { name }),
                None => error.remedy(msg::NameKnob),
            });
        }
    }
    Ok(())
}

fn text(field: &str, text: &Text) -> Result<()> {
    for (language, words) in [("en", &text.en), ("zh", &text.zh)] {
        if words.trim().is_empty() {
            return Err(Error::config(msg::IsEmpty).field(format!("{field}.{language}")));
        }
    }
    Ok(())
}

fn name(field: &str, name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !name.is_empty() && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(Error::config(msg::NotAName { name }).field(field)),
    }
}

/// A relative path of plain names, which leads nowhere else.
fn lies_beside_page(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain);
    path.split('/').all(is_name)
}
