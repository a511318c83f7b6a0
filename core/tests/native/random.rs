//! Chance that is the same everywhere.

use lorakeet_core::random::Generator;

#[test]
fn the_numbers_of_a_seed_never_change() {
    let mut generator = Generator::new(42, "init");
    let drawn: Vec<u64> = (0..3).map(|_| generator.next_u64()).collect();
    // Computed by a second implementation, in Python.
    assert_eq!(
        drawn,
        [
            5_024_327_055_945_306_897,
            15_628_891_757_920_246_205,
            9_008_323_399_384_337_098
        ]
    );
    let bits: Vec<u64> = (0..3).map(|_| generator.normal().to_bits()).collect();
    assert_eq!(
        bits,
        [
            4_604_450_765_743_662_272,
            13_820_960_437_380_205_344,
            4_609_162_048_577_512_808
        ]
    );
}

#[test]
fn streams_and_seeds_are_independent() {
    let streams = ["init", "order", "split", "dropout", "sample"];
    let mut first = std::collections::HashSet::new();
    for seed in 0..200 {
        for stream in streams {
            assert!(first.insert(Generator::new(seed, stream).next_u64()));
        }
    }
}

#[test]
fn uniform_numbers_fill_the_unit_interval_evenly() {
    let mut generator = Generator::new(3, "sample");
    let mut bins = [0; 10];
    for _ in 0..100_000 {
        let x = generator.uniform();
        assert!((0.0..1.0).contains(&x));
        bins[(x * 10.0) as usize] += 1;
    }
    // Five standard deviations of a bin: 5·√(100000·0.1·0.9) = 474.
    assert!(bins.iter().all(|&count: &i32| (count - 10_000).abs() < 474), "{bins:?}");
}

#[test]
fn normal_numbers_have_the_moments_of_the_normal_distribution() {
    let mut generator = Generator::new(5, "init");
    let n = 200_000;
    let drawn: Vec<f64> = (0..n).map(|_| generator.normal()).collect();
    let moment = |power: i32| drawn.iter().map(|x| x.powi(power)).sum::<f64>() / f64::from(n);
    // Standard errors: √(1/n), √(2/n), √(15/n), √(96/n); five of each.
    assert!(moment(1).abs() < 0.0112, "{}", moment(1));
    assert!((moment(2) - 1.0).abs() < 0.0159, "{}", moment(2));
    assert!(moment(3).abs() < 0.0434, "{}", moment(3));
    assert!((moment(4) - 3.0).abs() < 0.11, "{}", moment(4));
}

#[test]
fn below_gives_every_number_equally_often_and_none_above() {
    let mut generator = Generator::new(9, "order");
    let mut bins = [0_i32; 7];
    for _ in 0..70_000 {
        bins[generator.below(7)] += 1;
    }
    assert!(bins.iter().all(|count| (count - 10_000).abs() < 470), "{bins:?}");
    assert_eq!((generator.below(0), generator.below(1)), (0, 0));
}

#[test]
fn shuffles_are_permutations_and_reach_every_order() {
    let mut generator = Generator::new(11, "order");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        let mut items = [0, 1, 2, 3];
        generator.shuffle(&mut items);
        let mut sorted = items;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3]);
        seen.insert(items);
    }
    assert_eq!(seen.len(), 24);
}
