"""What reads bytes that somebody else wrote: each target takes them, and may raise nothing but a StonnxError.

``scripts/fuzz.py`` runs the targets for as long as it is told, ``test_targets.py`` for a moment.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stonnx.artifact import Artifact, PairGoldens, check_graphs, manifest_from_json
from stonnx.artifact.goldens import read_goldens, write_goldens
from stonnx.artifact.strict_json import read_strict_json
from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.checkpoint.safetensors_file import SafetensorsFile
from stonnx.errors import StonnxError
from stonnx.graph import Blueprint, make_blueprint
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.texts import read_texts
from stonnx.verify import read_pairs, read_unlabelled_pairs

__all__ = ["TARGETS", "Target", "seeds"]

REPOSITORY = Path(__file__).resolve().parents[2]
_VALID = REPOSITORY / "tests" / "artifact" / "valid"
_OLD = REPOSITORY / "tests" / "artifact" / "old"
_CORPUS = Path(__file__).parent / "seeds"
_HEAD = (
    Pooling(modes=("mean", "cls")),
    Dense(path="", in_features=64, out_features=8, bias=True, activation="Tanh"),
    LayerNorm(path="", dimension=8),
    Normalize(),
)
_SETTINGS = (
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "3_LayerNorm/config.json",
    "model.safetensors.index.json",
)
_SHARD = "model-00001-of-00001.safetensors"  # what an index of weights names
_CROSS_ENCODER = ("config.json", "config_sentence_transformers.json", "sentence_bert_config.json", "modules.json")
_SUFFIXES = (".jsonl", ".txt", ".csv", ".tsv")

Read = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that reads untrusted bytes.

    Attributes:
        name: How it is called, and the folder of its seeds.
        read: Reads them; a StonnxError is swallowed, everything else is a finding.
        examples: Good inputs that need no file of their own.
    """

    name: str
    read: Read
    examples: tuple[bytes, ...]


def seeds(target: Target) -> list[bytes]:
    """Good inputs, and those that once were findings."""
    folder = _CORPUS / target.name
    return [*target.examples, *(path.read_bytes() for path in sorted(folder.glob("*")))]


class Workshop:
    """A temporary folder with a tiny model, a copy of the valid artifact, and a place for one file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stonnx-fuzz-")
        root = Path(self._folder.name)
        self.model = make_tiny_model(root / "model", TinyModel(head=_HEAD, max_tokens=20, layers=1))
        shutil.copyfile(self.model / "model.safetensors", self.model / _SHARD)
        self.reranker = _make_reranker(root / "reranker")
        self.artifact = Path(shutil.copytree(_VALID, root / "artifact"))
        self.pair_goldens = _pair_goldens(root / "pair_goldens")
        self.opened = Artifact.open(self.artifact)
        self.file = root / "file"

    def manifest(self, data: bytes) -> None:
        """``stonnx.json``."""
        self.file.write_bytes(data)
        with contextlib.suppress(StonnxError):
            manifest_from_json(read_strict_json(self.file))

    def graph(self, data: bytes) -> None:
        """An ONNX file."""
        for variant in self.opened.manifest.variants:  # they take other inputs
            with _replaced(self.artifact / variant.graph.file, data), contextlib.suppress(StonnxError):
                check_graphs(self.opened, variant)

    def goldens(self, data: bytes) -> None:
        """``golden.safetensors``."""
        with _replaced(self.artifact / "golden.safetensors", data), contextlib.suppress(StonnxError):
            read_goldens(self.artifact)

    def golden_texts(self, data: bytes) -> None:
        """``golden.json``, of an embedding model or of a reranker."""
        for folder in (self.artifact, self.pair_goldens):
            with _replaced(folder / "golden.json", data), contextlib.suppress(StonnxError):
                read_goldens(folder)

    def tokenizer(self, data: bytes) -> None:
        """``tokenizer.json`` of a model."""
        self._in_model("tokenizer.json", data)

    def vocabulary(self, data: bytes) -> None:
        """``vocab.txt`` of a model."""
        with _replaced(self.model / "tokenizer.json", None):
            self._in_model("vocab.txt", data)

    def settings(self, data: bytes) -> None:
        """The settings of a model; the first byte says which file."""
        name = _SETTINGS[data[0] % len(_SETTINGS)] if data else _SETTINGS[0]
        without = self.model / "model.safetensors" if name.endswith("index.json") else self.file
        with _replaced(without, None):
            self._in_model(name, data[1:])

    def cross_encoder(self, data: bytes) -> None:
        """The settings of a cross-encoder; the first byte says which file."""
        name = _CROSS_ENCODER[data[0] % len(_CROSS_ENCODER)] if data else _CROSS_ENCODER[0]
        with _replaced(self.reranker / name, data[1:]):
            _blueprint(self.reranker)

    def safetensors(self, data: bytes) -> None:
        """A file of weights."""
        self.file.write_bytes(data)
        with contextlib.suppress(StonnxError), contextlib.closing(SafetensorsFile(self.file)) as tensors:
            for name in tensors.names():
                with contextlib.suppress(StonnxError):
                    assert tensors.get(name).values.shape == tensors.shape(name)

    def texts(self, data: bytes) -> None:
        """Files of texts and of labelled pairs; the first byte says which kind."""
        path = self.file.with_suffix(_SUFFIXES[data[0] % len(_SUFFIXES)] if data else ".txt")
        path.write_bytes(data[1:])
        for read in (read_texts, read_pairs, read_unlabelled_pairs):
            with contextlib.suppress(StonnxError):
                read(path)

    def _in_model(self, name: str, data: bytes) -> None:
        with _replaced(self.model / name, data):
            _blueprint(self.model)


def _blueprint(model: Path) -> Blueprint | None:
    """What can be authored of a model; None where it is refused."""
    with contextlib.suppress(StonnxError):
        source = resolve_source(model)
        spec = read_model(source)
        with Weights.open(source, spec.transformer_path) as weights:
            return make_blueprint(source, spec, weights)
    return None


def _pair_goldens(folder: Path) -> Path:
    """A folder with the goldens of a reranker."""
    folder.mkdir()
    scores = np.array([[0.5], [0.25]], dtype=np.float32)
    pairs = (("a query", "a document"), ("a query", ""))
    write_goldens(folder, PairGoldens(pairs=pairs, scores=scores, logits=scores, reference={"dtype": "float32"}))
    return folder


def _reranker_manifest() -> bytes:
    """The valid manifest as that of a reranker."""
    value = json.loads((_VALID / "stonnx.json").read_text(encoding="utf-8"))
    figures = {"pairs": 2, "queries": 0, "mean_abs_diff": 0, "max_abs_diff": 0, "top10_overlap": 1}
    outputs = [{"name": name, "kind": name, "dimension": 1} for name in ("scores", "logits")]
    scoring = {"labels": ["yes"], "activation": "Sigmoid", "pair_template": "{query} {document}"}
    variants = [{**variant, "fidelity": figures} for variant in value["variants"]]
    other = {"kind": "reranker", "outputs": outputs, "scoring": scoring, "truncate_dim": None, "variants": variants}
    return json.dumps({**value, **other}).encode()


def _make_reranker(folder: Path) -> Path:
    """A tiny model with the files of a cross-encoder that sentence-transformers saved."""
    make_tiny_model(folder, TinyModel(layers=1, with_modules_json=False))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    files = {
        "config.json": {
            **config,
            "architectures": ["BertForSequenceClassification"],
            "id2label": {"0": "no", "1": "yes"},
            "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
        },
        "config_sentence_transformers.json": {
            "model_type": "CrossEncoder",
            "activation_fn": "torch.nn.modules.activation.Sigmoid",
            "prompts": {"query": "q: "},
            "default_prompt_name": "query",
        },
        "sentence_bert_config.json": {"transformer_task": "sequence-classification", "max_seq_length": 20},
        "modules.json": [transformer],
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    width = config["hidden_size"]
    layers = {"bert.pooler.dense": (width, width), "classifier": (2, width)}
    weights = load_file(folder / "model.safetensors")
    for name, shape in layers.items():
        weights |= {f"{name}.weight": np.zeros(shape, np.float32), f"{name}.bias": np.zeros(shape[:1], np.float32)}
    save_file(weights, folder / "model.safetensors")
    return folder


@contextlib.contextmanager
def _replaced(path: Path, data: bytes | None):  # type: ignore[no-untyped-def]
    """``path`` with other bytes, or gone, for a while."""
    before = path.read_bytes() if path.exists() else None
    _put(path, data)
    try:
        yield
    finally:
        _put(path, before)


def _put(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)


def _index(model: Path) -> bytes:
    names = SafetensorsFile(model / "model.safetensors").names()
    return json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, _SHARD)}).encode()


def _targets() -> tuple[Target, ...]:
    shop = Workshop()
    model = shop.model

    def settings() -> tuple[bytes, ...]:
        there = {name: (model / name).read_bytes() for name in _SETTINGS if (model / name).exists()}
        there["model.safetensors.index.json"] = _index(model)
        return tuple(bytes([number]) + there[name] for number, name in enumerate(_SETTINGS) if name in there)

    pieces = "\n".join(json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    graphs = tuple((shop.artifact / "onnx" / name).read_bytes() for name in ("model_optimized.onnx", "model.onnx"))
    manifests = ((_VALID / "stonnx.json").read_bytes(), _reranker_manifest())
    manifests += tuple(path.read_bytes() for path in sorted(_OLD.glob("*/stonnx.json")))
    dense = (model / "2_Dense" / "model.safetensors").read_bytes()
    pairs = (
        b'\x00{"text": "a", "s1": "a", "s2": "b", "score": 1}\n{"s1": "c", "s2": "d", "score": 0.5}\n',
        b"\x01one\ntwo\r\n\n",
        b'\x02s1,s2,score\n"a, b",c,1\nd,e,0\n',
        b"\x03a\tb\t1\nc\td\t2\n",
    )
    return (
        Target(name="manifest", read=shop.manifest, examples=manifests),
        Target(name="graph", read=shop.graph, examples=graphs),
        Target(name="goldens", read=shop.goldens, examples=((_VALID / "golden.safetensors").read_bytes(),)),
        Target(
            name="golden_texts",
            read=shop.golden_texts,
            examples=tuple((folder / "golden.json").read_bytes() for folder in (_VALID, shop.pair_goldens)),
        ),
        Target(name="tokenizer", read=shop.tokenizer, examples=((model / "tokenizer.json").read_bytes(),)),
        Target(name="vocabulary", read=shop.vocabulary, examples=(pieces.encode(),)),
        Target(name="settings", read=shop.settings, examples=settings()),
        Target(
            name="cross_encoder",
            read=shop.cross_encoder,
            examples=tuple(bytes([n]) + (shop.reranker / name).read_bytes() for n, name in enumerate(_CROSS_ENCODER)),
        ),
        Target(name="safetensors", read=shop.safetensors, examples=(dense,)),
        Target(name="texts", read=shop.texts, examples=pairs),
    )


TARGETS = {target.name: target for target in _targets()}
