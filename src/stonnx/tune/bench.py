"""One candidate after the other, loaded, compared and raced against the base."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stonnx._timing import Clock, median, short_texts, spread, spread_blocks
from stonnx.artifact import Artifact, Variant
from stonnx.runtime import Encoder
from stonnx.runtime.engines import ENGINES
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.streams import RunSettings
from stonnx.tune.fidelity import Reference
from stonnx.tune.memory import resident_bytes
from stonnx.tune.options import TuneOptions
from stonnx.tune.race import Race, run_race
from stonnx.tune.report import Row
from stonnx.verify import VariantReport, measure_variant

__all__ = ["Bench", "Loaded", "Plan", "Work", "load_measured", "make_plan", "settings_of"]

_BLOCK_TEXTS = 32  # neighbours in length that stay together, so that batches of equal lengths form as with all texts
_WARM_TEXTS = 64
# Of a pass. Fewer would leave batches that are smaller than those of real use; for one text at a time they only inform.
_FEWEST_TEXTS = {"throughput": 96, "latency": 32}
_SHORT_TEXTS = 8
_RUNS = 7  # encoding passes of a race: three rounds of two sides, and the warm-up
# Shares of a race's time for the race with many texts, and for the one with single texts.
_SHARES = {"throughput": (0.8, 0.1), "latency": (0.4, 0.4)}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the races encode, and for how long.

    Attributes:
        many: Texts of one pass.
        short: Texts that are encoded one by one.
        many_s: Seconds of a race with ``many``.
        short_s: Seconds of a race with ``short``.
        least_s: Seconds that loading, comparing and racing every variant once takes, about, however few are allowed.
    """

    many: tuple[str, ...]
    short: tuple[str, ...]
    many_s: float
    short_s: float
    least_s: float


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A variant that was loaded and measured once, with default settings."""

    variant: Variant
    engine: str
    load_s: float
    memory_bytes: int | None
    compared: VariantReport


@dataclass(frozen=True, kw_only=True)
class _Raced:
    loaded: Loaded
    settings: RunSettings
    many: Race
    short: Race


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to measure.

    Attributes:
        variants: Variants to load, to compare and to race, the base among them.
        settings: Races with other settings.
        variant_s: Seconds to load and to compare a variant, as the base took them.
    """

    variants: int
    settings: int
    variant_s: float


def make_plan(base: Encoder, texts: Sequence[str], *, work: Work, options: TuneOptions, clock: Clock) -> Plan:
    """Choose as many of the texts as there is time for.

    Args:
        base: What every candidate races against; it is run to see how fast it is.
        texts: All texts, at least one.
        work: What there is to measure.
        options: How much time there is, and for what.
        clock: Where seconds come from.
    """
    share_many, share_short = _SHARES[options.aim]
    fixed_s = work.variants * work.variant_s
    seconds = max(options.seconds - fixed_s, 0.0) / (work.variants + work.settings)
    few = spread(texts, _WARM_TEXTS)
    base.encode(few)
    start = clock()
    base.encode(few)
    cost = max(clock() - start, 1e-6) / len(few)
    fewest = _FEWEST_TEXTS[options.aim]
    count = max(fewest, int(seconds * share_many / _RUNS / cost))
    return Plan(
        many=spread_blocks(texts, count, block=_BLOCK_TEXTS),
        short=short_texts(texts, _SHORT_TEXTS) or tuple(texts[:1]),
        many_s=seconds * share_many * (_RUNS - 1) / _RUNS,
        short_s=seconds * share_short,
        least_s=fixed_s + work.variants * _RUNS * cost * min(fewest, len(texts)),
    )


@contextlib.contextmanager
def load_measured(artifact: Artifact, variant: Variant, *, clock: Clock) -> Iterator[tuple[Encoder, float, int | None]]:
    """Load a variant with default settings: the encoder, the seconds, and the memory held before, in bytes."""
    if why_not_here(variant) is None:  # otherwise loading says why
        importlib.import_module(ENGINES[variant.engine].package)  # so that the seconds are the model's alone
    gc.collect()
    before = resident_bytes()
    start = clock()
    with Encoder.load(artifact, variant=variant.name) as encoder:
        yield encoder, clock() - start, before


@dataclass
class Bench:
    """Races candidates against the base and keeps what came of it.

    Attributes:
        artifact: Where the variants lie.
        base: Runs the reference variant with default settings.
        reference: What every variant is compared with.
        plan: What is encoded, and for how long.
        clock: Where seconds come from.
    """

    artifact: Artifact
    base: Encoder
    reference: Reference
    plan: Plan
    clock: Clock
    _raced: list[_Raced] = field(default_factory=list)

    def add_base(self, compared: VariantReport, load_s: float, before: int | None) -> None:
        """Race the base against itself: what is seen there beside 1 is the noise of the machine."""
        self._race(self.base, _loaded(self.base, compared, load_s, before))

    def add_variant(self, variant: Variant) -> None:
        """Load a variant with default settings, compare it, race it.

        Raises:
            StonnxError: It cannot be loaded, or failed.
        """
        with load_measured(self.artifact, variant, clock=self.clock) as (encoder, load_s, before):
            compared = measure_variant(encoder, self.reference.goldens)
            self._race(encoder, _loaded(encoder, compared, load_s, before))

    def add_settings(self, row: Row, settings: RunSettings) -> None:
        """Race a variant that was measured before, with other settings.

        Raises:
            StonnxError: It cannot be loaded, or failed.
        """
        loaded = next(raced.loaded for raced in self._raced if raced.loaded.variant.name == row.variant)
        with Encoder.load(
            self.artifact,
            variant=row.variant,
            threads=settings.threads,
            streams=settings.streams,
            batch_tokens=settings.batch_tokens,
        ) as encoder:
            self._race(encoder, loaded)

    def rows(self) -> tuple[Row, ...]:
        """What was measured, in order; the base's speed is its median over all races."""
        base_many = median([raced.many.base_s for raced in self._raced])
        base_short = median([raced.short.base_s for raced in self._raced])
        return tuple(
            self._row(raced, base_many, base_short, is_base=number == 0) for number, raced in enumerate(self._raced)
        )

    def _race(self, encoder: Encoder, loaded: Loaded) -> None:
        plan, clock = self.plan, self.clock
        short = run_race(self.base.encode, encoder.encode, plan.short, budget_s=plan.short_s, clock=clock)
        many = run_race(self.base.encode, encoder.encode, [plan.many], budget_s=plan.many_s, clock=clock)
        self._raced.append(_Raced(loaded=loaded, settings=settings_of(encoder), many=many, short=short))

    def _row(self, raced: _Raced, base_many: float, base_short: float, *, is_base: bool) -> Row:
        loaded = raced.loaded
        many_ratio, short_ratio = (1.0, 1.0) if is_base else (raced.many.ratio, raced.short.ratio)
        sizes = {entry.path: entry.size_bytes for entry in self.artifact.manifest.files}
        return Row(
            variant=loaded.variant.name,
            engine=loaded.engine,
            settings=raced.settings,
            texts_per_second=len(self.plan.many) / (base_many / many_ratio),
            ratio=many_ratio,
            latency_ms=base_short / short_ratio * 1e3,
            fidelity=loaded.compared.fidelity,
            found=loaded.compared.measured_class,
            overlap_error=loaded.compared.overlap_error,
            class_is_sure=loaded.compared.class_is_sure,
            size_bytes=sum(sizes[path] for path in loaded.variant.files),
            load_s=loaded.load_s,
            memory_bytes=loaded.memory_bytes,
        )


def _loaded(encoder: Encoder, compared: VariantReport, load_s: float, before: int | None) -> Loaded:
    after = resident_bytes()
    return Loaded(
        variant=encoder.variant,
        engine=f"{encoder.engine.name} {encoder.engine.version}",
        load_s=load_s,
        memory_bytes=None if before is None or after is None else max(after - before, 0),
        compared=compared,
    )


def settings_of(encoder: Encoder) -> RunSettings:
    """How the encoder was loaded."""
    return RunSettings(threads=encoder.threads, streams=encoder.streams, batch_tokens=encoder.batch_tokens)
