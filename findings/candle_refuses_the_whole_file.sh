#!/usr/bin/env bash
# candle-core 0.11.1 refuses a whole GGUF if one tensor is in IQ4_NL, IQ4_XS or MXFP4: not when that
# tensor is read, but as it reads the table of tensors, and the message names no tensor. The file is
# sound: gguf-py reads and decodes it. `opencog-qat --portable` keeps to what candle decodes.
#
# Seen with candle-core 0.11.1:
#   Q8_0: read, 2 tensors, the second decoded
#   IQ4_NL: refused: unknown dtype for tensor 20
#   IQ4_XS: refused: unknown dtype for tensor 23
#   MXFP4: refused: unknown dtype for tensor 39
#
# Needs cargo and crates.io. Exits with 1 if what is seen is something else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
candle-core = "=0.11.1"
[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RUST'
use candle_core::quantized::gguf_file::Content;
use candle_core::Device;
use std::io::Cursor;

/// A GGUF of two tensors of 256 values: one in F32, one of this type, all its bytes zero.
fn file(kind: u32, bytes: usize) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend(2u64.to_le_bytes());
    out.extend(0u64.to_le_bytes());
    for (name, kind, offset) in [("plain", 0u32, 0u64), ("coded", kind, 1024)] {
        out.extend((name.len() as u64).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(256u64.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.resize(out.len() + 1024 + bytes.next_multiple_of(32), 0);
    out
}

fn main() {
    for (name, kind, bytes) in
        [("Q8_0", 8, 272), ("IQ4_NL", 20, 144), ("IQ4_XS", 23, 136), ("MXFP4", 39, 136)]
    {
        let mut file = Cursor::new(file(kind, bytes));
        match Content::read(&mut file) {
            Ok(content) => {
                let coded = content.tensor(&mut file, "coded", &Device::Cpu);
                let decoded = coded.and_then(|coded| coded.dequantize(&Device::Cpu)).is_ok();
                let decoded = if decoded { "decoded" } else { "not decoded" };
                let tensors = content.tensor_infos.len();
                println!("{name}: read, {tensors} tensors, the second {decoded}");
            }
            Err(error) => {
                let error = error.to_string();
                println!("{name}: refused: {}", error.lines().next().unwrap_or(""));
            }
        }
    }
}
RUST
cargo run --quiet > seen
cat seen
diff seen - <<'SEEN'
Q8_0: read, 2 tensors, the second decoded
IQ4_NL: refused: unknown dtype for tensor 20
IQ4_XS: refused: unknown dtype for tensor 23
MXFP4: refused: unknown dtype for tensor 39
SEEN
