"""Writes golden_blocks.json: blocks of every format that is decoded here, and their values by gguf-py.

    ~/.cache/opencog-qat/venv/bin/python golden_blocks.py

(numpy and gguf==0.19.0 in that environment, llama-quantize beside it, as `.ci/run` puts them.)

Of each format there are random blocks, whose scales are finite numbers of every kind, and blocks
that llama-quantize made of examples/tiny.gguf. Bytes and little-endian F32 values are hexadecimal.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "examples" / "tiny.gguf"
QUANTIZE = pathlib.Path(sys.prefix).parent / "llama.cpp" / "bin" / "llama-quantize"
TENSOR = "blk.2.ffn_down.weight"

# Where each format keeps its F16 scales, by byte, and what llama-quantize calls a file of it.
FORMATS = {
    T.F32: ([], "F32"), T.F16: ([], "F16"), T.BF16: ([], "BF16"),
    T.Q4_0: ([0], "Q4_0"), T.Q4_1: ([0, 2], "Q4_1"), T.Q5_0: ([0], "Q5_0"),
    T.Q5_1: ([0, 2], "Q5_1"), T.Q8_0: ([0], "Q8_0"), T.Q2_K: ([80, 82], "Q2_K"),
    T.Q3_K: ([108], "Q3_K_S"), T.Q4_K: ([0, 2], "Q4_K_S"), T.Q5_K: ([0, 2], "Q5_K_S"),
    T.Q6_K: ([208], "Q6_K"), T.IQ4_NL: ([0], "IQ4_NL"), T.IQ4_XS: ([0], "IQ4_XS"),
    T.MXFP4: ([], "MXFP4_MOE"),
}
# Ordinary, negative, subnormal, the smallest, both zeros, the largest.
SCALES = np.array([0.0123, -0.5, 3e-6, -6e-8, 0.0, -0.0, 65504.0], dtype=np.float16)
# The two subnormal ones of E8M0, small, 1, large, beyond F32.
EXPONENTS = [0, 1, 2, 100, 127, 200, 255]


def random_blocks(kind, size, rng):
    """A block for each kind of scale; of the formats without blocks, finite values of every size."""
    if kind == T.F32:
        return rng.integers(0, 2**32, 64, dtype=np.uint32).view(np.float32)
    if kind == T.F16:
        values = np.arange(-0x8000, 0x8000, 173).astype(np.uint16).view(np.float16)
        return values[np.isfinite(values)]
    if kind == T.BF16:
        return rng.integers(0, 2**16, (64, 1), dtype=np.uint16).view(np.uint8)
    blocks = rng.integers(0, 256, (len(SCALES), size), dtype=np.uint8)
    for i, block in enumerate(blocks):
        for k, at in enumerate(FORMATS[kind][0]):
            block[at:at + 2] = SCALES[(i + k) % len(SCALES)].reshape(1).view(np.uint8)
        if kind == T.MXFP4:
            block[0] = EXPONENTS[i]
    return blocks


def quantized_blocks(kind, size, folder):
    """The first two blocks that llama-quantize makes of a tensor."""
    file = pathlib.Path(folder) / "quantized.gguf"
    command = [QUANTIZE, "--pure", MODEL, file, FORMATS[kind][1], "2"]
    subprocess.run(command, check=True, capture_output=True)
    tensor = next(t for t in gguf.GGUFReader(file).tensors if t.name == TENSOR)
    assert tensor.tensor_type == kind, tensor.tensor_type
    if kind in (T.F32, T.F16):
        return tensor.data.reshape(-1)[:32]
    return tensor.data.reshape(-1, size)[:32 if kind == T.BF16 else 2]


golden = {}
rng = np.random.default_rng(1)
with tempfile.TemporaryDirectory() as folder:
    for kind in FORMATS:
        size = gguf.GGML_QUANT_SIZES[kind][1]
        parts = [random_blocks(kind, size, rng), quantized_blocks(kind, size, folder)]
        blocks = np.concatenate(parts)
        values = gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(-1)
        if kind in (T.F32, T.BF16):
            # What a NaN's bits become is not laid down anywhere.
            numbers = ~np.isnan(values)
            blocks, values = blocks[numbers], values[numbers]
        assert not np.isnan(values).any()
        golden[kind.name] = {"bytes": blocks.tobytes().hex(), "values": values.tobytes().hex()}

(HERE / "golden_blocks.json").write_text(json.dumps(golden, indent=0) + "\n")
