//! Keys of transformers, PEFT, TRL and LLaMA-Factory that are known and have no knob here.
//!
//! Each is reported: where it changes nothing, as a warning with the reason; where it asks for something that is not there,
//! as an error. Nothing that would change a run is passed over in silence.

use lorakeet_i18n::Message;
use lorakeet_i18n::messages::config as msg;

/// How a known key without a knob is met.
pub(super) enum Treatment {
    /// Whatever its value, the result is the same: a warning with this reason.
    Ignored(Message),
    /// These values are what happens anyway (null always is); any other one is an error with this reason.
    AllowedOnly(&'static [&'static str], Message),
}

fn ignored(reason: impl Into<Message>) -> Treatment {
    Treatment::Ignored(reason.into())
}

fn only(values: &'static [&'static str], reason: impl Into<Message>) -> Treatment {
    Treatment::AllowedOnly(values, reason.into())
}

const OFF: &[&str] = &["false"];
const ON: &[&str] = &["true"];

/// How `key` is met, if it is known.
pub(super) fn find(key: &str) -> Option<Treatment> {
    Some(match key {
        // Precision and memory.
        "bf16"
        | "fp16"
        | "pure_bf16"
        | "bf16_full_eval"
        | "fp16_full_eval"
        | "tf32"
        | "half_precision_backend"
        | "fp16_opt_level" => ignored(msg::TrainedIn32Bits),
        "gradient_checkpointing_kwargs" | "disable_gradient_checkpointing" | "use_cache" => {
            ignored(msg::ChangesMemoryOnly)
        }
        "auto_find_batch_size" => only(OFF, msg::NotAvailableYet),
        "upcast_layernorm" | "upcast_lmhead_output" => ignored(msg::ComputedIn32Bits),
        // Machines and processes.
        "ddp_timeout"
        | "ddp_find_unused_parameters"
        | "ddp_bucket_cap_mb"
        | "ddp_broadcast_buffers"
        | "ddp_backend"
        | "local_rank"
        | "deepspeed"
        | "fsdp"
        | "fsdp_config"
        | "accelerator_config"
        | "parallelism_config"
        | "use_cpu"
        | "no_cuda"
        | "use_mps_device"
        | "use_unsloth"
        | "use_liger_kernel"
        | "enable_liger_kernel"
        | "torch_compile"
        | "torch_compile_backend"
        | "torch_compile_mode"
        | "jit_mode_eval"
        | "flash_attn"
        | "attn_implementation"
        | "low_cpu_mem_usage"
        | "device_map"
        | "torch_dtype"
        | "dtype"
        | "compute_dtype"
        | "infer_dtype"
        | "infer_backend" => ignored(msg::OneDevice),
        "preprocessing_num_workers"
        | "preprocessing_batch_size"
        | "dataloader_num_workers"
        | "dataloader_pin_memory"
        | "dataloader_persistent_workers"
        | "dataloader_prefetch_factor"
        | "overwrite_cache"
        | "cache_dir"
        | "skip_memory_metrics"
        | "torch_empty_cache_steps"
        | "data_shared_file_system"
        | "dataset_num_proc" => ignored(msg::NoWorkersNoCache),
        "dataloader_drop_last" => only(OFF, msg::NotAvailableYet),
        "trust_remote_code" | "use_fast_tokenizer" => ignored(msg::NoCodeIsRun),
        // Reports.
        "plot_loss"
        | "include_num_input_tokens_seen"
        | "include_tokens_per_second"
        | "include_effective_tokens_per_second" => ignored(msg::AlwaysReported),
        "report_to"
        | "run_name"
        | "logging_dir"
        | "log_level"
        | "log_level_replica"
        | "disable_tqdm"
        | "logging_first_step"
        | "logging_nan_inf_filter"
        | "log_on_each_node"
        | "use_swanlab"
        | "swanlab_project"
        | "swanlab_mode"
        | "project"
        | "trackio_space_id" => ignored(msg::ReportsToOwnLog),
        "push_to_hub"
        | "hub_strategy"
        | "hub_model_id"
        | "hub_token"
        | "hub_private_repo"
        | "hub_always_push"
        | "push_to_hub_model_id"
        | "push_to_hub_token"
        | "push_to_hub_organization"
        | "hf_hub_token"
        | "ms_hub_token" => ignored(msg::NothingLeavesMachine),
        // What a run is.
        "stage" => only(&["sft", "pt"], msg::OnlySftAndPt),
        "do_train" => only(ON, msg::TrainingAlwaysOn),
        "do_eval" => ignored(msg::ScoredByStrategy),
        "do_predict" => only(OFF, msg::NotPartOfRun),
        "task_type" => only(&["CAUSAL_LM"], msg::FollowsFromTask),
        "peft_type" => only(&["LORA"], msg::NotAvailableYet),
        "template" => ignored(msg::OwnChatTemplate),
        "dataset_dir" => ignored(msg::ListsDataSets),
        "media_dir" => ignored(msg::TrainFileIsPath),
        "save_safetensors" | "save_on_each_node" | "restore_callback_states_from_checkpoint" => {
            ignored(msg::AlwaysSafetensors)
        }
        "save_only_model" => ignored(msg::CheckpointsHoldAdapter),
        "ignore_data_skip" => only(OFF, msg::GoesOnWithNextRow),
        "greater_is_better" => ignored(msg::FollowsFromMetric),
        // What would change the numbers.
        "label_smoothing_factor" | "neftune_noise_alpha" | "eval_delay" => only(&["0"], msg::NotAvailableYet),
        "pissa_init" | "use_galore" | "use_apollo" | "use_badam" | "use_adam_mini" | "use_muon" | "use_llama_pro"
        | "mixture_of_depths" | "shift_attn" | "mask_history" | "streaming" | "group_by_length" | "resize_vocab"
        | "lora_bias" | "create_new_adapter" | "efficient_eot" | "use_eld" | "eval_on_start" | "batch_eval_metrics"
        | "pretokenized" => only(OFF, msg::NotAvailableYet),
        // Rows without padding between them, and of what packed rows are made.
        "batch_flattening" | "padding_free" | "eval_packing" => ignored(msg::ChangesMemoryOnly),
        "packing_strategy" => only(&["bfd", "bfd_split"], msg::PackedStayApart),
        "bias" => only(&["none"], msg::NotAvailableYet),
        "init_lora_weights" => only(ON, msg::NotAvailableYet),
        "target_parameters"
        | "layers_pattern"
        | "layer_replication"
        | "megatron_config"
        | "eva_config"
        | "corda_config"
        | "loftq_config"
        | "rope_scaling"
        | "optim_args"
        | "optim_target_modules"
        | "interleave_probs"
        | "tokenized_path"
        | "tokenizer_name"
        | "train_embeddings"
        | "eval_num_beams"
        | "custom_loss" => only(&[], msg::NotAvailableYet),
        "mix_strategy" => only(&["concat"], msg::NotAvailableYet),
        "fan_in_fan_out" | "inference_mode" | "auto_mapping" | "revision" | "peft_version" | "model_revision" => {
            ignored(msg::ReadFromModel)
        }
        "remove_unused_columns"
        | "label_names"
        | "length_column_name"
        | "include_for_metrics"
        | "eval_accumulation_steps"
        | "prediction_loss_only" => ignored(msg::ColumnsByForm),
        "average_tokens_across_devices" => ignored(msg::AveragedOverTokens),
        "quantization_method" => only(&["bnb", "bitsandbytes"], msg::NotAvailableYet),
        "bnb_4bit_compute_dtype" | "quantization_device_map" => ignored(msg::ProductsIn32Bits),
        "full_determinism" => ignored(msg::RepeatableFromSeed),
        "disable_shuffling" => only(OFF, msg::NotAvailableYet),
        "ignore_pad_token_for_loss" | "dispatch_batches" | "split_batches" => {
            only(&["true", "false"], msg::NotAvailableYet)
        }
        _ => return None,
    })
}
