"""Whether ``int8-fast`` is worth its place beside ``int8``: it is kept only where it is measurably faster.

``int8`` is closer to the original, so a variant that only costs disk space and a choice is left out. Both graphs are
run by turns on one thread of the machine that converts, on one batch of calibration text, and what counts is that
thread's CPU time: other work on the machine hardly touches it. Kept is what is at least 5 %
faster in four of five turns: where the two are equally fast, chance alone hardly ever gives that (were it faster by
just 5 %, so that each turn is a coin's throw, in one conversion of fifty after nine turns, and in fewer after more),
and where they differ as they do with AMX (1.3 to 2 times), no turn says otherwise.

For example::

    variants, notes = without_slower(variants, staging, rows)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stonnx._timing import Clock, RoundLimits, median, run_rounds
from stonnx.artifact import Variant
from stonnx.machine import cpu_name
from stonnx.runtime.engines.onnxruntime import OnnxRuntimeEngine
from stonnx.runtime.feeds import Feeds, make_feeds
from stonnx.runtime.token_rows import TokenRows

__all__ = ["Gain", "measure_gain", "time_gain", "without_slower"]

CLOSER, FASTER = "int8", "int8-fast"

_LEAST_GAIN = 1.05
_OF_TURNS = 0.8
_FEWEST_TURNS, _MOST_TURNS = 9, 25
_SECONDS = 1.0  # of CPU time, after which no turn begins beyond the fewest
_ROWS, _TOKENS = 8, 32  # a batch of the size that the planner makes takes four times as long, and says the same
_WARM_UPS = 2


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much faster one graph is than another.

    Attributes:
        by_turn: Seconds of the slower-by-design graph over those of the other one, in each turn.
    """

    by_turn: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the turns."""
        return median(self.by_turn)

    @property
    def worth_it(self) -> bool:
        """Whether the gain is there in nearly every turn."""
        return sum(gain >= _LEAST_GAIN for gain in self.by_turn) >= _OF_TURNS * len(self.by_turn)


def without_slower(
    variants: Sequence[Variant], staging: Path, rows: TokenRows
) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """Leave ``int8-fast`` and its graph out where it is hardly faster than ``int8``.

    Its integers stay where they are: the variants of OpenVINO multiply the same ones.

    Args:
        variants: What was written.
        staging: The folder that becomes the artifact.
        rows: Token rows to run, such as those of the calibration.

    Returns:
        The variants that stay, and a note on the one that does not.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    by_name = {variant.name: variant for variant in variants}
    closer, faster = by_name.get(CLOSER), by_name.get(FASTER)
    if closer is None or faster is None or not len(rows.ids):
        return tuple(variants), ()
    gain = measure_gain((staging / closer.graph.file, staging / faster.graph.file), closer.graph.inputs, rows)
    if gain.worth_it:
        return tuple(variants), ()
    (staging / faster.graph.file).unlink()
    note = (
        f"{FASTER} was left out: on this processor ({cpu_name()}) it is hardly faster than {CLOSER} "
        f"({gain.ratio:.2f} times, one thread). Where another kind is to run the model, convert on that one."
    )
    return tuple(variant for variant in variants if variant is not faster), (note,)


def measure_gain(graphs: tuple[Path, Path], inputs: Sequence[str], rows: TokenRows) -> Gain:
    """How much faster the second graph is than the first, with ONNX Runtime on one thread.

    Args:
        graphs: Two ONNX files for rows of equal length; their external data lies beside them.
        inputs: The inputs to feed, the same for both.
        rows: Token rows, not without a token.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: ONNX Runtime cannot load a graph.
        RunError: ONNX Runtime failed.
    """
    feeds = make_feeds(batch_of(rows), np.arange(_ROWS), inputs=inputs, pad_id=0)
    first, second = (OnnxRuntimeEngine(graph, threads=1, optimize=False) for graph in graphs)
    try:
        return time_gain((_runner(first, feeds), _runner(second, feeds)), clock=time.thread_time)
    finally:
        first.close()
        second.close()


def time_gain(runs: tuple[Callable[[], object], Callable[[], object]], *, clock: Clock) -> Gain:
    """How much faster the second function is than the first, by turns; both are warmed up before.

    Args:
        runs: The functions.
        clock: Where seconds come from.
    """
    for run in runs * _WARM_UPS:
        run()
    limits = RoundLimits(fewest=_FEWEST_TURNS, most=_MOST_TURNS, deadline=clock() + _SECONDS)
    first, second = runs
    rounds = run_rounds((lambda _: first(), lambda _: second()), (None,), limits=limits, clock=clock)
    return Gain(by_turn=tuple(turn.a[0] / turn.b[0] for turn in rounds))


def batch_of(rows: TokenRows) -> TokenRows:
    """Rows of equal length from the tokens of others, cut as they come and repeated where there are few."""
    tokens = min(_TOKENS, int(rows.lengths.max()))
    types = rows.token_type_ids
    return TokenRows(
        ids=np.resize(rows.ids, _ROWS * tokens),
        offsets=np.arange(_ROWS + 1) * tokens,
        truncated=0,
        token_type_ids=None if types is None else np.resize(types, _ROWS * tokens),
    )


def _runner(engine: OnnxRuntimeEngine, feeds: Feeds) -> Callable[[], object]:
    return lambda: engine.run(feeds, ())  # no names: all outputs
