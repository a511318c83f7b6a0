//! To be written in this first series of commits.
