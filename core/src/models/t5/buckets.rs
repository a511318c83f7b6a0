//! The buckets of relative positions, one number of the bias for each.

/// The bucket of a key's distance from its query: one each for the near half, then logarithmically wider up to
/// `max_distance`, one for all beyond. The decoder sees one side only and gives it all buckets. `_relative_position_bucket` of
/// modeling_t5.py, in f32 as there.
pub(super) fn bucket(distance: i64, buckets: usize, max_distance: usize, both_sides: bool) -> usize {
    let (buckets, first, distance) = if both_sides {
        let half = buckets / 2;
        let first = if distance > 0 { half } else { 0 };
        (half, first, distance.unsigned_abs() as usize)
    } else {
        (buckets, 0, usize::try_from(-distance).unwrap_or(0))
    };
    let exact = buckets / 2;
    if distance < exact {
        return first + distance;
    }
    let share = (distance as f32 / exact as f32).ln() / (max_distance as f32 / exact as f32).ln();
    first + (exact + (share * (buckets - exact) as f32) as usize).min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn near_distances_have_buckets_of_their_own_and_far_ones_share() {
        let one_side: Vec<usize> = (0..20).map(|d| bucket(-d, 8, 16, false)).collect();
        assert_eq!(one_side, [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(bucket(5, 8, 16, false), 0);
        let both: Vec<usize> = (-3..=3).map(|d| bucket(d, 8, 16, true)).collect();
        assert_eq!(both, [2, 2, 1, 0, 5, 6, 6]);
        // What two sides cannot share evenly stays unused.
        let uneven: Vec<usize> = (-6..=3).map(|d| bucket(d, 11, 16, true)).collect();
        assert_eq!(uneven, [3, 3, 3, 2, 2, 1, 0, 6, 7, 7]);
    }
}
