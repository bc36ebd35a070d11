#!/usr/bin/env bash
# ggml's Q4_0 rounds weights that lie on a symmetric 4-bit grid (15 levels, -7 to 7 times an F16 scale
# for each 32, as quantization-aware training leaves them) as badly as weights that lie on no grid at
# all, if it has no importance matrix: it takes the scale from the largest value over -8, so that the
# grid it rounds to is another one. With a matrix, of ones even, it searches, and loses nothing. One
# would expect a format to hold its own levels either way, as it does for what it wrote itself.
# `opencog-qat` finds the grid, and encodes it exactly.
#
# Seen with libgguf 0.2.2 (ggml's C code), as shares of the squared weights:
#   on no grid, no matrix:        7.42e-03
#   on the grid, no matrix:       7.00e-03
#   on the grid, matrix of ones:  0.00e+00
#   what Q4_0 wrote, no matrix:   0.00e+00
#
# Needs Python 3 and PyPI. Exits with 1 if what is seen is something else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'numpy==2.4.6' 'libgguf==0.2.2'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import numpy as np
import libgguf
from libgguf import GGMLQuantizationType

Q4_0 = GGMLQuantizationType.Q4_0
COLUMNS = 4096
weights = (np.random.default_rng(1).standard_normal((64, COLUMNS)) * 0.02).astype(np.float32)


def rounded(rows, matrix=None):
    return libgguf.dequantize_rows(libgguf.quantize_rows(rows, Q4_0, matrix), Q4_0, COLUMNS).reshape(rows.shape)


def lost(rows, matrix=None):
    return float(((rows - rounded(rows, matrix)) ** 2).sum() / (rows**2).sum())


blocks = weights.reshape(-1, 32)
scale = (np.abs(blocks).max(1, keepdims=True) / 7).astype(np.float16).astype(np.float32)
grid = (scale * np.round(blocks / scale).clip(-7, 7)).reshape(weights.shape).astype(np.float32)

seen = {
    "on no grid, no matrix": lost(weights),
    "on the grid, no matrix": lost(grid),
    "on the grid, matrix of ones": lost(grid, np.ones(COLUMNS, np.float32)),
    "what Q4_0 wrote, no matrix": lost(rounded(weights).astype(np.float32)),
}
for name, share in seen.items():
    print(f"{name + ':':<29} {share:.2e}")
plain, without, with_ones, again = seen.values()
sys.exit(not (0.9 * plain < without < plain and with_ones == 0 and again == 0))
PYTHON
