//! Number formats of stored tensors.

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Storage {
    /// IEEE 32-bit.
    F32,
    /// IEEE 16-bit.
    F16,
    /// The upper half of IEEE 32-bit.
    BF16,
    /// Signed 64-bit integers.
    I64,
    /// GGUF: blocks of 32, 4-bit, one scale.
    Q4_0,
    /// GGUF: blocks of 32, 4-bit, scale and minimum.
    Q4_1,
    /// GGUF: blocks of 32, 8-bit, one scale.
    Q8_0,
    /// Known by name only.
    Other(String),
}
