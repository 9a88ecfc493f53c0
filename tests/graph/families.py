"""A family's tiny random models, here and in transformers: what each family's own test is made of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import OpenVinoInt8, OrtCpu, OrtCpuInt8, Portable
from stonnx.graph.quantized import FixedRange, QuantizedProjection, ScalePerToken
from stonnx.testing import TinyModel, make_tiny_model
from tests.graph import oracle
from tests.graph.integers import open_session, quantized_matrix

HIDDEN = 1e-5  # hidden states reach 5 with these weights; both sides compute in float32
EMBEDDING = 2e-6  # of unit length
HEADS = ("MaskedLM", "PreTraining", "SequenceClassification", "TokenClassification", "QuestionAnswering")


class Family:
    """One tiny model: its folder, its blueprint, and what transformers computes with it."""

    def __init__(self, folder, stack, **options):
        self.model = TinyModel(**options)
        self.folder = make_tiny_model(folder / "model", self.model)
        self.out = folder / "graphs"
        self.out.mkdir()
        self._stack = stack

    def weights(self):
        return self._stack.enter_context(Weights.open(resolve_source(self.folder)))

    def make_blueprint(self):
        source = resolve_source(self.folder)
        return make_blueprint(source, read_model(source), self.weights())

    def session(self, dialect):
        """The graph in a dialect, and a session on it."""
        path = self.out / f"{dialect.name}.onnx"
        with WeightFile(self.out / f"{dialect.name}.onnx_data") as weights:
            graph = author_graph(self.make_blueprint(), dialect, weights, lambda _: self.weights())
        onnx.save(graph.model, path)
        return graph, open_session(path, optimize=not isinstance(dialect, OpenVinoInt8))

    def transformers(self, head=None):
        """The model in transformers; with ``head``, one with that head is made and saved in the folder."""
        import torch
        import transformers

        if head is None:
            model, info = transformers.AutoModel.from_pretrained(self.folder, output_loading_info=True)
            assert not {name for name in info["missing_keys"] if "pooler" not in name}, info
            return model.eval()
        config = transformers.AutoConfig.from_pretrained(self.folder)
        model = getattr(transformers, f"AutoModelFor{head}").from_config(config).eval()
        generator = torch.Generator().manual_seed(5)
        for parameter in model.parameters():
            spread = 1.5 / parameter.shape[-1] ** 0.5 if parameter.dim() == 2 else 0.1
            parameter.data = torch.randn(parameter.shape, generator=generator) * spread + (parameter.data == 1).float()
        model.save_pretrained(self.folder)
        return model.base_model


def run_transformers(model, ids, mask, types=None):
    """The last hidden state, float32."""
    import torch

    feeds = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    if types is not None:
        feeds["token_type_ids"] = torch.from_numpy(types)
    with torch.no_grad():
        return model(**feeds).last_hidden_state.numpy()


def token_rows(padding_id=0, vocabulary=40):
    """Rows of 12, 7 and 1 tokens, padded at the end to 12; and four whole rows of nine."""
    rng = np.random.default_rng(7)
    mask = (np.arange(12) < np.array([[12], [7], [1]])).astype(np.int64)
    ids = np.where(mask == 1, rng.integers(5, vocabulary, (3, 12)), padding_id)
    return SimpleNamespace(ids=ids, mask=mask, equal=rng.integers(5, vocabulary, (4, 9)))


def check_family(family: Family, *, padding_id=0, types=True):
    """All four dialects against transformers."""
    model, rows = family.transformers(), token_rows(padding_id)
    graph, portable = family.session(Portable())
    feeds = {"input_ids": rows.ids, "attention_mask": rows.mask}
    kinds = (np.arange(12) > 4).astype(np.int64) * rows.mask if types else None
    assert graph.inputs == ("input_ids", "attention_mask", *(["token_type_ids"] if types else []))
    for given in (None, kinds) if types else (None,):
        more = {"token_type_ids": np.zeros_like(rows.ids) if given is None else given} if types else {}
        found, _ = portable.run(None, feeds | more)
        expected = run_transformers(model, rows.ids, rows.mask, given)
        assert np.abs(found - expected)[rows.mask == 1].max() < HIDDEN
    ones = np.ones_like(rows.equal)
    expected = oracle.normalize(oracle.pool(run_transformers(model, rows.equal, ones), ones, "mean"))
    graph, session = family.session(OrtCpu())
    assert graph.inputs == ("input_ids",)
    assert graph.operators["MultiHeadAttention"] == family.make_blueprint().encoder.layers.count
    (found,) = session.run(None, {"input_ids": rows.equal})
    assert np.abs(found - expected).max() < EMBEDDING
    check_int8(family, rows, expected)


def check_pairs(family: Family, dialects):
    """Pairs: types reach every graph, and padding and types of 0 change nothing for their neighbours."""
    rng, model, encoder = np.random.default_rng(4), family.transformers(), family.make_blueprint().encoder
    ids = rng.integers(5, 40, (3, 10))
    types = (np.arange(10) >= np.array([[4], [10], [1]])).astype(np.int64)
    expected = run_transformers(model, ids, np.ones_like(ids), types if encoder.token_types else None)
    for dialect in dialects:
        path = family.out / f"{dialect.name}_pairs.onnx"
        with WeightFile(path.with_suffix(".onnx_data")) as weights:
            g = GraphBuilder("pairs", weights)
            inputs = dialect.declare_inputs(g, token_types=encoder.token_types, pairs=True, prompt_lengths=False)
            hidden = encoder.author(g, family.make_blueprint().parameters, dialect, inputs)
            g.output(hidden, "last_hidden_state", ("rows", "tokens", encoder.width))
            onnx.save(g.model(), path)
        session = open_session(path)
        feeds = {"input_ids": ids, "token_type_ids": types, "attention_mask": np.ones_like(ids)}
        (found,) = session.run(None, {entry.name: feeds[entry.name] for entry in session.get_inputs()})
        assert np.abs(found - expected).max() < HIDDEN


def check_int8(family: Family, rows, expected):
    """Both int8 dialects with plain rounding: close to the original, and not the original."""
    plans = round_projections(family)
    graph, session = family.session(OrtCpuInt8(plans))
    assert graph.operators["MatMulIntegerToFloat"] == 6 * family.make_blueprint().encoder.layers.count
    (found,) = session.run(None, {"input_ids": rows.equal})
    assert np.abs(found - expected).max() > 1e-5
    assert (found * expected).sum(axis=1).min() > 0.99
    for static in (False, True):
        (family.out / "openvino_int8.onnx_data").unlink(missing_ok=True)
        graph, session = family.session(OpenVinoInt8(plans, static=static))
        feeds = {
            name: np.ones_like(rows.equal) if "mask" in name else np.zeros_like(rows.equal) for name in graph.inputs
        }
        feeds["input_ids"] = rows.equal
        (found,) = session.run(["sentence_embedding"], feeds)
        assert np.abs(found - expected).max() > 1e-5
        assert (found * expected).sum(axis=1).min() > 0.99
        assert (found * run_openvino(family, feeds)).sum(axis=1).min() > 0.9999


def run_openvino(family: Family, feeds):
    """The sentence embeddings of the int8 graph in OpenVINO, without what it quantises by itself."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    model = core.compile_model(core.read_model(family.out / "openvino_int8.onnx"), "CPU", options)
    return model(feeds)["sentence_embedding"]


class _Recorder(Portable):
    name = "recorder"

    def __init__(self):
        super().__init__()
        self.blocks = []

    def project(self, g, p, x, block, *folded):
        self.blocks.append(block)
        return super().project(g, p, x, block, *folded)


def round_projections(family: Family):
    """Every projection rounded plainly, by site."""
    recorder = _Recorder()
    family.session(recorder)
    blocks = {block.site: block for block in recorder.blocks}
    assert len(blocks) == len(recorder.blocks)  # no site twice, shared weights or not
    return {site: _plan(family.make_blueprint().parameters, block) for site, block in blocks.items()}


def _plan(parameters, block):
    matrices = [parameters.get(part.weight).T for part in block.linears]
    multipliers = np.linspace(0.5, 1, len(matrices[0]), dtype=np.float32)
    how = {
        "norm": FixedRange(multipliers=multipliers, scale=10 / 255, zero_point=128),
        "linear": FixedRange(multipliers=multipliers, scale=12 / 255, zero_point=128),
        "attention": ScalePerToken(multipliers=multipliers, zero_point=120),
        "activation": ScalePerToken(multipliers=multipliers, zero_point=24, lower_bound=-0.1701),
    }[block.source]
    return QuantizedProjection(
        input=how, matrices=tuple(quantized_matrix(matrix / multipliers[:, None], 127) for matrix in matrices)
    )


def check_head(family: Family, head, unused):
    """A checkpoint with a head of its own: its encoder is found, and what is not used is named."""
    model, rows = family.transformers(head), token_rows()
    blueprint = family.make_blueprint()
    assert unused <= set(blueprint.parameters.unused)
    base = f"{model.base_model_prefix}."
    assert {name for name in blueprint.parameters.unused if name.startswith(base) and "pooler" not in name} == set()
    graph, session = family.session(Portable())
    zeros = {"token_type_ids": np.zeros_like(rows.ids)} if "token_type_ids" in graph.inputs else {}
    found, _ = session.run(None, {"input_ids": rows.ids, "attention_mask": rows.mask, **zeros})
    expected = run_transformers(model, rows.ids, rows.mask)
    assert np.abs(found - expected)[rows.mask == 1].max() < HIDDEN
