//! How the rows of a matrix are cut into ranges: no range has more numbers than asked for, and no range ends inside a block.

use std::ops::Range;

/// The shape of a matrix whose rows are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartRows {
    rows: usize,
    columns: usize,
}

impl PartRows {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns }
    }

    /// Row ranges of at most `numbers` numbers, borders at multiples of `step` rows; a range has at least `step` rows.
    pub(crate) fn ranges(self, numbers: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
        let rows = self.rows;
        let height = (numbers / self.columns.max(1) / step).max(1) * step;
        (0..rows).step_by(height).map(move |top| top..(top + height).min(rows))
    }

    /// The fewest rows that hold a multiple of `numbers` numbers.
    pub(crate) fn rows_of_multiple(self, numbers: usize) -> usize {
        let (mut a, mut b) = (numbers, self.columns.max(1));
        while b != 0 {
            (a, b) = (b, a % b);
        }
        numbers / a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_rows_and_end_at_multiples_of_a_step() {
        let cut = PartRows::new(10, 6);
        assert_eq!(cut.ranges(18, 1).collect::<Vec<_>>(), [0..3, 3..6, 6..9, 9..10]);
        assert_eq!(cut.ranges(30, 4).collect::<Vec<_>>(), [0..4, 4..8, 8..10]);
        // A step is never cut, however few numbers are asked for.
        assert_eq!(cut.ranges(1, 5).collect::<Vec<_>>(), [0..5, 5..10]);
        assert_eq!(PartRows::new(0, 6).ranges(18, 1).count(), 0);
    }

    #[test]
    fn rows_of_a_multiple_hold_whole_blocks_and_are_the_fewest() {
        for (columns, rows) in [(64, 1), (96, 2), (1001, 64), (6, 32), (0, 64)] {
            assert_eq!(PartRows::new(1, columns).rows_of_multiple(64), rows, "{columns}");
        }
    }
}
