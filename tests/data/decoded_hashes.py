"""For each tensor of a GGUF file: SHA-256 of its values as gguf-py decodes them, in F32, and its name."""
import hashlib, sys
import gguf, numpy as np

for tensor in gguf.GGUFReader(sys.argv[1]).tensors:
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    print(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest(), tensor.name)
