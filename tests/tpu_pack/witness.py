"""Says whether packs for a TPU hold the models that they were made from.

    witness.py JOB...

A job is a folder: `model.gguf`, the pack `model.tpu`, `tokens.u32`, the logits of the program for
them, `logits.f32` [tokens, vocabulary], and `texts.json`, texts with the ids that the program gives
them. For each the witness checks that

- the weights of the pack, decoded as its loaders decode them, are those of the GGUF file, decoded by
  gguf-py, bit for bit, all of them, under the names that gguf-py knows for them;
- a forward pass in JAX by `config.json` gives the same logits: mean KL divergence below LIMIT;
- the `tokenizers` package reads `tokenizer.json` and gives the same ids.

It prints a line a job, and ends with code 1 at the first job that fails.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from forward import logits
from weights import weights

# Some 500 times what the order of additions makes.
LIMIT = 1e-8
# Gains of Gemma's norms: half the spacing of numbers near -1, which one is added to.
NEAR = 2.0**-24


def main():
    for job in map(Path, sys.argv[1:]):
        try:
            print(f"  {job.name:<28} {witness(job)}", flush=True)
        except AssertionError as fault:
            sys.exit(f"{job.name}: {fault}")


def witness(job: Path) -> str:
    pack = job / "model.tpu"
    config = json.loads((pack / "config.json").read_text())
    packed = weights(pack, config)
    count, odd = compare_weights(gguf.GGUFReader(job / "model.gguf"), config, packed)
    kld, same = compare_logits(job, config, packed)
    assert kld < LIMIT, f"the logits differ: mean KLD {kld:.2e}, allowed {LIMIT}"
    texts = compare_tokens(job, pack)
    odd = f", {odd} gains of norms within 2^-24" if odd else ""
    return f"{count} tensors equal{odd}; KLD {kld:.1e}, same top {same:.2%}; {texts} texts equal"


def compare_weights(reader: gguf.GGUFReader, config: dict, packed: dict):
    """Tensors that are equal, and gains of norms that only nearly are."""
    field = reader.get_field("general.architecture")
    architecture = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == field.contents())
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    odd = 0
    for name, found in packed.items():
        theirs = tensors.pop(names.get_name(name, try_suffixes=(".weight", ".bias")), None)
        if theirs is None:
            # A bias that the loaders' model has and the file has not.
            assert name.endswith(".bias") and not found.any(), f"{name} is not in the GGUF file"
            continue
        values = gguf.quants.dequantize(theirs.data, theirs.tensor_type)
        values = values.reshape(theirs.shape[::-1]).astype(np.float32)
        if field.contents() == "llama" and ("q_proj" in name or "k_proj" in name):
            found = paired(found, config["head_dim"])
        if field.contents() == "gemma3" and name.endswith("norm.weight"):
            again = (np.float32(1) + found).astype(np.float32)
            assert np.abs(again - values).max() <= NEAR, f"{name} + 1 is no gain of the GGUF file"
            odd += int((again != values).sum())
            continue
        assert found.shape == values.shape, f"{name}: {found.shape}, expected {values.shape}"
        equal = found.view(np.uint32) == values.view(np.uint32)
        # Minus zero is zero, which an integer has one of.
        equal |= (found == 0) & (values == 0)
        assert equal.all(), f"{name}: {(~equal).sum()} of {equal.size} weights differ"
    left = [name for name in tensors if name != "rope_freqs.weight"]
    assert not left, f"missing in the pack: {left}"
    return len(packed), odd


def paired(rows: np.ndarray, head: int) -> np.ndarray:
    """The order of llama.cpp's converter (`LlamaModel.permute`)."""
    halves = rows.reshape(-1, 2, head // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def compare_logits(job: Path, config: dict, packed: dict):
    tokens = np.fromfile(job / "tokens.u32", np.uint32).astype(np.int32)
    ours = np.fromfile(job / "logits.f32", np.float32).reshape(len(tokens), -1)
    theirs = np.asarray(logits(config, packed, tokens))
    assert ours.shape == theirs.shape, f"logits {theirs.shape}, expected {ours.shape}"
    kld = 0.0
    for a, b in zip(ours.astype(np.float64), theirs.astype(np.float64)):
        a, b = (x - x.max() - np.log(np.exp(x - x.max()).sum()) for x in (a, b))
        kld += (np.exp(a) * (a - b)).sum() / len(tokens)
    assert np.isfinite(kld), "the logits are no numbers"
    return kld, (ours.argmax(1) == theirs.argmax(1)).mean()


def compare_tokens(job: Path, pack: Path) -> int:
    tokenizer = Tokenizer.from_file(str(pack / "tokenizer.json"))
    texts = json.loads((job / "texts.json").read_text())
    for text in texts:
        ids = tokenizer.encode(text["text"], add_special_tokens=text["framed"]).ids
        if ids != text["ids"]:
            at = next((i for i, (a, b) in enumerate(zip(ids, text["ids"])) if a != b), None)
            shown = [[tokenizer.id_to_token(id) for id in x[at or 0 :][:5]] for x in (ids, text["ids"])]
            raise AssertionError(f"token {at} of {text['text'][:40]!r}: {shown[0]}, expected {shown[1]}")
    return len(texts)


main()
