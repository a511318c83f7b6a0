//! How work is cut into workgroups and how a source is put together; shared by every kernel.
//!
//! Three ways of cutting cover all kernels but the matrix product and the optimiser with 8-bit moments: by element (64 invocations, four elements each), by row
//! (on a software adapter one invocation a row, on a GPU one workgroup a row), by column (one invocation each). The snippets
//! `elements.wgsl`, `rows_software.wgsl`, `rows_gpu.wgsl` and `columns.wgsl` hold the other half of what is said here.

use std::ops::Range;

/// WebGPU's floor for `maxComputeWorkgroupsPerDimension`.
const MOST_GROUPS: usize = 65_535;
/// Elements that one workgroup of an element-wise kernel computes; `elements.wgsl`.
pub(crate) const ELEMENTS_A_GROUP: usize = 256;
/// Rows that one workgroup computes on a software adapter; `rows_software.wgsl`.
pub(crate) const ROWS_A_GROUP: usize = 8;
/// Columns that one workgroup computes; `columns.wgsl`.
pub(crate) const COLUMNS_A_GROUP: usize = 64;

/// A kernel whose workgroups write outputs of their own, so that they can be launched some at a time, to the same bits. Where one
/// launch would take too long, it is several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Workgroups.
    pub groups: usize,
    /// Which word of `info` is the number of a launch's first workgroup; 0 as the kernel states it.
    pub word: usize,
    /// About how long all take, in operations, were each of them as heavy as the heaviest.
    pub operations: u64,
}

impl Cut {
    /// Stretches of workgroups, in their order, each a launch of about `most` operations at most (if one workgroup is no more),
    /// and of as many as one side of a grid may have.
    pub fn stretches(self, most: u64) -> impl Iterator<Item = Range<usize>> {
        let fitting = u128::from(most) * self.groups as u128 / u128::from(self.operations.max(1));
        let fitting = fitting.clamp(1, MOST_GROUPS as u128) as usize;
        let count = self.groups.div_ceil(fitting).max(1);
        let step = self.groups.div_ceil(count).max(1);
        let groups = self.groups;
        (0..groups)
            .step_by(step)
            .map(move |start| start..(start + step).min(groups))
    }

    /// Of the `operations` of the whole, those of a stretch.
    pub fn share(self, operations: u64, stretch: &Range<usize>) -> u64 {
        let share = u128::from(operations) * stretch.len() as u128 / self.groups.max(1) as u128;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// A grid of at least `groups` workgroups whose sides stay within WebGPU's floor; a source numbers its workgroup
/// `y · groups.x + x` and leaves when that is past the end.
pub(crate) fn grid(groups: usize) -> [u32; 3] {
    let rows = groups.div_ceil(MOST_GROUPS).max(1);
    let columns = groups.div_ceil(rows).max(1);
    [columns as u32, rows as u32, 1]
}

/// Fills `words` up with zeros to whole vectors of four.
pub(crate) fn info_words(words: &[u32]) -> Vec<u32> {
    let mut padded = words.to_vec();
    padded.resize(words.len().div_ceil(4) * 4, 0);
    padded
}

/// The four launch methods of a kernel that works element by element; `$shared` names sources that it has in common with others.
macro_rules! by_element {
    ($name:literal, $len:expr $(, $shared:literal)*) => {
        fn key(&self, _tier: $crate::Tier) -> String {
            $name.to_owned()
        }
        fn wgsl(&self, _tier: $crate::Tier) -> String {
            concat!(
                include_str!("elements.wgsl"),
                $(include_str!(concat!($shared, ".wgsl")),)*
                include_str!(concat!($name, ".wgsl"))
            )
            .to_owned()
        }
        $crate::launch::by_element_count!($len);
    };
}

/// The part of [`by_element`] that says how many workgroups there are, for a kernel that puts its source together itself.
macro_rules! by_element_count {
    ($len:expr) => {
        fn workgroup_size(&self, _tier: $crate::Tier) -> [u32; 3] {
            [64, 1, 1]
        }
        fn workgroups(&self, _tier: $crate::Tier) -> [u32; 3] {
            let count: fn(&Self) -> usize = $len;
            $crate::launch::grid(count(self).div_ceil($crate::launch::ELEMENTS_A_GROUP))
        }
    };
}

/// The four launch methods of a kernel that works row by row; `$shared` as in [`by_element`].
macro_rules! by_row {
    ($name:literal, $rows:expr $(, $shared:literal)*) => {
        fn key(&self, tier: $crate::Tier) -> String {
            match tier {
                $crate::Tier::Software => concat!($name, "_software").to_owned(),
                $crate::Tier::Gpu { .. } => concat!($name, "_gpu").to_owned(),
            }
        }
        fn wgsl(&self, tier: $crate::Tier) -> String {
            match tier {
                $crate::Tier::Software => concat!(
                    include_str!("rows_software.wgsl"),
                    $(include_str!(concat!($shared, ".wgsl")),)*
                    include_str!(concat!($name, ".wgsl"))
                )
                .to_owned(),
                $crate::Tier::Gpu { .. } => concat!(
                    include_str!("rows_gpu.wgsl"),
                    $(include_str!(concat!($shared, ".wgsl")),)*
                    include_str!(concat!($name, ".wgsl"))
                )
                .to_owned(),
            }
        }
        $crate::launch::by_row_count!($rows);
    };
}

/// The part of [`by_row`] that says how many workgroups there are.
macro_rules! by_row_count {
    ($rows:expr) => {
        fn workgroup_size(&self, tier: $crate::Tier) -> [u32; 3] {
            match tier {
                $crate::Tier::Software => [$crate::launch::ROWS_A_GROUP as u32, 1, 1],
                $crate::Tier::Gpu { .. } => [256, 1, 1],
            }
        }
        fn workgroups(&self, tier: $crate::Tier) -> [u32; 3] {
            let count: fn(&Self) -> usize = $rows;
            match tier {
                $crate::Tier::Software => $crate::launch::grid(count(self).div_ceil($crate::launch::ROWS_A_GROUP)),
                $crate::Tier::Gpu { .. } => $crate::launch::grid(count(self)),
            }
        }
    };
}

/// [`by_row`] for a kernel whose last input, the addend, is there where its field `adds` says so. Its source has `$ADDEND` where
/// the binding stands, `$ADD` where it is added, `$OUT` and `$INFO` for the numbers of the bindings behind it.
macro_rules! by_row_adding {
    ($name:literal, $rows:expr, $inputs:literal) => {
        fn key(&self, tier: $crate::Tier) -> String {
            let tier = match tier {
                $crate::Tier::Software => "software",
                $crate::Tier::Gpu { .. } => "gpu",
            };
            format!("{}_{tier}{}", $name, if self.adds { "_adding" } else { "" })
        }
        fn wgsl(&self, tier: $crate::Tier) -> String {
            let rows = match tier {
                $crate::Tier::Software => include_str!("rows_software.wgsl"),
                $crate::Tier::Gpu { .. } => include_str!("rows_gpu.wgsl"),
            };
            let (addend, add) = match self.adds {
                true => (
                    format!(
                        "@group(0) @binding({}) var<storage, read_write> addend: array<f32>;",
                        $inputs
                    ),
                    " + addend[start + j]",
                ),
                false => (String::new(), ""),
            };
            let out = $inputs + u32::from(self.adds);
            let own = include_str!(concat!($name, ".wgsl"))
                .replace("$ADDEND", &addend)
                .replace("$ADD", add)
                .replace("$OUT", &out.to_string())
                .replace("$INFO", &(out + 1).to_string());
            rows.to_owned() + &own
        }
        $crate::launch::by_row_count!($rows);
    };
}

/// The four launch methods of a kernel that works column by column.
macro_rules! by_column {
    ($name:literal, $columns:expr) => {
        fn key(&self, _tier: $crate::Tier) -> String {
            $name.to_owned()
        }
        fn wgsl(&self, _tier: $crate::Tier) -> String {
            concat!(
                include_str!("columns.wgsl"),
                include_str!(concat!($name, ".wgsl"))
            )
            .to_owned()
        }
        fn workgroup_size(&self, _tier: $crate::Tier) -> [u32; 3] {
            [$crate::launch::COLUMNS_A_GROUP as u32, 1, 1]
        }
        fn workgroups(&self, _tier: $crate::Tier) -> [u32; 3] {
            let count: fn(&Self) -> usize = $columns;
            $crate::launch::grid(count(self).div_ceil($crate::launch::COLUMNS_A_GROUP))
        }
    };
}

pub(crate) use {by_column, by_element, by_element_count, by_row, by_row_adding, by_row_count};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_its_groups_within_the_floor() {
        for groups in [0, 1, 7, 65_535, 65_536, 1_000_003, 49_152 * 4_096] {
            let [x, y, z] = grid(groups);
            assert!(x as usize * y as usize >= groups);
            assert!(x <= 65_535 && y <= 65_535 && z == 1 && x > 0 && y > 0);
        }
    }

    #[test]
    fn stretches_are_all_workgroups_once_and_none_takes_longer_than_it_may() {
        for groups in [1, 2, 7, 576, 70_000, 1_000_003] {
            for operations in [1, 1_000, 123_456_789, 1 << 50] {
                for most in [1, 999, 10_000_000, 1 << 51] {
                    let cut = Cut {
                        groups,
                        word: 0,
                        operations,
                    };
                    let mut end = 0;
                    for stretch in cut.stretches(most) {
                        assert_eq!(stretch.start, end);
                        end = stretch.end;
                        assert!((1..=MOST_GROUPS).contains(&stretch.len()));
                        assert!(stretch.len() == 1 || cut.share(operations, &stretch) <= most);
                    }
                    assert_eq!(end, groups);
                }
            }
        }
        let heavy = Cut {
            groups: 10,
            word: 0,
            operations: 1000,
        };
        assert_eq!(heavy.stretches(1000).count(), 1);
        // As long as each other, not eight and two.
        assert_eq!(
            heavy.stretches(800).map(|stretch| stretch.len()).collect::<Vec<_>>(),
            [5, 5]
        );
    }

    #[test]
    fn info_is_whole_vectors() {
        assert_eq!(info_words(&[1, 2, 3, 4, 5]), [1, 2, 3, 4, 5, 0, 0, 0]);
    }
}
