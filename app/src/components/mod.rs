//! The parts of the page, in the order in which a person meets them.

pub mod chart;
pub mod data;
pub mod drop_zone;
pub mod header;
pub mod home;
pub mod knob;
pub mod model;
pub mod notice;
pub mod preview;
pub mod samples;
pub mod settings;
pub mod step;
pub mod train;
pub mod try_it;
