//! Run files, over the whole table of knobs and over random texts and settings.

use lorakeet_core::Error;
use lorakeet_core::config::{
    FinetuningType, HeadInit, KNOBS, Kind, PageQuery, Resolved, RunConfig, Source, find, named,
};
use lorakeet_i18n::Language::{Chinese, English};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The reference run as it stands.
const REFERENCE: &str = "\
per_device_train_batch_size: 1
gradient_accumulation_steps: 2
learning_rate: 2e-4
lr_scheduler_type: cosine
warmup_ratio: 0.1
num_train_epochs: 3.0
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
quantization_bit: 4
";

fn parse(text: &str) -> Resolved {
    RunConfig::parse(text, "run.yaml").unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn refused(text: &str) -> Error {
    match RunConfig::parse(text, "run.yaml") {
        Ok(resolved) => panic!("accepted: {text}\n{:?}", resolved.config),
        Err(error) => error,
    }
}

#[test]
fn every_alias_works_and_names_are_unique() {
    let mut names = BTreeSet::new();
    for knob in KNOBS {
        assert!(names.insert(knob.name), "{}", knob.name);
        for alias in knob.aliases {
            assert!(names.insert(alias), "{alias}");
            let value = example(knob.name);
            let resolved = parse(&format!("{alias}: {value}"));
            let only_value = matches!(knob.kind, Kind::Choice { words: [_], .. });
            assert!(
                only_value || resolved.config.get(alias) != Some(knob.default()),
                "{alias}"
            );
            assert_eq!(resolved.config.get(alias), resolved.config.get(knob.name));
            assert_eq!(
                resolved.source(knob.name),
                Source::Alias {
                    of: (*alias).into(),
                    line: 1
                }
            );
            let direct = parse(&format!("{}: {value}", knob.name));
            assert_eq!(resolved.config, direct.config, "{alias}");
        }
    }
}

#[test]
fn every_knob_has_a_valid_default_and_words_in_both_languages() {
    RunConfig::default().validate().expect("the defaults are valid");
    let Value::Object(map) = serde_json::to_value(RunConfig::default()).expect("serialises") else {
        panic!("a map");
    };
    let names: Vec<_> = map.keys().map(String::as_str).collect();
    assert_eq!(names, KNOBS.iter().map(|knob| knob.name).collect::<Vec<_>>());
    for knob in KNOBS {
        let name = knob.name;
        assert_eq!(find(name).map(|found| found.name), Some(name));
        assert_eq!(map[name], knob.default(), "{name}");
        if knob.default() != json!("") {
            let mut config = RunConfig::default();
            config
                .set(name, &knob.default())
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config, RunConfig::default(), "{name}");
        }
        assert!(
            knob.what_en.ends_with('.') && knob.what_en.len() <= 110,
            "{name}: {}",
            knob.what_en.len()
        );
        assert!(
            knob.guidance_en.ends_with('.') && knob.guidance_en.len() <= 130,
            "{name}: {}",
            knob.guidance_en.len()
        );
        assert!(
            knob.guidance_zh.ends_with('。') && knob.guidance_zh.chars().count() <= 70,
            "{name}"
        );
        assert!(
            knob.what_zh.ends_with('。') && knob.what_zh.chars().count() <= 70,
            "{name}"
        );
        assert!(
            knob.guidance_zh != knob.guidance_en && !knob.allowed().english().is_empty(),
            "{name}"
        );
    }
    let essential: BTreeSet<_> = KNOBS
        .iter()
        .filter(|knob| knob.essential)
        .map(|knob| knob.name)
        .collect();
    let reference: BTreeSet<_> = REFERENCE.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(essential, reference);
    assert!(KNOBS.is_sorted_by_key(|knob| knob.group), "groups stand together");
}

#[test]
fn a_knob_s_reasons_are_short_and_in_both_languages() {
    let mut of_knobs = 0;
    for knob in KNOBS {
        let (Some(english), Some(chinese)) = (knob.reasons(English), knob.reasons(Chinese)) else {
            continue;
        };
        of_knobs += 1;
        let name = knob.name;
        assert!(
            english.ends_with('.') && english.len() <= 340,
            "{name}: {}",
            english.len()
        );
        assert!(
            chinese.ends_with('。') && chinese.chars().count() <= 180 && !chinese.contains(". "),
            "{name}: {}",
            chinese.chars().count()
        );
        let explained = knob.explain().replace('\n', " ");
        assert!(
            explained.contains(english) && explained.contains(knob.guidance_en),
            "{explained}"
        );
    }
    assert!(of_knobs > 70, "{of_knobs} knobs have reasons");
}

#[test]
fn a_knob_is_named_by_its_aliases_and_a_mistyped_one_is_guessed() {
    assert_eq!(named("lora_rank").map(|knob| knob.name).ok(), Some("lora_r"));
    let error = named("lora_rnk").map(|knob| knob.name).expect_err("no such knob");
    assert!(error.to_string().contains("lora_rank"), "{error}");
}

#[test]
fn settings_written_as_a_file_read_back_the_same() {
    let mut random = Random(1);
    for _ in 0..200 {
        let config = random_config(&mut random);
        let text = config.to_yaml();
        let read = RunConfig::parse(&text, "a.yaml").unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(read.config, config, "{text}");
        // As JSON between page and worker.
        let json = serde_json::to_string(&config).expect("serialises");
        let read = serde_json::from_str::<RunConfig>(&json).unwrap_or_else(|error| panic!("{json}\n{error}"));
        assert_eq!(read, config);
        // As flags or an address.
        let pairs: Vec<_> = config
            .changed()
            .into_iter()
            .map(|(knob, value)| (knob.name, as_text(&value)))
            .collect();
        let mut resolved = Resolved::default();
        resolved
            .overlay(pairs.iter().map(|(name, text)| (*name, text.as_str())), &Source::Url)
            .unwrap_or_else(|error| panic!("{pairs:?}\n{error}"));
        assert_eq!(resolved.config, config, "{pairs:?}");
    }
    assert_eq!(RunConfig::default().to_yaml(), "");
}

#[test]
fn no_text_makes_the_reader_panic_or_hang() {
    let mut random = Random(7);
    let pieces: Vec<char> = ": \n\t-[]{}\"'&*!#|>%@`,?~\\\u{feff}\u{0}\rae1.0_é漢".chars().collect();
    for _ in 0..600 {
        let length = random.below(60);
        let text: String = (0..length).map(|_| pieces[random.below(pieces.len())]).collect();
        let _ = RunConfig::parse(&text, if random.below(4) == 0 { "a.json" } else { "a.yaml" });
        let mut mutated: Vec<char> = REFERENCE.chars().collect();
        for _ in 0..3 {
            let place = random.below(mutated.len());
            mutated[place] = pieces[random.below(pieces.len())];
        }
        let _ = RunConfig::parse(&mutated.into_iter().collect::<String>(), "a.yaml");
    }
    let keys: String = (0..20_000).map(|number| format!("k{number}: 1\n")).collect();
    assert!(refused(&keys).to_string().len() < 4000);
    assert!(refused(&"# a line of data\n".repeat(100_000)).remedy.is_some());
    for deep in ["[", "{a: ", "- ", "{\"a\":["] {
        let _ = RunConfig::parse(&format!("lora_r: {}", deep.repeat(100_000)), "a.yaml");
        let _ = RunConfig::parse(&deep.repeat(100_000), "a.json");
    }
}

/// A value that is not the default, as a run file writes it.
fn example(name: &str) -> String {
    let knob = find(name).expect("known");
    match knob.kind {
        Kind::Integer { min, .. } => (min.max(1) + 4).to_string(),
        Kind::StepsOrNone | Kind::StepsOrRatio(_) => "5".into(),
        Kind::Number { .. } | Kind::StepsOrShare { .. } | Kind::ShareOrCount => "0.25".into(),
        Kind::Choice { words, .. } => words[words.len() - 1].into(),
        Kind::Flag => (knob.default() != json!(true)).to_string(),
        Kind::Text if name == "loss" => "focal(gamma=1)".into(),
        Kind::Text | Kind::PathOrNewest => "some/file.x".into(),
        Kind::Modules | Kind::ModuleNames => "[q_proj, v_proj]".into(),
        Kind::List => "[1, 3]".into(),
        Kind::TokenIds => "{embed_tokens: [5, 6]}".into(),
        Kind::Names if name == "drop_rows" => "[empty_rows, ibans]".into(),
        Kind::Names if name == "mask_personal" => "[email_addresses, ibans]".into(),
        Kind::Names => "[sentence1, \"a, b\"]".into(),
        Kind::Patterns { .. } => "{q_proj: 4}".into(),
    }
}

/// A value as a flag or an address gives it.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    fn text(&mut self) -> String {
        let letters: Vec<char> = "ab/._-:#'\" \\\n\t&*!%@[]{},é漢\u{7f}\u{85}\u{2028}\u{feff}😀0"
            .chars()
            .collect();
        (0..1 + self.below(8))
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }
}

fn random_config(random: &mut Random) -> RunConfig {
    let mut config = RunConfig::default();
    for knob in KNOBS {
        if random.below(2) == 0 {
            continue;
        }
        let value = match knob.kind {
            Kind::Integer { min, max } => {
                let width = (max - min).min(1 << random.below(60)) as usize;
                json!(min + random.below(width + 1) as i64)
            }
            Kind::StepsOrNone => json!([-1, 1 + random.below(1_000_000_000) as i64][random.below(2)]),
            Kind::StepsOrRatio(_) => json!(random.below(1_000_000_000)),
            // Four digits: serde_json reads longer ones to within one unit in the last place only.
            Kind::Number { .. } | Kind::StepsOrShare { .. } | Kind::ShareOrCount => {
                let text = format!("{:.3e}", 10f64.powf(-12.0 * random.unit()) * 0.99);
                json!(text.parse::<f64>().expect("a number"))
            }
            Kind::Choice { words, .. } => json!(words[random.below(words.len())]),
            Kind::Flag => json!(random.below(2) == 0),
            Kind::Text if knob.name == "loss" => {
                json!(["cross_entropy", "0.7*focal(gamma=2) + 0.3*mse"][random.below(2)])
            }
            Kind::Text | Kind::PathOrNewest => match random.below(4) {
                0 => json!(["no", "null", "12", "1e5", "true", "~", "0.5", "- a"][random.below(8)]),
                _ => json!(random.text()),
            },
            Kind::Modules => match random.below(2) {
                0 => json!(r".*layers\.\d+\.(q|v)_proj"),
                _ => json!(["q_proj", "model.layers.0.mlp.up_proj"]),
            },
            Kind::ModuleNames => json!(["q_proj", "model.layers.0.mlp.up_proj"]),
            Kind::List => json!([random.below(9), random.below(9)]),
            Kind::TokenIds => match random.below(2) {
                0 => json!([random.below(9), 50_000]),
                _ => json!({"wte": [random.below(9)], "lm_head": [1, 2]}),
            },
            Kind::Names if knob.name == "drop_rows" => json!(["near_leakage", "empty_rows"]),
            Kind::Names if knob.name == "mask_personal" => json!(["ibans", "phone_numbers"]),
            Kind::Names => json!(["sentence1", "a, b: #", "no"]),
            Kind::Patterns { .. } => json!({"q_proj": 1 + random.below(9), r"layers\.1\..*: #": 2, "no": 3}),
        };
        config
            .set(knob.name, &value)
            .unwrap_or_else(|error| panic!("{value}: {error}"));
    }
    if config.lr_end >= config.learning_rate {
        config.lr_end = 0.0;
    }
    if config.finetuning_type == FinetuningType::Full {
        config.quantization_bit = None;
        config.fp8 = None;
    }
    if config.quantization_bit.is_some() {
        config.fp8 = None;
    }
    if config.head_init == HeadInit::Probe {
        config.classifier_hidden_size = 0;
    }
    // A loss, a kind of labels or a metric that does not fit the task is refused.
    if config.validate().is_err() {
        let default = RunConfig::default();
        (config.loss, config.task, config.problem_type) = (None, default.task, default.problem_type);
        config.metric_for_best_model = default.metric_for_best_model;
    }
    config.validate().expect("valid");
    config
}

#[test]
fn a_link_gives_back_the_settings_that_it_was_made_of() {
    let start = RunConfig {
        lora_r: 4,
        per_device_train_batch_size: 4,
        ..RunConfig::default()
    };
    for knob in KNOBS {
        let config = parse(&format!("{}: {}", knob.name, example(knob.name))).config;
        let mut query = PageQuery::default();
        query.set("prompt", Some("Once upon & a time 🦜"));
        query.put_settings(&config, &start);
        let text = query.to_text().unwrap_or_else(|error| panic!("{}: {error}", knob.name));
        assert!(
            PageQuery::is_one(&text) && text.is_ascii() && !text.contains(' '),
            "{text}"
        );
        let read = PageQuery::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, query, "{text}");
        assert_eq!(read.settings(&start), (config, Vec::new()), "{text}");
    }
}

#[test]
fn a_link_keeps_what_it_does_not_know_and_names_what_is_wrong() {
    let start = RunConfig::default();
    let mut query = PageQuery::parse("lab=1&lora_r=-2&of_tomorrow=7&learning_rate=0.5&lr=x").expect("a link");
    let (config, errors) = query.settings(&start);
    assert_eq!((config.lora_r, config.learning_rate), (start.lora_r, 0.5));
    let named: Vec<_> = errors.iter().filter_map(Error::field_name).collect();
    assert_eq!(named, ["lora_r", "learning_rate"]);
    query.put_settings(&config, &start);
    let text = query.to_text().expect("it is short");
    assert!(
        text.contains("of_tomorrow=7") && text.contains("learning_rate=0.5"),
        "{text}"
    );
    assert!(!text.contains("lora_r") && !text.contains("lr="), "{text}");
    // Settings that do not go together are those of the start.
    let together = PageQuery::parse("lab=1&finetuning_type=full&quantization_bit=4").expect("a link");
    let (config, errors) = together.settings(&start);
    assert_eq!((config, errors.len()), (start, 1));

    for (text, what) in [
        ("", "version"),
        ("lora_r=4", "version"),
        ("lab=2&lora_r=4", "version '2'"),
        ("lab=1&a=1&a=2", "twice"),
        (&format!("lab=1&a={}", "x".repeat(2048)), "2048"),
    ] {
        let error = PageQuery::parse(text).expect_err(text);
        assert!(error.what.english().contains(what), "{text}: {error}");
    }
    let mut long = PageQuery::default();
    long.set("prompt", Some(&"页".repeat(300)));
    assert!(long.to_text().is_err() && !PageQuery::is_one("laboratory=1") && !PageQuery::is_one("train"));
}
