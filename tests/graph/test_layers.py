"""Every option of a layer, in the dialects that have a form for it, against a twin in NumPy."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from stonnx.errors import UnsupportedModelError
from stonnx.graph.blocks import AttentionPattern, Rotary
from stonnx.graph.dialects import CannotWriteError, OpenVinoInt8, OrtCpu, OrtCpuInt8, Portable
from tests.graph.layer_twin import WIDTH, layer_twin, make_layer, round_layer, run_layer

ROTARY = Rotary(frequencies=(1.0, 0.3, 0.05, 0.007))
CAUSAL, WINDOW, CAUSAL_WINDOW = (
    AttentionPattern(after=0),
    AttentionPattern(before=2, after=2),
    AttentionPattern(before=3, after=0),
)
EVERYTHING = {
    "key_value_heads": 2,
    "rotary": ROTARY,
    "pattern": CAUSAL_WINDOW,
    "head_norms": True,
    "norm": "rms",
    "norm_bias": False,
    "gated": True,
    "activation": "silu",
    "placement": "pre",
    "biases": False,
    "scale": 0.2,
}
OPTIONS = {
    "plain": {},
    "no biases": {"biases": False},
    "one key head": {"key_value_heads": 1},
    "two key heads": {"key_value_heads": 2},
    "rotary": {"rotary": ROTARY},
    "rotary, half a head": {"rotary": Rotary(frequencies=(1.0, 0.1), scale=1.3)},
    "causal": {"pattern": CAUSAL},
    "window": {"pattern": WINDOW},
    "causal window": {"pattern": CAUSAL_WINDOW},
    "scale": {"scale": 0.9},
    "norms of queries and keys": {"head_norms": True},
    "norms of queries and keys, rotary": {"head_norms": True, "norm": "rms", "rotary": ROTARY},
    "rms": {"norm": "rms"},
    "rms without bias": {"norm": "rms", "norm_bias": False},
    "layer norm without bias": {"norm_bias": False},
    "pre-norm": {"placement": "pre"},
    "gated": {"gated": True, "activation": "silu"},
    "gated gelu": {"gated": True, "biases": False, "activation": "gelu_tanh"},
    "silu": {"activation": "silu"},
    "tanh form": {"activation": "gelu_tanh", "biases": False},
    "everything": EVERYTHING,
}
REFUSED = {
    "one key head": "key and value heads",
    "two key heads": "key and value heads",
    "causal": "does not reach all tokens",
    "window": "does not reach all tokens",
    "causal window": "does not reach all tokens",
    "everything": "key and value heads",
}
TOLERANCE = 1e-5  # float32 against float64, on results that reach 5
TANH_FORM = 5e-3  # the int8 dialect takes that form of GELU also where nothing is quantised


def batch(padding, tokens=9):
    """Four rows of 9, 6, 3 and 1 tokens, filled up to 9 on one side."""
    x = np.random.default_rng(2).standard_normal((4, tokens, WIDTH)).astype(np.float32)
    mask = np.arange(tokens) < np.array([[tokens], [6], [3], [1]])
    return x, (mask if padding == "right" else mask[:, ::-1]).astype(np.int64)


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("name", OPTIONS)
def test_portable_writes_every_option(tmp_path, name, padding):
    made, (x, mask) = make_layer(**OPTIONS[name]), batch(padding)
    found, operators = run_layer(tmp_path, made, Portable(), x, mask)
    assert np.isfinite(found).all()  # a row of padding that sees nothing would be NaN, and spoil the next layer
    assert np.abs(found - layer_twin(made, x, mask))[mask == 1].max() < TOLERANCE
    assert "MultiHeadAttention" not in operators


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "plain"])
def test_every_option_changes_the_result(name):
    """So that none of the tests here passes because an option does nothing."""
    x, mask = batch("right")
    difference = np.abs(layer_twin(make_layer(**OPTIONS[name]), x, mask) - layer_twin(make_layer(), x, mask))
    assert difference[mask == 1].max() > 1e-2 or name == "tanh form"


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in REFUSED])
@pytest.mark.parametrize(
    ("dialect", "tolerance"), [(OrtCpu(), TOLERANCE), (OrtCpuInt8({}), TANH_FORM)], ids=["ort_cpu", "ort_cpu_int8"]
)
def test_onnxruntime_has_forms_of_most(tmp_path, name, dialect, tolerance):
    made, (x, _) = make_layer(**OPTIONS[name]), batch("right")
    mask = np.ones(x.shape[:2], dtype=np.int64)
    found, operators = run_layer(tmp_path, made, copy.deepcopy(dialect), x, mask)
    assert np.abs(found - layer_twin(made, x, mask)).max() < tolerance
    assert "MultiHeadAttention" in operators


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in REFUSED])
def test_integers_stay_close_with_every_option(tmp_path, name, fixed):
    """Biases that are folded into integer products, and keys that keep theirs where they are turned."""
    made, (x, _) = make_layer(**OPTIONS[name]), batch("right")
    mask = np.ones(x.shape[:2], dtype=np.int64)
    found, operators = run_layer(tmp_path, made, OrtCpuInt8(round_layer(made, fixed=fixed)), x, mask)
    expected = layer_twin(made, x, mask)
    assert "MatMulIntegerToFloat" in operators
    assert "MatMul" not in operators
    cosines = (found * expected).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert cosines.mean() > 0.9975  # below 0.994 where a rotated key loses its bias
    assert np.abs(found - expected).max() > 1e-3


@pytest.mark.parametrize("name", ["everything", "window", "two key heads", "rotary, half a head"])
@pytest.mark.parametrize("padding", ["right", "left"])
def test_openvino_computes_the_portable_graph_alike(tmp_path, name, padding):
    openvino = pytest.importorskip("openvino")
    made, (x, mask) = make_layer(**OPTIONS[name]), batch(padding)
    run_layer(tmp_path, made, Portable(), x, mask)
    core = openvino.Core()
    model = core.compile_model(core.read_model(tmp_path / "layer.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2])
    found = model({"input_ids": ids, "attention_mask": mask})[0]
    assert np.isfinite(found).all()
    assert np.abs(found - layer_twin(made, x, mask))[mask == 1].max() < TOLERANCE


@pytest.mark.parametrize("name", REFUSED)
def test_onnxruntime_refuses_the_rest_by_name(tmp_path, name):
    x, mask = batch("right")
    with pytest.raises(CannotWriteError, match=REFUSED[name]) as caught:
        run_layer(tmp_path, make_layer(**OPTIONS[name]), OrtCpu(), x, mask)
    assert caught.value.dialect == "ort_cpu"
    assert REFUSED[name] in caught.value.what
    assert isinstance(caught.value, UnsupportedModelError)


@pytest.mark.parametrize("name", ["everything", "causal"])
def test_openvino_writes_what_portable_writes(tmp_path, name):
    made, (x, mask) = make_layer(**OPTIONS[name]), batch("left")
    found, _ = run_layer(tmp_path, made, OpenVinoInt8({}, static=False), x, mask)
    assert np.abs(found - layer_twin(made, x, mask))[mask == 1].max() < TOLERANCE


def test_what_all_layers_share_is_written_once(tmp_path):
    from stonnx.graph.builder import GraphBuilder, WeightFile
    from stonnx.graph.layers import author_layers
    from stonnx.graph.parameters import Parameters

    made = make_layer(rotary=ROTARY, pattern=CAUSAL)

    class Tensors:
        def get(self, name):
            return made.tensors[name]

    with WeightFile(tmp_path / "weights") as weights:
        g, dialect = GraphBuilder("g", weights), Portable()
        inputs = dialect.declare_inputs(g, token_types=False, pairs=False, prompt_lengths=False)
        x = g.op("Gather", [g.weight("t", lambda: np.zeros((9, WIDTH), np.float32)), inputs.input_ids])
        parameters = Parameters(Tensors(), {name: name for name in made.tensors}, ())
        author_layers(g, parameters, dialect, inputs, x, [made.layer] * 3)
    counts = g.operators()
    assert counts["Cos"] == counts["Sin"] == counts["GreaterOrEqual"] == 1
    assert counts["Softmax"] == 3
