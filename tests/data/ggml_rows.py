"""Rows quantized by ggml's own C code (PyPI libgguf), for tests/block_witness.rs.

ggml_rows.py FORMAT_ID ROW_LEN VALUES OUT [IMPORTANCE]: VALUES are little-endian F32 rows, OUT takes
their blocks; IMPORTANCE is one F32 for each column.
"""

import sys

import libgguf
import numpy

format_id, row_len, values, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
rows = numpy.fromfile(values, dtype="<f4").reshape(-1, row_len)
importance = numpy.fromfile(sys.argv[5], dtype="<f4") if len(sys.argv) > 5 else None
blocks = libgguf.quantize_rows_raw(format_id, rows, len(rows), row_len, importance)
open(out, "wb").write(blocks)
