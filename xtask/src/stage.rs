//! The stages of `cargo xtask test`.

/// A part of the checks that can be run by itself. All but `lint`, `interop`, `fuzz` and `endurance` are the integration tests
/// of the same name, in every package that has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Everything that reads the code without running it.
    Lint,
    /// Unit tests, doc tests, and the integration tests that need neither reference numbers nor a browser.
    Native,
    /// The numbers of the reference stack.
    Golden,
    /// Whole sessions and every reader on broken files.
    Hostile,
    /// Real models.
    Models,
    /// The page in a real browser.
    Web,
    /// Every lesson in every browser, and the page in those without WebGPU.
    Browsers,
    /// The lab in pages that others make.
    Hosts,
    /// Two thousand steps with memory watched.
    Soak,
    /// Runs that are killed, closed and broken, many times.
    Endurance,
    /// Exports in the programs that they are for.
    Interop,
    /// libFuzzer on every reader.
    Fuzz,
}

impl Stage {
    /// Every stage, in the order in which they run: the quickest to fail first.
    pub const ALL: [Self; 12] = [
        Self::Lint,
        Self::Native,
        Self::Golden,
        Self::Hostile,
        Self::Models,
        Self::Web,
        Self::Browsers,
        Self::Hosts,
        Self::Soak,
        Self::Endurance,
        Self::Interop,
        Self::Fuzz,
    ];

    /// Its name on the command line, and that of its test programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Native => "native",
            Self::Golden => "golden",
            Self::Hostile => "hostile",
            Self::Models => "models",
            Self::Web => "web",
            Self::Browsers => "browsers",
            Self::Hosts => "hosts",
            Self::Soak => "soak",
            Self::Endurance => "endurance",
            Self::Interop => "interop",
            Self::Fuzz => "fuzz",
        }
    }

    /// Whether a plain `cargo xtask test` leaves it out: it takes long, or needs much that the others do not.
    pub fn is_only_named(self) -> bool {
        matches!(
            self,
            Self::Browsers | Self::Hosts | Self::Soak | Self::Endurance | Self::Interop | Self::Fuzz
        )
    }
}
