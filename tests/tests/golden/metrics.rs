//! Metrics against scikit-learn, scipy and the written rules (golden group E), and what holds of them for any numbers.

use lorakeet_core::{
    Error, Result,
    metrics::{
        classification::{Average, Confusion},
        confidence::{Calibration, average_precision, roc_auc},
        multi_label::Labelled,
        preference::preference,
        ranking::{Gain, Query, Ties, over_queries},
        regression,
        text::{chrf, perplexity, rouge_l},
    },
    random::Generator,
};
use lorakeet_tests::golden::{Case, number};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    let items = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    items.iter().map(number).collect()
}

fn classes(value: &Value) -> Vec<usize> {
    numbers(value).iter().map(|class| *class as usize).collect()
}

fn flags(value: &Value) -> Vec<bool> {
    numbers(value).iter().map(|flag| *flag > 0.0).collect()
}

fn query(value: &Value) -> Query {
    Query::new(&numbers(&value["scores"]), &numbers(&value["relevance"])).expect("a query")
}

/// The metric called `name` of these inputs.
fn value(name: &str, inputs: &Value, params: &Value) -> Result<f64> {
    let confusion = || {
        let (truth, predicted) = (classes(&inputs["y_true"]), classes(&inputs["y_pred"]));
        let most = truth.iter().chain(&predicted).max().map_or(0, |class| class + 1);
        Confusion::new(&truth, &predicted, most)
    };
    let labelled = || {
        let rows = |value: &Value| {
            value
                .as_array()
                .expect("rows")
                .iter()
                .flat_map(flags)
                .collect::<Vec<bool>>()
        };
        let labels = inputs["y_true"][0].as_array().map_or(0, Vec::len);
        Labelled::new(rows(&inputs["y_true"]), rows(&inputs["y_pred"]), labels)
    };
    let pair =
        |metric: fn(&[f64], &[f64]) -> Result<f64>| metric(&numbers(&inputs["y_true"]), &numbers(&inputs["y_pred"]));
    let queries = || -> Vec<Query> {
        inputs["queries"]
            .as_array()
            .expect("queries")
            .iter()
            .map(query)
            .collect()
    };
    let ndcg = |gain, ties| query(inputs).ndcg(params["k"].as_u64().expect("k") as usize, gain, ties);
    Ok(match name {
        "accuracy" => confusion()?.accuracy(),
        "balanced_accuracy" => confusion()?.balanced_accuracy(),
        "mcc" => confusion()?.mcc(),
        "f1_binary" => {
            confusion()?
                .of(params["positive"].as_u64().expect("a class") as usize)
                .f1
        }
        "f1_macro" => confusion()?.f1(Average::Macro),
        "f1_micro" => confusion()?.f1(Average::Micro),
        "f1_weighted" => confusion()?.f1(Average::Weighted),
        "precision_macro" => confusion()?.precision(Average::Macro),
        "precision_micro" => confusion()?.precision(Average::Micro),
        "precision_weighted" => confusion()?.precision(Average::Weighted),
        "recall_macro" => confusion()?.recall(Average::Macro),
        "recall_micro" => confusion()?.recall(Average::Micro),
        "recall_weighted" => confusion()?.recall(Average::Weighted),
        "multilabel_f1_macro" => labelled()?.f1_macro(),
        "multilabel_f1_micro" => labelled()?.f1_micro(),
        "multilabel_f1_samples" => labelled()?.f1_of_rows(),
        "multilabel_exact_match" => labelled()?.exact_match(),
        "roc_auc" => roc_auc(&flags(&inputs["y_true"]), &numbers(&inputs["scores"]))?,
        "average_precision_threshold" => average_precision(&flags(&inputs["relevance"]), &numbers(&inputs["scores"]))?,
        "mse" => pair(regression::mse)?,
        "rmse" => pair(regression::rmse)?,
        "mae" => pair(regression::mae)?,
        "r2" => pair(regression::r2)?,
        "pearson" => pair(regression::pearson)?,
        "spearman" => pair(regression::spearman)?,
        "kendall_tau_b" => pair(regression::kendall_tau_b)?,
        "mrr" => over_queries(&queries(), Query::reciprocal_rank),
        "map" => over_queries(&queries(), Query::average_precision),
        "ndcg" => ndcg(Gain::Linear, Ties::ByPlace),
        "ndcg_exp" => ndcg(Gain::Exponential, Ties::ByPlace),
        "ndcg_ties_averaged" => ndcg(Gain::Linear, Ties::Averaged),
        "perplexity" => perplexity(&numbers(&inputs["mean_nll"]), &numbers(&inputs["tokens"]))?,
        other => panic!("no metric {other}"),
    })
}

#[test]
fn metrics_match_the_reference() {
    let case = Case::open("E");
    let text = std::fs::read(case.path.join("cases.json")).expect("cases.json");
    let cases: Vec<Value> = serde_json::from_slice(&text).expect("cases.json");
    assert_eq!(cases.len() as u64, case.json["count"].as_u64().expect("a count"));
    let (absolute, relative) = (f64::from(case.tolerance("abs")), f64::from(case.tolerance("rel")));
    assert!(!cases.is_empty(), "the folder has metrics");
    for case in &cases {
        let (name, metric) = (&case["name"], case["metric"].as_str().expect("a metric"));
        let found = value(metric, &case["inputs"], &case["params"]);
        let wanted = match &case["expected"] {
            Value::Object(_) => {
                assert!(found.is_err(), "{name}: {found:?}, where the reference refuses");
                continue;
            }
            value => number(value),
        };
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        let same = found == wanted || (found.is_nan() && wanted.is_nan());
        let close = (found - wanted).abs() <= absolute + relative * wanted.abs();
        assert!(same || close, "{name}: {found} instead of {wanted}");
    }
}

/// A random order of 0 to n.
fn order(n: usize, generator: &mut Generator) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    generator.shuffle(&mut order);
    order
}

fn picked<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|place| values[*place]).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 || (a.is_nan() && b.is_nan())
}

#[test]
fn metrics_of_classes_stay_in_range_and_do_not_ask_for_the_order_of_rows() {
    let mut generator = Generator::new(1, "metrics");
    for _ in 0..500 {
        let (rows, classes) = (1 + generator.below(30), 1 + generator.below(5));
        let mut draw = || -> Vec<usize> { (0..rows).map(|_| generator.below(classes)).collect() };
        let (truth, predicted) = (draw(), draw());
        let order = order(rows, &mut generator);
        let all = |truth: &[usize], predicted: &[usize]| -> Vec<f64> {
            let confusion = Confusion::new(truth, predicted, classes).expect("classes");
            let averages = [Average::Macro, Average::Micro, Average::Weighted];
            let averaged = averages.map(|average| {
                [
                    confusion.precision(average),
                    confusion.recall(average),
                    confusion.f1(average),
                ]
            });
            let plain = [confusion.accuracy(), confusion.balanced_accuracy(), confusion.mcc()];
            averaged.into_iter().flatten().chain(plain).collect()
        };
        let found = all(&truth, &predicted);
        let mcc = found[found.len() - 1];
        assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&mcc), "{mcc}");
        assert!(
            found[..found.len() - 1]
                .iter()
                .all(|value| (0.0..=1.0 + 1e-9).contains(value)),
            "{found:?}"
        );
        let shuffled = all(&picked(&truth, &order), &picked(&predicted, &order));
        assert!(
            found.iter().zip(&shuffled).all(|(a, b)| close(*a, *b)),
            "{found:?} {shuffled:?}"
        );
        let support: u64 = Confusion::new(&truth, &predicted, classes)
            .expect("classes")
            .table()
            .iter()
            .map(|class| class.support)
            .sum();
        assert_eq!(support, rows as u64);
    }
}

#[test]
fn as_many_classes_as_rows_take_no_more_room_than_rows() {
    let classes: Vec<usize> = (0..100_000).collect();
    let confusion = Confusion::new(&classes, &classes, classes.len()).expect("classes");
    assert_eq!((confusion.f1(Average::Macro), confusion.mcc()), (1.0, 1.0));
}

#[test]
fn metrics_of_numbers_stay_in_range_and_do_not_ask_for_the_order_of_rows() {
    let mut generator = Generator::new(2, "metrics");
    for _ in 0..500 {
        let rows = 2 + generator.below(30);
        // Few different numbers make ties, few rows make constants.
        let mut draw = || -> Vec<f64> { (0..rows).map(|_| generator.below(6) as f64 - 2.0).collect() };
        let (truth, predicted) = (draw(), draw());
        let order = order(rows, &mut generator);
        let all = |truth: &[f64], predicted: &[f64]| -> Vec<f64> {
            let correlations = [regression::pearson, regression::spearman, regression::kendall_tau_b];
            let errors = [regression::mse, regression::rmse, regression::mae, regression::r2];
            let metrics = correlations.into_iter().chain(errors);
            metrics.map(|metric| metric(truth, predicted).expect("rows")).collect()
        };
        let found = all(&truth, &predicted);
        assert!(
            found[..3]
                .iter()
                .all(|value| value.is_nan() || (-1.0 - 1e-9..=1.0 + 1e-9).contains(value)),
            "{found:?}"
        );
        assert!(found[3..6].iter().all(|value| *value >= 0.0), "{found:?}");
        assert!(found[6] <= 1.0, "{found:?}");
        assert!(found[5] <= found[4] + 1e-9, "mae is at most rmse: {found:?}");
        let shuffled = all(&picked(&truth, &order), &picked(&predicted, &order));
        assert!(
            found.iter().zip(&shuffled).all(|(a, b)| close(*a, *b)),
            "{found:?} {shuffled:?}"
        );
        let swapped = all(&predicted, &truth);
        assert!(
            found[..6].iter().zip(&swapped).all(|(a, b)| close(*a, *b)),
            "{found:?} {swapped:?}"
        );
    }
}

#[test]
fn metrics_of_scores_stay_in_range_and_do_not_ask_for_the_order_of_rows() {
    let mut generator = Generator::new(3, "metrics");
    for _ in 0..500 {
        let rows = 1 + generator.below(20);
        let scores: Vec<f64> = (0..rows).map(|_| generator.below(8) as f64 / 7.0).collect();
        let truth: Vec<bool> = (0..rows).map(|_| generator.below(3) == 0).collect();
        let grades: Vec<f64> = (0..rows).map(|_| generator.below(4) as f64).collect();
        let order = order(rows, &mut generator);
        // Without ties the order of items does not matter to ranks, either.
        let distinct: Vec<f64> = (0..rows).map(|row| scores[row] + row as f64 * 1e-6).collect();
        let all = |truth: &[bool], scores: &[f64], distinct: &[f64], grades: &[f64]| -> Vec<f64> {
            let calibration = Calibration::new(truth, scores, 10).expect("probabilities");
            let (query, tied) = (
                Query::new(distinct, grades).expect("grades"),
                Query::new(scores, grades).expect("grades"),
            );
            vec![
                roc_auc(truth, scores).expect("scores"),
                average_precision(truth, scores).expect("scores"),
                calibration.ece(),
                calibration.largest_gap(),
                query.reciprocal_rank(),
                query.average_precision(),
                query.recall(3),
                query.ndcg(4, Gain::Linear, Ties::ByPlace),
                query.ndcg(4, Gain::Exponential, Ties::ByPlace),
                tied.ndcg(4, Gain::Linear, Ties::Averaged),
            ]
        };
        let found = all(&truth, &scores, &distinct, &grades);
        assert!(
            found
                .iter()
                .all(|value| value.is_nan() || (0.0..=1.0 + 1e-9).contains(value)),
            "{found:?}"
        );
        let shuffled = all(
            &picked(&truth, &order),
            &picked(&scores, &order),
            &picked(&distinct, &order),
            &picked(&grades, &order),
        );
        assert!(
            found.iter().zip(&shuffled).all(|(a, b)| close(*a, *b)),
            "{found:?} {shuffled:?}"
        );
        let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
        let area = roc_auc(&truth, &turned).expect("scores");
        assert!(close(area, 1.0 - found[0]), "turned scores have the rest of the area");
    }
}

#[test]
fn metrics_of_texts_stay_in_range_and_a_text_is_like_itself() {
    let mut generator = Generator::new(4, "metrics");
    for _ in 0..300 {
        let mut draw = || -> String {
            (0..1 + generator.below(20))
                .map(|_| ['a', 'b', ' ', '模', 'é'][generator.below(5)])
                .collect()
        };
        let (reference, candidate) = (draw(), draw());
        let overlap = rouge_l(&reference, &candidate);
        let score = chrf(&[&reference], &[&candidate]).expect("texts");
        for value in [overlap.precision, overlap.recall, overlap.f1, score] {
            assert!((0.0..=1.0).contains(&value), "{reference:?} {candidate:?}: {value}");
        }
        let back = rouge_l(&candidate, &reference);
        assert_eq!((overlap.precision, overlap.f1), (back.recall, back.f1));
        if !reference.trim().is_empty() {
            assert_eq!(
                (rouge_l(&reference, &reference).f1, chrf(&[&reference], &[&reference])),
                (1.0, Ok(1.0))
            );
        }
    }
}

#[test]
fn a_preference_that_is_turned_round_is_the_rest() {
    let mut generator = Generator::new(5, "metrics");
    let mut draw = || -> Vec<f64> { (0..40).map(|_| generator.normal()).collect() };
    let (chosen, rejected) = (draw(), draw());
    let (there, back) = (preference(&chosen, &rejected), preference(&rejected, &chosen));
    let (there, back) = (there.expect("pairs"), back.expect("pairs"));
    assert!(close(there.accuracy, 1.0 - back.accuracy) && close(there.margin, -back.margin));
}

#[test]
fn input_that_cannot_be_scored_is_refused_in_words() {
    let says = |error: Option<Error>, words: &str| {
        let error = error.expect(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    says(Confusion::new(&[], &[], 2).err(), "there are no rows to score");
    says(Confusion::new(&[0, 1], &[0], 2).err(), "1 answers for 2 rows");
    says(
        Confusion::new(&[0, 2], &[0, 0], 2).err(),
        "row 2: class 2, and there are 2",
    );
    says(
        Labelled::new(vec![true; 3], vec![true; 3], 2).err(),
        "3 flags are not rows of 2 labels",
    );
    says(roc_auc(&[true], &[f64::NAN]).err(), "row 1: the score is no number");
    says(Calibration::new(&[true], &[1.5], 10).err(), "from 0 to 1, got 1.5");
    says(Calibration::new(&[true], &[0.5], 0).err(), "at least one bin");
    says(
        Query::new(&[1.0], &[-1.0]).err(),
        "a grade must be a finite number from 0, got -1",
    );
    says(perplexity(&[1.0], &[]).err(), "1 losses for 0 batches");
}
