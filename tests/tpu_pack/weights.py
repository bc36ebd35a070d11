"""Reads the weights of a pack as its loaders do: shards, quantized arrays, floats.

All matrices are given as float32 [out, in] under the names of Hugging Face's models.
"""

import json
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import qwix
from safetensors import safe_open


def stored(pack: Path) -> dict:
    """Every tensor of the shards, found by the index, as the safetensors package gives it."""
    index = json.loads((pack / "model.safetensors.index.json").read_text())
    places = index["weight_map"]
    tensors = {}
    for shard in sorted(set(places.values())):
        with safe_open(pack / shard, framework="numpy") as file:
            names = {name for name, place in places.items() if place == shard}
            assert names == set(file.keys()), f"{shard}: the index and the shard do not agree"
            tensors |= {name: file.get_tensor(name) for name in names}
    size = sum(tensor.nbytes for tensor in tensors.values())
    assert size == index["metadata"]["total_size"], "the index counts other bytes"
    return tensors


def weights(pack: Path, config: dict) -> dict:
    tensors = stored(pack)
    quantization = config.get("quantization_config", {"quant_method": "compressed-tensors"})
    if quantization["quant_method"] == "qwix":
        return from_qwix(tensors, quantization)
    return from_compressed(tensors, quantization)


def take(tensors: dict, name: str, dtype) -> np.ndarray:
    tensor = tensors.pop(name)
    assert tensor.dtype == dtype, f"{name} is {tensor.dtype}, expected {np.dtype(dtype)}"
    return tensor


def from_compressed(tensors: dict, config: dict) -> dict:
    """compressed-tensors: int-quantized and pack-quantized linear layers."""
    groups = config.get("config_groups", {}).values()
    out = {}
    modules = {name.rpartition(".")[0] for name in tensors}
    for module in modules:
        group = group_of(module, groups, config.get("ignore", []))
        name = f"{module}.weight"
        if group is None:
            out[name] = as_float(tensors.pop(name))
        elif group["weights"]["num_bits"] == 8:
            assert group["format"] == "int-quantized", group["format"]
            assert group["weights"]["strategy"] == "channel"
            assert group["input_activations"]["strategy"] == "token"
            assert group["input_activations"]["dynamic"] is True
            codes = take(tensors, name, np.int8)
            scale = take(tensors, f"{module}.weight_scale", np.float32)
            assert scale.shape == (codes.shape[0], 1), f"{module}: {scale.shape}"
            out[name] = codes.astype(np.float32) * scale
        else:
            assert group["format"] == "pack-quantized", group["format"]
            out[name] = unpacked(tensors, module, group["weights"]["group_size"])
        if f"{module}.bias" in tensors:
            out[f"{module}.bias"] = take(tensors, f"{module}.bias", np.float32)
    assert not tensors, f"nothing in the config explains {sorted(tensors)}"
    return out


def group_of(module: str, groups, ignore):
    """The first group with a target that matches, as compressed-tensors 0.20.1 finds it."""
    matches = lambda target: (
        re.match(target[3:], module) if target.startswith("re:") else target == module
    )
    if any(matches(target) for target in ignore):
        return None
    return next((group for group in groups if any(map(matches, group["targets"]))), None)


def unpacked(tensors: dict, module: str, group_size: int) -> np.ndarray:
    words = take(tensors, f"{module}.weight_packed", np.int32)
    out, columns = take(tensors, f"{module}.weight_shape", np.int64)
    scale = take(tensors, f"{module}.weight_scale", jnp.bfloat16).astype(np.float32)
    assert words.shape == (out, columns // 8), f"{module}: {words.shape}"
    assert scale.shape == (out, columns // group_size), f"{module}: {scale.shape}"
    nibbles = words.view(np.uint32)[:, :, None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15
    codes = nibbles.reshape(out, columns).astype(np.int8) - 8
    return codes.astype(np.float32) * np.repeat(scale, group_size, axis=1)


def from_qwix(tensors: dict, config: dict) -> dict:
    """qwix: the leaves of QArrays under the names of flax.nnx."""
    renamed = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
    out = {}
    for name in [name for name in tensors if name.endswith(".qvalue")]:
        name = name.removesuffix(".qvalue")
        module, _, leaf = name.rpartition(".")
        rule = rule_of(module, config["rules"])
        codes = take(tensors, f"{name}.qvalue", np.int8)
        scale = take(tensors, f"{name}.scale", np.float32)
        array = qwix.QArray(jnp.asarray(codes).astype(rule["weight_qtype"]), jnp.asarray(scale))
        assert array.qtype == rule["weight_qtype"], f"{name}: {array.qtype}"
        assert np.array_equal(np.asarray(array.qvalue.astype(jnp.int8)), codes), name
        tiled, others = (1, 0) if leaf == "embedding" else (0, 1)
        tile = array.scale_tile_shape
        assert tile[tiled] == (rule["tile_size"] or codes.shape[tiled]), f"{name}: {tile}"
        assert tile[others] == 1, f"{name}: {tile}"
        floats = np.asarray(qwix.dequantize(array))
        out[f"{module}.weight"] = floats if leaf == "embedding" else floats.T
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        floats = as_float(tensor)
        out[f"{module}.{renamed[leaf]}"] = floats.T if leaf == "kernel" else floats
    return out


def rule_of(module: str, rules) -> dict:
    path = module.replace(".", "/")
    return next(rule for rule in rules if re.fullmatch(rule["module_path"], path))


def as_float(tensor: np.ndarray) -> np.ndarray:
    assert tensor.dtype in (np.float32, np.float16, jnp.bfloat16), tensor.dtype
    return tensor.astype(np.float32)
