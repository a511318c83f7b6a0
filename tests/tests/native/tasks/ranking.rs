//! Documents in their order for a query, both read by the model at once.

use super::{config, predictions, reloaded, to_beat};
use lorakeet_core::{
    config::RunConfig,
    protocol::{DeviceChoice, Verdict},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::graded,
    test_session::{TestSession, metric, report, started},
    tiny,
};

#[test]
fn a_cross_encoder_ranks_by_points_by_pairs_and_by_lists() {
    for (loss, device) in [
        ("bce", DeviceChoice::Cpu),
        ("ranknet", DeviceChoice::Cpu),
        ("margin", DeviceChoice::Cpu),
        ("listnet", DeviceChoice::Cpu),
    ] {
        let mut session = TestSession::with(device, tiny::bert_files(), graded(160));
        let ranking = || RunConfig {
            loss: Some(loss.into()),
            val_size: 40.0,
            max_steps: 300,
            eval_steps: 100.0,
            // At the whole rate the losses by points and by pairs come and go with the seed.
            learning_rate: 0.3 * config().learning_rate,
            ..config()
        };
        session.train(ranking());
        assert!(session.summary().finished);
        assert_eq!(started(&session).task, Task::Ranking);
        let report = report(&session);
        let evals = session.evals();
        let (ndcg, words) = (metric(&evals[3], "ndcg_at_10"), to_beat(&report, "ndcg_at_10"));
        assert_eq!(report.against, "BM25");
        assert!(ndcg > 0.95 && ndcg > words + 0.1, "{loss}: {ndcg} over {words}");
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
        let table = predictions(&session);
        assert_eq!((table.rows.len(), table.columns[1].as_str()), (40, "ndcg_at_10"));
        let mut other = reloaded(&mut session, device, tiny::bert_files(), graded(160));
        let score =
            |session: &mut TestSession| block_on(session.inner.evaluate(&ranking(), &mut |_, _| ())).expect("a score");
        assert_eq!(score(&mut session), score(&mut other));
    }
}
