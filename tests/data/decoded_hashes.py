"""For each tensor of a GGUF file whose name starts so: SHA-256 of its values as gguf-py decodes them,
in F32, and its name.

    python decoded_hashes.py FILE PREFIX
"""
import hashlib
import sys

import gguf
import numpy as np

file, prefix = sys.argv[1:]
for tensor in gguf.GGUFReader(file).tensors:
    if tensor.name.startswith(prefix):
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        print(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest(), tensor.name)
