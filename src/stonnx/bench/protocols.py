"""The protocols: what is run, in which calls, and what is reported.

Of embedding models:

``classic``
    1,000 copies of one sentence, 32 a call, average seconds per text: as the first tutorials on accelerating
    sentence transformers measured. An encoder that recognises equal texts would win without encoding; neither side
    does that here: each copy goes through the model.
``realistic``
    Distinct texts with a natural mix of lengths, all in one call: each side plans its batches by its own defaults.
``latency``
    Distinct short texts, one a call.

Of rerankers:

``realistic``
    Distinct pairs with a natural mix of lengths, all in one call.
``latency``
    One query with twenty documents a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stonnx._queries import query_calls
from stonnx._timing import Clock, Item, RoundLimits, run_rounds, short_texts, spread_blocks
from stonnx.bench.choose import CLASSIC_TEXT
from stonnx.bench.plan import Plan, plan_rounds
from stonnx.bench.report import ProtocolResult, latency_result, pass_result
from stonnx.bench.sides import Sides

__all__ = ["OnProgress", "Protocol", "pair_protocols", "protocols", "run_protocol"]

OnProgress = Callable[[str, int, int], None]
"""Told the protocol's name, the texts (or pairs) done so far on both sides together, and those in all."""

_COPIES = 1000
_REFERENCE_BATCH = 32  # sentence-transformers' default
_SLICES = 4
_QUERIES = 10  # of the latency of rerankers


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to run, and how. Where it says texts, a reranker has pairs.

    Attributes:
        name: ``classic``, ``realistic`` or ``latency``.
        unit: ``s/text``, ``texts/s``, ``pairs/s`` or ``ms``.
        texts: What a round runs when there is time for all of it.
        batch: Texts of a call; None for all in one.
        min_texts: Fewest texts of a round, however little time there is.
        warm_up: Texts that either side runs, up to twice, before anything counts.
        share: Share of the whole time budget.
        in_full: Where the time is too short for three rounds: True runs every text once, in four rounds of a quarter
            each, and exceeds the time; False runs fewer texts.
        block: Where not all texts are run, take whole blocks of this many neighbours in length; 1 for single texts.
        whole_calls: Where not all texts are run, take the first calls as they are: their texts belong together.
    """

    name: str
    unit: str
    texts: tuple[Item, ...]
    batch: int | None
    min_texts: int
    warm_up: int
    share: float
    in_full: bool = False
    block: int = 1
    whole_calls: bool = False


def protocols(texts: Sequence[str], *, quick: bool) -> tuple[Protocol, ...]:
    """Those of embedding models; ``texts`` are those of ``realistic``, and ``latency`` takes the short ones of them."""
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


def pair_protocols(pairs: Sequence[tuple[str, str]]) -> tuple[Protocol, ...]:
    """Those of rerankers; ``pairs`` are those of ``realistic``, and ``latency`` takes queries and documents of them."""
    calls = query_calls(pairs, queries=_QUERIES)
    documents = len(calls[0])
    return (
        Protocol(
            name="realistic",
            unit="pairs/s",
            texts=tuple(pairs),
            batch=None,
            min_texts=3 * _REFERENCE_BATCH,
            warm_up=_REFERENCE_BATCH,
            share=0.7,
            block=_REFERENCE_BATCH,
        ),
        Protocol(
            name="latency",
            unit="ms",
            texts=tuple(pair for call in calls for pair in call),
            batch=documents,
            min_texts=3 * documents,
            warm_up=documents,
            share=0.3,
            whole_calls=True,
        ),
    )


def run_protocol(
    protocol: Protocol, sides: Sides, *, budget_s: float, clock: Clock, on_progress: OnProgress | None = None
) -> ProtocolResult:
    """Warm up, measure, summarise.

    Args:
        protocol: What to do.
        sides: The two sides.
        budget_s: Time for this protocol, seconds, warm-up included.
        clock: Where seconds come from.
        on_progress: Called after each call to a side, outside of the measured time.
    """
    deadline = clock() + budget_s
    cost = _warm_up(protocol, sides, clock, enough_s=budget_s / 8)
    plan = _plan(protocol, cost, deadline - clock())
    chosen = _some(protocol, plan.texts)
    plan = replace(plan, texts=len(chosen))
    calls = _calls(chosen, protocol.batch)
    total = 2 * plan.texts * plan.max_rounds
    done = 0

    def count(texts: int) -> None:
        nonlocal done
        done += texts
        if on_progress is not None:
            on_progress(protocol.name, done, total)

    count(0)
    turns = (sides.a.run, sides.b.run)
    limits = RoundLimits(fewest=plan.min_rounds, most=plan.max_rounds, deadline=deadline)
    rounds = list(run_rounds(turns, calls, limits=limits, clock=clock, after_call=lambda texts: count(len(texts))))
    if done < total:  # the time was up before the last round
        count(total - done)
    if protocol.unit == "ms":
        return latency_result(protocol.name, plan.texts, rounds)
    return pass_result(protocol.name, protocol.unit, plan.texts, rounds)


def _warm_up(protocol: Protocol, sides: Sides, clock: Clock, *, enough_s: float) -> float:
    """Seconds per text, both sides together, in the second of two passes that count for nothing else.

    A first pass that took ``enough_s`` or longer is the only one: what it spent on allocating hardly counts.
    """
    calls = _calls(_some(protocol, protocol.warm_up), protocol.batch)
    seconds = 0.0
    for _ in range(2):  # first runs allocate and compile: they are slower than any later one
        start = clock()
        for side in (sides.a, sides.b):
            for texts in calls:
                side.run(texts)
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


def _some(protocol: Protocol, count: int) -> tuple[Item, ...]:
    """At least ``count`` of a protocol's texts, in their order."""
    if protocol.whole_calls and protocol.batch is not None:
        return protocol.texts[: -(-count // protocol.batch) * protocol.batch]
    return spread_blocks(protocol.texts, count, block=protocol.block)


def _calls(texts: Sequence[Item], batch: int | None) -> list[Sequence[Item]]:
    if batch is None:
        return [texts]
    return [texts[start : start + batch] for start in range(0, len(texts), batch)]
