//! Keys of transformers, PEFT, TRL and LLaMA-Factory that are known and have no knob here.
//!
//! Each is reported: where it changes nothing, as a warning with the reason; where it asks for something that is not there,
//! as an error. Nothing that would change a run is passed over in silence.

use Treatment::{AllowedOnly, Ignored};

/// How a known key without a knob is met.
pub(super) enum Treatment {
    /// Whatever its value, the result is the same: a warning with this reason.
    Ignored(&'static str),
    /// These values are what happens anyway (null always is); any other one is an error with this reason.
    AllowedOnly(&'static [&'static str], &'static str),
}

/// How `key` is met, if it is known.
pub(super) fn find(key: &str) -> Option<&'static Treatment> {
    let (_, treatment) = FOREIGN.iter().find(|(keys, _)| keys.contains(&key))?;
    Some(treatment)
}

const LATER: &str = "is not available yet";
const OFF: &[&str] = &["false"];
const ON: &[&str] = &["true"];

static FOREIGN: &[(&[&str], Treatment)] = &[
    // Precision and memory.
    (
        &[
            "bf16",
            "fp16",
            "pure_bf16",
            "bf16_full_eval",
            "fp16_full_eval",
            "tf32",
            "half_precision_backend",
            "fp16_opt_level",
        ],
        Ignored("the adapters are trained in 32 bits on every device"),
    ),
    (
        &[
            "gradient_checkpointing",
            "gradient_checkpointing_kwargs",
            "disable_gradient_checkpointing",
            "use_cache",
        ],
        Ignored("it changes memory, not results, and is not used here"),
    ),
    (&["auto_find_batch_size"], AllowedOnly(OFF, LATER)),
    (
        &["upcast_layernorm", "upcast_lmhead_output"],
        Ignored("all of it is computed in 32 bits"),
    ),
    // Machines and processes.
    (
        &[
            "ddp_timeout",
            "ddp_find_unused_parameters",
            "ddp_bucket_cap_mb",
            "ddp_broadcast_buffers",
            "ddp_backend",
            "local_rank",
            "deepspeed",
            "fsdp",
            "fsdp_config",
            "accelerator_config",
            "parallelism_config",
            "use_cpu",
            "no_cuda",
            "use_mps_device",
            "use_unsloth",
            "use_liger_kernel",
            "enable_liger_kernel",
            "torch_compile",
            "torch_compile_backend",
            "torch_compile_mode",
            "jit_mode_eval",
            "flash_attn",
            "attn_implementation",
            "low_cpu_mem_usage",
            "device_map",
            "torch_dtype",
            "dtype",
            "compute_dtype",
            "infer_dtype",
            "infer_backend",
        ],
        Ignored("a run uses one device, chosen when it starts, and its own kernels"),
    ),
    (
        &[
            "preprocessing_num_workers",
            "preprocessing_batch_size",
            "dataloader_num_workers",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "overwrite_cache",
            "cache_dir",
            "skip_memory_metrics",
            "torch_empty_cache_steps",
            "data_shared_file_system",
            "dataset_num_proc",
        ],
        Ignored("data is read and tokenized anew for each run, without workers or a cache"),
    ),
    (&["dataloader_drop_last"], AllowedOnly(OFF, LATER)),
    (
        &["trust_remote_code", "use_fast_tokenizer"],
        Ignored("no code from a model is ever run"),
    ),
    // Reports.
    (
        &[
            "plot_loss",
            "include_num_input_tokens_seen",
            "include_tokens_per_second",
            "include_effective_tokens_per_second",
        ],
        Ignored("losses, rates and tokens are always reported"),
    ),
    (
        &[
            "report_to",
            "run_name",
            "logging_dir",
            "log_level",
            "log_level_replica",
            "disable_tqdm",
            "logging_first_step",
            "logging_nan_inf_filter",
            "log_on_each_node",
            "use_swanlab",
            "swanlab_project",
            "swanlab_mode",
            "project",
            "trackio_space_id",
        ],
        Ignored("a run reports to the screen and to its own log only"),
    ),
    (
        &[
            "push_to_hub",
            "hub_strategy",
            "hub_model_id",
            "hub_token",
            "hub_private_repo",
            "hub_always_push",
            "push_to_hub_model_id",
            "push_to_hub_token",
            "push_to_hub_organization",
            "hf_hub_token",
            "ms_hub_token",
        ],
        Ignored("nothing leaves this machine"),
    ),
    // What a run is.
    (
        &["stage"],
        AllowedOnly(
            &["sft", "pt"],
            "only sft and pt are known here; write task: preference for dpo",
        ),
    ),
    (
        &["do_train"],
        AllowedOnly(
            ON,
            "cannot be switched off in a run file; use `lorakeet eval` to score a model",
        ),
    ),
    (
        &["do_eval"],
        Ignored("eval_strategy and val_size decide when and on what the model is scored"),
    ),
    (
        &["do_predict"],
        AllowedOnly(OFF, "is not part of a run; use `lorakeet predict`"),
    ),
    (
        &["task_type"],
        AllowedOnly(
            &["CAUSAL_LM"],
            "follows from the task; write task: classification and the like",
        ),
    ),
    (&["peft_type"], AllowedOnly(&["LORA"], LATER)),
    (&["template"], Ignored("the model's own chat template is used")),
    (
        &["dataset_dir", "media_dir"],
        Ignored("train_file is a path of its own"),
    ),
    (
        &[
            "save_safetensors",
            "save_on_each_node",
            "restore_callback_states_from_checkpoint",
        ],
        Ignored("checkpoints are always safetensors, and each step's has a folder of its own"),
    ),
    (&["save_only_model"], Ignored("checkpoints hold the adapter")),
    (
        &["ignore_data_skip"],
        AllowedOnly(OFF, "a run goes on with the row that comes next"),
    ),
    (
        &["greater_is_better"],
        Ignored("whether more is better follows from the metric"),
    ),
    // What would change the numbers.
    (
        &["label_smoothing_factor", "neftune_noise_alpha", "eval_delay"],
        AllowedOnly(&["0"], LATER),
    ),
    (
        &[
            "pissa_init",
            "use_galore",
            "use_apollo",
            "use_badam",
            "use_adam_mini",
            "use_muon",
            "use_llama_pro",
            "mixture_of_depths",
            "shift_attn",
            "neat_packing",
            "mask_history",
            "streaming",
            "group_by_length",
            "resize_vocab",
            "lora_bias",
            "create_new_adapter",
            "efficient_eot",
            "use_eld",
            "eval_on_start",
            "batch_eval_metrics",
            "batch_flattening",
            "padding_free",
            "pretokenized",
        ],
        AllowedOnly(OFF, LATER),
    ),
    (&["bias"], AllowedOnly(&["none"], LATER)),
    (&["init_lora_weights"], AllowedOnly(ON, LATER)),
    (
        &[
            "trainable_token_indices",
            "target_parameters",
            "layers_pattern",
            "layer_replication",
            "megatron_config",
            "eva_config",
            "corda_config",
            "loftq_config",
            "rope_scaling",
            "optim_args",
            "optim_target_modules",
            "interleave_probs",
            "tokenized_path",
            "tokenizer_name",
            "train_embeddings",
            "eval_num_beams",
            "custom_loss",
        ],
        AllowedOnly(&[], LATER),
    ),
    (&["mix_strategy"], AllowedOnly(&["concat"], LATER)),
    (
        &[
            "fan_in_fan_out",
            "inference_mode",
            "auto_mapping",
            "revision",
            "peft_version",
            "model_revision",
        ],
        Ignored("it is read from the model"),
    ),
    (
        &[
            "remove_unused_columns",
            "label_names",
            "length_column_name",
            "include_for_metrics",
            "eval_accumulation_steps",
            "prediction_loss_only",
        ],
        Ignored("columns are recognised by the data's form, and scoring yields the loss only"),
    ),
    (
        &["average_tokens_across_devices"],
        Ignored("the loss is always averaged over all target tokens of a step"),
    ),
    (&["quantization_method"], AllowedOnly(&["bnb", "bitsandbytes"], LATER)),
    (
        &["bnb_4bit_compute_dtype", "quantization_device_map"],
        Ignored("products are computed in 32 bits"),
    ),
    (&["full_determinism"], Ignored("a run is repeatable from its seed")),
    (&["disable_shuffling"], AllowedOnly(OFF, LATER)),
    (
        &["ignore_pad_token_for_loss", "dispatch_batches", "split_batches"],
        AllowedOnly(&["true", "false"], LATER),
    ),
];
