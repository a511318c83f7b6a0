//! Numbers as targets.

use super::{bert, config, predictions, reloaded, to_beat};
use lorakeet_core::{
    config::RunConfig,
    protocol::{DeviceChoice, Verdict},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::prices,
    test_session::{TestSession, metric, report, started},
    tiny,
};

#[test]
fn a_regression_is_learnt_in_the_units_of_its_targets_scaled_or_not() {
    let price = RunConfig {
        label_columns: vec!["Price".into()],
        ..config()
    };
    let mut session = bert(prices(260));
    session.train(price.clone());
    assert_eq!(started(&session).task, Task::Regression);
    let report = report(&session);
    let (r2, baseline) = (metric(&session.evals()[3], "r2"), to_beat(&report, "r2"));
    assert!(r2 > 0.8 && r2 > baseline + 0.3, "{r2} over {baseline}");
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
    let (rmse, mse) = (metric(&session.evals()[3], "rmse"), metric(&session.evals()[3], "mse"));
    assert!(
        (rmse * rmse / mse - 1.0).abs() < 1e-9 && rmse < 100.0,
        "in the unit of the targets: {rmse}"
    );
    let first: f64 = predictions(&session).rows[0][1].parse().expect("the target");
    assert!(first >= 500.0, "{first}");

    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), prices(260));
    let score = |session: &mut TestSession| block_on(session.inner.evaluate(&price, &mut |_, _| ())).expect("a score");
    assert_eq!(score(&mut session), score(&mut other));

    // Without scaling a head that starts at 0 is far off.
    let mut unscaled = bert(prices(260));
    unscaled.train(RunConfig {
        scale_targets: false,
        ..price
    });
    assert!(metric(&unscaled.evals()[0], "r2") < -1.0);
    assert!(unscaled.summary().finished);
}
