"""A contest of variants and settings: each is loaded, compared with the reference, and raced against the base."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stonnx._timing import Clock, median
from stonnx.artifact import AnyGoldens, Artifact, Variant
from stonnx.runtime.engines import ENGINES
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.streams import RunSettings
from stonnx.tune.fidelity import Reference
from stonnx.tune.memory import resident_bytes
from stonnx.tune.plan import Plan
from stonnx.tune.race import Race, run_race
from stonnx.tune.report import Row
from stonnx.tune.subject import Model, Subject
from stonnx.verify import AnyVariantReport

__all__ = ["Contest", "Loaded", "Raced", "load_measured"]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A variant that was loaded and compared once, with default settings."""

    variant: Variant
    engine: str
    load_s: float
    memory_bytes: int | None
    compared: AnyVariantReport


@dataclass(frozen=True, kw_only=True)
class Raced:
    """A variant with its settings, and its races with many texts and with single ones."""

    loaded: Loaded
    settings: RunSettings
    many: Race
    short: Race


@contextlib.contextmanager
def load_measured(
    subject: Subject[Any], artifact: Artifact, variant: Variant, *, clock: Clock
) -> Iterator[tuple[Model, float, int | None]]:
    """Load a variant with default settings: the model, the seconds, and the memory held before, in bytes."""
    if why_not_here(variant) is None:  # otherwise loading says why
        importlib.import_module(ENGINES[variant.engine].package)  # so that the seconds are the model's alone
    gc.collect()
    before = resident_bytes()
    start = clock()
    with subject.load(artifact, variant.name) as model:
        yield model, clock() - start, before


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What every candidate races against, and on which texts or pairs.

    Attributes:
        subject: How the artifact's variants are loaded, run and compared.
        artifact: Where the variants lie.
        base: Runs the reference variant with default settings.
        reference: What every variant is compared with.
        plan: What is run, and for how long.
        clock: Where seconds come from.
    """

    subject: Subject[Any]
    artifact: Artifact
    base: Model
    reference: Reference[AnyGoldens]
    plan: Plan
    clock: Clock

    def race_base(self, compared: AnyVariantReport, load_s: float, before: int | None) -> Raced:
        """Race the base against itself: as far as its ratio is from 1, so noisy is the machine."""
        return self._race(self.base, _loaded(self.base, compared, load_s, before))

    def race_variant(self, variant: Variant) -> Raced:
        """Load a variant with default settings, compare it, race it.

        Raises:
            StonnxError: It cannot be loaded, or failed.
        """
        with load_measured(self.subject, self.artifact, variant, clock=self.clock) as (model, load_s, before):
            compared = self.subject.measure(model, self.reference)
            return self._race(model, _loaded(model, compared, load_s, before))

    def race_settings(self, loaded: Loaded, settings: RunSettings) -> Raced:
        """Race a variant that was compared before, with other settings.

        Raises:
            StonnxError: It cannot be loaded, or failed.
        """
        with self.subject.load(self.artifact, loaded.variant.name, settings) as model:
            return self._race(model, loaded)

    def rows(self, raced: Sequence[Raced]) -> tuple[Row, ...]:
        """A row for each of the candidates, in order, the base first; its speed is its median over all races."""
        base_many = median([candidate.many.base_s for candidate in raced])
        base_short = median([candidate.short.base_s for candidate in raced])
        return tuple(
            self._row(candidate, base_many, base_short, is_base=number == 0) for number, candidate in enumerate(raced)
        )

    def _race(self, model: Model, loaded: Loaded) -> Raced:
        plan, clock = self.plan, self.clock
        base, candidate = (partial(self.subject.run, side) for side in (self.base, model))
        short = run_race(base, candidate, plan.short, budget_s=plan.short_s, clock=clock)
        many = run_race(base, candidate, [plan.many], budget_s=plan.many_s, clock=clock)
        return Raced(loaded=loaded, settings=model.settings, many=many, short=short)

    def _row(self, raced: Raced, base_many: float, base_short: float, *, is_base: bool) -> Row:
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


def _loaded(model: Model, compared: AnyVariantReport, load_s: float, before: int | None) -> Loaded:
    after = resident_bytes()
    return Loaded(
        variant=model.variant,
        engine=f"{model.engine.name} {model.engine.version}",
        load_s=load_s,
        memory_bytes=None if before is None or after is None else max(after - before, 0),
        compared=compared,
    )
