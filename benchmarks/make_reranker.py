"""Fine-tune all-MiniLM-L6-v2 as a small cross-encoder with one label: a real reranker to measure with.

    python benchmarks/make_reranker.py reranker ../shared/data/sts/stsb-en.train.jsonl
    python benchmarks/make_reranker.py reranker ../shared/data/retrieval/xquad-en --max-tokens 128

Data are files of labelled pairs, as ``stonnx verify --pairs`` reads them, and folders in BEIR's layout, whose queries
are paired with their own paragraph and with others: of the same article first, which are hard to tell apart. Everything
is seeded; the same machine, threads and versions give the same weights. Torch and sentence-transformers are needed.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _common import minilm

from stonnx.verify import LabelledPair, read_pairs

_NEGATIVES = 3  # of a query: a reranker sees far more paragraphs that are wrong than right
_WARM_UP = 0.1
_BODY_RATE, _HEAD_RATE = 5e-5, 1e-3  # the classifier starts from random weights


def main() -> None:
    """Parse, train, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to create")
    parser.add_argument("data", type=Path, nargs="+", help="a file of labelled pairs, or a folder in BEIR's layout")
    parser.add_argument("--base", type=Path, default=None, help="folder of a BERT model (default: all-MiniLM-L6-v2)")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32, help="pairs of a step")
    parser.add_argument("--max-tokens", type=int, default=128, help="longest pair while training")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f"{args.out} exists.")
    pairs = [pair for path in args.data for pair in _scaled(path, args.seed)]
    train(pairs, args)


def train(pairs: list[LabelledPair], args: argparse.Namespace) -> None:
    """Minimise the binary cross-entropy of the scores, which are 0 to 1, and save the model."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(args.seed)
    order = random.Random(args.seed)  # noqa: S311 - an order, no secret
    model: Any = CrossEncoder(str(args.base or minilm()), num_labels=1, device="cpu", local_files_only=True)
    network, tokenizer = model.model, model.tokenizer
    head = [value for name, value in network.named_parameters() if name.startswith("classifier")]
    body = [value for name, value in network.named_parameters() if not name.startswith("classifier")]
    optimizer = torch.optim.AdamW([{"params": body, "lr": _BODY_RATE}, {"params": head, "lr": _HEAD_RATE}])
    steps = args.epochs * (len(pairs) // args.batch)
    warm = max(1, int(_WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    loss_of = torch.nn.BCEWithLogitsLoss()
    network.train()
    started, total = time.monotonic(), 0.0
    for step, batch in enumerate(_batches(pairs, args, order), start=1):
        texts = [pair.first for pair in batch], [pair.second for pair in batch]
        features = tokenizer(*texts, truncation=True, max_length=args.max_tokens, padding=True, return_tensors="pt")
        wanted = torch.tensor([pair.score for pair in batch], dtype=torch.float32)
        loss = loss_of(network(**features).logits[:, 0], wanted)
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += float(loss)
        if step % 20 == 0 or step == steps:
            print(f"step {step}/{steps}, mean loss {total / step:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    model.eval()
    model.save_pretrained(str(args.out))
    print(args.out)


def _batches(pairs: list[LabelledPair], args: argparse.Namespace, order: random.Random) -> Iterator[list[LabelledPair]]:
    """The pairs of each step: shuffled in every epoch, what is left over dropped."""
    for _ in range(args.epochs):
        shuffled = order.sample(pairs, len(pairs))
        for start in range(0, len(shuffled) - args.batch + 1, args.batch):
            yield shuffled[start : start + args.batch]


def _scaled(path: Path, seed: int) -> Sequence[LabelledPair]:
    """The pairs of a file or folder, scores 0 to 1."""
    if path.is_dir():
        return tuple(_relevance_pairs(path, random.Random(seed)))  # noqa: S311 - a choice, no secret
    pairs = read_pairs(path)
    low, high = min(pair.score for pair in pairs), max(pair.score for pair in pairs)
    return tuple(LabelledPair(pair.first, pair.second, (pair.score - low) / (high - low)) for pair in pairs)


def _relevance_pairs(folder: Path, order: random.Random) -> Iterator[LabelledPair]:
    """Every query with its paragraph (score 1), and with others (0), half of them of the same article."""
    corpus = {row["_id"]: row for row in _rows(folder / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    with (folder / "qrels.tsv").open(encoding="utf-8") as stream:
        right = {row["query-id"]: row["corpus-id"] for row in csv.DictReader(stream, delimiter="\t")}
    for query, paragraph in right.items():
        title = corpus[paragraph].get("title")
        near = [name for name, row in corpus.items() if name != paragraph and row.get("title") == title]
        far = [name for name in corpus if name != paragraph]
        chosen = order.sample(near, min(len(near), _NEGATIVES // 2 + 1))
        chosen += order.sample(far, _NEGATIVES - len(chosen))
        yield LabelledPair(queries[query], corpus[paragraph]["text"], 1.0)
        for name in chosen:
            yield LabelledPair(queries[query], corpus[name]["text"], 0.0)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


if __name__ == "__main__":
    main()
