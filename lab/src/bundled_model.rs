//! The tiny model that comes with the page.

/// Its name.
pub const MODEL_NAME: &str = "lorakeet-austen";
/// Where it lies beside the page.
pub const MODEL_FOLDER: &str = "model";
/// Its files.
pub const MODEL_FILES: [&str; 4] = [
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/model.safetensors",
];
