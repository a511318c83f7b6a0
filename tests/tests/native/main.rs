//! Whole runs, tasks and operations, on models made for the purpose, on the CPU and on software Vulkan. One program, linked
//! once; a test that counts what a process takes, or opens a GPU of its own, runs in a process of its own by `alone`.

mod adapters;
mod audit;
mod checkpointing;
mod checkpoints;
mod cluster;
mod compiling;
mod data_memory;
mod device_memory;
mod divergence;
mod estimate;
mod export;
mod heads;
mod hub;
mod ids;
mod inputs;
mod kept_runs;
mod knobs;
mod launches;
mod lessons;
mod losses;
mod lowest_gpu;
mod memory_estimate;
mod memory_full;
mod numbers;
mod operations;
mod optim_groups;
mod optim_memory;
mod pictures;
mod probe;
mod reading;
mod reserved_memory;
mod run;
mod small;
mod small_buffers;
mod tasks;
