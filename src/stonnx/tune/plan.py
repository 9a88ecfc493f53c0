"""How many texts or pairs a tuning runs, and how its seconds are shared out, from how fast the base is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stonnx._timing import Clock, Item, spread, spread_blocks
from stonnx.tune.options import TuneOptions
from stonnx.tune.subject import Call

__all__ = ["Plan", "Samples", "Work", "make_plan"]

_BLOCK_TEXTS = 32  # neighbours in length that stay together, so that batches of equal lengths form as with all texts
_WARM_TEXTS = 64
# Of a pass. Fewer would leave batches that are smaller than those of real use; for one text at a time they only inform.
_FEWEST_TEXTS = {"throughput": 96, "latency": 32}
_PASSES = 7  # over the texts in a race: three rounds of two sides, and the warm-up
# Shares of a race's time for the race with many texts, and for the one with single texts.
_SHARES = {"throughput": (0.8, 0.1), "latency": (0.4, 0.4)}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the races run, and for how long.

    Attributes:
        many: Texts, or pairs, of one pass.
        short: Calls that are answered at once: single texts, or the documents of one query.
        many_s: Seconds of a race with ``many``.
        short_s: Seconds of a race with ``short``.
        least_s: Seconds, about, that it takes to load, compare and race every variant once, however few are allowed.
    """

    many: tuple[Item, ...]
    short: tuple[Call, ...]
    many_s: float
    short_s: float
    least_s: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to measure.

    Attributes:
        variants: How many variants are loaded, compared and raced, the base among them.
        settings: How many races with other settings there can be.
        variant_s: Seconds to load and to compare a variant, as the base took them.
    """

    variants: int
    settings: int
    variant_s: float


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What the user will run.

    Attributes:
        items: Distinct texts, or pairs, at least one.
        single_calls: Calls that are answered at once, made of them.
    """

    items: tuple[Item, ...]
    single_calls: tuple[Call, ...]


def make_plan(
    run: Callable[[Sequence[Item]], object], samples: Samples, *, work: Work, options: TuneOptions, clock: Clock
) -> Plan:
    """Choose as many of the texts or pairs as the time allows.

    Args:
        run: Runs the base, which every candidate races against; it is called to see how fast it is.
        samples: What to choose from.
        work: What there is to measure.
        options: How much time there is, and for what.
        clock: Where seconds come from.
    """
    items = samples.items
    share_many, share_short = _SHARES[options.aim]
    fixed_s = work.variants * work.variant_s
    seconds = max(options.seconds - fixed_s, 0.0) / (work.variants + work.settings)
    few = spread(items, _WARM_TEXTS)
    run(few)
    start = clock()
    run(few)
    cost = max(clock() - start, 1e-6) / len(few)
    fewest = _FEWEST_TEXTS[options.aim]
    count = max(fewest, int(seconds * share_many / _PASSES / cost))
    return Plan(
        many=spread_blocks(items, count, block=_BLOCK_TEXTS),
        short=samples.single_calls,
        many_s=seconds * share_many * (_PASSES - 1) / _PASSES,
        short_s=seconds * share_short,
        least_s=fixed_s + work.variants * _PASSES * cost * min(fewest, len(items)),
    )
