"""The three protocols: what is encoded, in which calls, and what is reported.

``classic``
    1,000 copies of one sentence, 32 a call, average seconds per text: as the first tutorials on accelerating
    sentence transformers measured. An encoder that recognises equal texts would win it without encoding;
    stonnx never does: each copy goes through the model, on either side.
``realistic``
    Distinct texts with a natural mix of lengths, all in one call: each side plans its batches by its own defaults.
``latency``
    Distinct short texts, one a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stonnx.bench.choose import CLASSIC_TEXT, short_texts
from stonnx.bench.report import ProtocolResult, latency_result, pass_result
from stonnx.bench.sides import Pair
from stonnx.bench.timing import Clock, Plan, plan_rounds, run_rounds, spread_blocks

__all__ = ["OnProgress", "Protocol", "protocols", "run_protocol"]

OnProgress = Callable[[str, int, int], None]
"""Told the protocol's name, the texts done so far on both sides together, and the texts in all."""

_COPIES = 1000
_REFERENCE_BATCH = 32  # sentence-transformers' default
_SLICES = 4


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to encode, and how.

    Attributes:
        name: ``classic``, ``realistic`` or ``latency``.
        unit: ``s/text``, ``texts/s`` or ``ms``.
        texts: What a round encodes when there is time for all of it.
        batch: Texts of a call; None for all in one.
        min_texts: Fewest texts of a round, however little time there is.
        warm_up: Texts encoded by either side, up to twice, before anything counts.
        share: Share of the whole time budget.
        in_full: Where the time does not suffice for three rounds, encode every text once, in four rounds of
            a quarter each, instead of fewer texts: the interleaving stays, and the budget gives way.
        block: Where not all texts are encoded, take whole blocks of so many neighbours in length; 1 for single texts.
    """

    name: str
    unit: str
    texts: tuple[str, ...]
    batch: int | None
    min_texts: int
    warm_up: int
    share: float
    in_full: bool = False
    block: int = 1


def protocols(texts: Sequence[str], *, quick: bool) -> tuple[Protocol, ...]:
    """The three protocols; ``texts`` are those of ``realistic``, and ``latency`` takes the short ones among them."""
    return (
        Protocol(
            name="classic",
            unit="s/text",
            texts=(CLASSIC_TEXT,) * _COPIES,
            batch=32,
            min_texts=32,
            warm_up=32,
            share=0.35,
            in_full=not quick,
        ),
        Protocol(
            name="realistic",
            unit="texts/s",
            texts=tuple(texts),
            batch=None,
            min_texts=3 * _REFERENCE_BATCH,
            warm_up=_REFERENCE_BATCH,
            share=0.5,
            block=_REFERENCE_BATCH,
        ),
        Protocol(name="latency", unit="ms", texts=short_texts(texts, 50), batch=1, min_texts=10, warm_up=5, share=0.15),
    )


def run_protocol(
    protocol: Protocol, pair: Pair, *, budget_s: float, clock: Clock, on_progress: OnProgress | None = None
) -> ProtocolResult:
    """Warm up, measure, summarise.

    Args:
        protocol: What to do.
        pair: The two sides.
        budget_s: Time for this protocol, seconds, warm-up included.
        clock: Where seconds come from.
        on_progress: Called after each call to ``encode``, outside of the measured time.
    """
    deadline = clock() + budget_s
    cost = _warm_up(protocol, pair, clock, enough_s=budget_s / 8)
    plan = _plan(protocol, cost, deadline - clock())
    chosen = spread_blocks(protocol.texts, plan.texts, block=protocol.block)
    plan = replace(plan, texts=len(chosen))
    calls = _calls(chosen, protocol.batch)
    total = 2 * plan.texts * plan.max_rounds
    done = 0

    def on_texts(count: int) -> None:
        nonlocal done
        done += count
        if on_progress is not None:
            on_progress(protocol.name, done, total)

    on_texts(0)
    rounds = list(run_rounds(pair, calls, plan, deadline=deadline, clock=clock, on_texts=on_texts))
    if done < total:  # the time was up before the last round
        on_texts(total - done)
    if protocol.unit == "ms":
        return latency_result(protocol.name, plan.texts, rounds)
    return pass_result(protocol.name, protocol.unit, plan.texts, rounds)


def _warm_up(protocol: Protocol, pair: Pair, clock: Clock, *, enough_s: float) -> float:
    """Seconds per text, both sides together, in the second of two passes that count for nothing else.

    A first pass that took ``enough_s`` or longer is the only one: its share of allocating is small.
    """
    calls = _calls(spread_blocks(protocol.texts, protocol.warm_up, block=protocol.block), protocol.batch)
    seconds = 0.0
    for _ in range(2):  # first runs allocate and compile: they are slower than any later one
        start = clock()
        for side in (pair.a, pair.b):
            for texts in calls:
                side.encode(texts)
        seconds = clock() - start
        if seconds >= enough_s:
            break
    return seconds / sum(len(texts) for texts in calls)


def _plan(protocol: Protocol, seconds_per_text: float, budget_s: float) -> Plan:
    count = len(protocol.texts)
    plan = plan_rounds(seconds_per_text, texts=count, min_texts=protocol.min_texts, budget_s=budget_s)
    if protocol.in_full and plan.texts < count:
        return Plan(texts=count // _SLICES, min_rounds=_SLICES, max_rounds=_SLICES)
    return plan


def _calls(texts: Sequence[str], batch: int | None) -> list[Sequence[str]]:
    if batch is None:
        return [texts]
    return [texts[start : start + batch] for start in range(0, len(texts), batch)]
