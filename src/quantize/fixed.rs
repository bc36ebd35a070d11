//! The specification's fixed table, in GGUF terms.

use crate::gguf::Format;
use crate::hardware::Hardware;
use crate::model::Role;

/// The format of a role, and its stand-in for rows that 256 does not divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// For rows that 256 divides.
    pub format: Format,
    /// For others.
    pub by_32: Format,
}

/// The row of the table for a role: 8-bit uniform for embedding and output head, 4-bit with no
/// scale shared between rows for attention, 6-bit group-wise for the feed-forward network and for
/// what the specification does not name.
///
/// A `portable` row has the stand-in next to it in bits, and not below, that other programs than
/// llama.cpp decode too. A TPU multiplies no integers of 6 bits: there, 8 stand for them.
pub fn row(role: Role, hardware: Hardware, portable: bool) -> Row {
    let row = row_of_specification(role, portable);
    match (hardware, row.format) {
        (Hardware::Cpu | Hardware::Gpu, _) => row,
        (Hardware::Tpu, Format::Q4_K) => Row { format: Format::Q4_0, by_32: Format::Q4_0 },
        (Hardware::Tpu, _) => Row { format: Format::Q8_0, by_32: Format::Q8_0 },
    }
}

fn row_of_specification(role: Role, portable: bool) -> Row {
    let or = |by_32, portable_by_32| if portable { portable_by_32 } else { by_32 };
    match role {
        Role::Embedding | Role::OutputHead => Row { format: Format::Q8_0, by_32: Format::Q8_0 },
        Role::AttentionQ
        | Role::AttentionK
        | Role::AttentionV
        | Role::AttentionQkv
        | Role::AttentionOutput => {
            Row { format: Format::Q4_K, by_32: or(Format::IQ4_NL, Format::Q4_0) }
        }
        _ => Row { format: Format::Q6_K, by_32: or(Format::Q5_1, Format::Q8_0) },
    }
}
