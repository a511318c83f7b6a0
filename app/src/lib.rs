//! The page and the lab: what both are made of, each drawing what an engine in a worker says.

pub mod bundled;
pub mod client;
pub mod components;
pub mod conversation;
pub mod curves;
pub mod download;
pub mod format;
pub mod i18n;
pub mod link;
pub mod loaded;
pub mod page;
pub mod playground;
pub mod report;
pub mod run;
pub mod settings;
pub mod state;
pub mod theme;
pub mod training;
pub mod zip;
