"""The modules behind the transformer: their ``config.json`` as frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.spec import Dense, HeadModule, LayerNorm, Normalize, Pooling, PoolingMode
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["LEGACY_MODES", "read_head_module"]

_MODES: tuple[PoolingMode, ...] = get_args(PoolingMode)
# In the order in which sentence-transformers concatenates them.
LEGACY_MODES: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLING_KEYS = {"embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt", *LEGACY_MODES}
_DENSE_KEYS = {
    "in_features",
    "out_features",
    "bias",
    "activation_function",
    "module_input_name",
    "module_output_name",
    "use_residual",
}
_ACTIVATION = re.compile(r"torch\.nn\.(modules\.\w+\.)?(?P<name>[A-Z]\w*)")
_SENTENCE = "sentence_embedding"


def read_head_module(folder: SourceFolder, kind: str, path: str, notes: list[str]) -> HeadModule:
    """Read the module of ``kind`` (``Pooling``, ``Dense``, ``LayerNorm``, ``Normalize``) that lies in ``path``.

    Args:
        folder: The model.
        kind: Class name of the module.
        path: Its sub-folder, POSIX.
        notes: Receives what was assumed, for the user.

    Raises:
        CheckpointError: The configuration is missing, damaged, or has a value of the wrong type.
        UnsupportedModelError: An option that stonnx does not author.
    """
    name = f"{path}/config.json" if path else "config.json"
    if kind == "Normalize":
        config = folder.read_object(name) if folder.exists(name) else {}
        _check_names(name, config)
        return Normalize()
    config = folder.read_object(name)
    if kind == "Pooling":
        return _pooling(name, config)
    if kind == "Dense":
        return _dense(name, path, config, notes)
    return LayerNorm(path=path, dimension=_size(name, config, "dimension"))


def _pooling(name: str, config: dict[str, Any]) -> Pooling:
    unknown = sorted(set(config) - _POOLING_KEYS)
    if unknown:
        raise UnsupportedModelError(
            f"{name} has pooling options that stonnx does not know: {', '.join(unknown)}.",
            hint="Only the options of sentence-transformers' own Pooling module are converted.",
        )
    include_prompt = _flag(name, config, "include_prompt", default=True)
    return Pooling(modes=_modes(name, config), include_prompt=include_prompt)


def _modes(name: str, config: dict[str, Any]) -> tuple[PoolingMode, ...]:
    if "pooling_mode" not in config:
        return tuple(mode for key, mode in LEGACY_MODES.items() if _flag(name, config, key)) or ("mean",)
    value = config["pooling_mode"]
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list) or not wanted:
        raise CheckpointError(f"{name}: pooling_mode is {value!r}; expected a mode or a list of modes.")
    if len(wanted) > len(_MODES):
        raise UnsupportedModelError(
            f"{name}: pooling_mode lists {len(wanted)} modes; stonnx authors each of the {len(_MODES)} once at most."
        )
    modes = tuple(mode for item in wanted for mode in _MODES if mode == item)
    if len(modes) != len(wanted):
        unknown = ", ".join(repr(item) for item in wanted if item not in _MODES)
        raise UnsupportedModelError(
            f"{name}: stonnx does not know the pooling mode {unknown}.", hint=f"It knows {', '.join(_MODES)}."
        )
    return modes


def _dense(name: str, path: str, config: dict[str, Any], notes: list[str]) -> Dense:
    _check_names(name, config)
    _note_unknown(name, set(config) - _DENSE_KEYS, notes)
    return Dense(
        path=path,
        in_features=_size(name, config, "in_features"),
        out_features=_size(name, config, "out_features"),
        bias=_flag(name, config, "bias", default=True),
        activation=_activation(name, config, notes),
        use_residual=_flag(name, config, "use_residual"),
    )


def _note_unknown(name: str, keys: Iterable[str], notes: list[str]) -> None:
    unknown = ", ".join(sorted(keys))
    if unknown:
        notes.append(f"{name}: the options {unknown} are unknown and ignored, as sentence-transformers does.")


def _activation(name: str, config: dict[str, Any], notes: list[str]) -> str:
    path = config.get("activation_function", "torch.nn.Tanh")
    if not isinstance(path, str):
        raise CheckpointError(f"{name}: activation_function is {path!r}; expected the path of a torch.nn class.")
    if not path.startswith("torch."):
        notes.append(
            f"{name}: the activation {path!r} is not torch's own; Tanh instead, as sentence-transformers does."
        )
        return "Tanh"
    match = _ACTIVATION.fullmatch(path)
    if match is None:
        raise UnsupportedModelError(
            f"{name}: the activation {path!r} is not a class of torch.nn.",
            hint="Save the model again with an activation such as torch.nn.Tanh or torch.nn.Identity.",
        )
    return match["name"]


def _check_names(name: str, config: dict[str, Any]) -> None:
    """The module must read and write the sentence vector."""
    for key in ("module_input_name", "module_output_name"):
        value = config.get(key)
        if value is not None and value != _SENTENCE:
            raise UnsupportedModelError(
                f"{name}: {key} is {value!r}; stonnx converts modules that work on {_SENTENCE!r}.",
                hint="Models that work on token vectors behind the transformer are not supported.",
            )


def _flag(name: str, config: dict[str, Any], key: str, *, default: bool = False) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"{name}: {key} is {value!r}; expected true or false.")
    return value


def _size(name: str, config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"{name}: {key} is {value!r}; expected a positive whole number.")
    return value
