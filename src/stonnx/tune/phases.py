"""The phases of a tuning, in this order: every variant, other threads, other batches.

Each takes what was found before it and returns that and more; once the time is up, the later ones add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stonnx._steps import OnStep
from stonnx.artifact import Variant, keeps
from stonnx.errors import StonnxError
from stonnx.runtime.streams import RunSettings
from stonnx.tune.contest import Contest, Raced
from stonnx.tune.options import TuneOptions, budgets_to_try, threads_to_try
from stonnx.tune.report import Row, pick
from stonnx.verify import SkippedVariant

__all__ = ["Found", "Phases", "races_of_settings"]

_CONTENDERS = 2
_BUDGETS = {"throughput": 3, "latency": 0}  # races with other batch budgets
_COULD_WIN = 0.75  # of the best speed with default settings: threads and budgets seldom bring more than a third


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the phases have found so far.

    Attributes:
        raced: The candidates that were raced, in order, the base first.
        skipped: What cannot run here, failed, or had no time left.
        time_is_up: No further settings are tried.
    """

    raced: tuple[Raced, ...]
    skipped: tuple[SkippedVariant, ...] = ()
    time_is_up: bool = False

    def without(self, name: str, reason: str) -> Found:
        """The same, with something more that was left out."""
        return replace(self, skipped=(*self.skipped, SkippedVariant(name=name, reason=reason)))


@dataclass(frozen=True, kw_only=True)
class Phases:
    """What all phases share.

    Attributes:
        contest: Runs the races.
        options: What is wanted.
        default: The settings that the base runs with.
        deadline: The clock's time after which no other settings are tried.
        on_step: Called with a short sentence before each race.
    """

    contest: Contest
    options: TuneOptions
    default: RunSettings
    deadline: float
    on_step: OnStep

    def variants(self, found: Found, variants: Sequence[Variant]) -> Found:
        """Race every one of the variants with default settings, however long that takes."""
        for variant in variants:
            self.on_step(f"measuring {variant.name}")
            found = _attempt(found, variant.name, partial(self.contest.race_variant, variant))
        return found

    def other_threads(self, found: Found) -> Found:
        """Race the variants that could win with other threads and streams."""
        contenders = _contenders(self.contest.rows(found.raced), self.options)
        settings = threads_to_try(self.default, self.options.aim)
        return self._settings(found, [(row, other) for row in contenders for other in settings])

    def other_budgets(self, found: Found) -> Found:
        """Race the leader with half its batch budget and twice as much; if one of them leads, go on that way."""
        leader = self._leader(found)
        if leader is None or self.options.aim == "latency":  # one text is one batch
            return found
        found = self._settings(found, self._budgets(leader))
        better = self._leader(found)
        if better is None or better.settings.batch_tokens == leader.settings.batch_tokens:
            return found
        return self._settings(found, self._budgets(better))

    def _budgets(self, row: Row) -> list[tuple[Row, RunSettings]]:
        return [(row, settings) for settings in budgets_to_try(row.settings, self.default)]

    def _leader(self, found: Found) -> Row | None:
        rows = self.contest.rows(found.raced)
        index = pick(rows, wanted=self.options.fidelity, aim=self.options.aim)
        return None if index is None else rows[index]

    def _settings(self, found: Found, candidates: Sequence[tuple[Row, RunSettings]]) -> Found:
        """Race variants with other settings while there is time."""
        loaded = {raced.loaded.variant.name: raced.loaded for raced in found.raced}
        for row, settings in () if found.time_is_up else candidates:
            name = f"{row.variant}, {settings.runs_text}"
            if self.contest.clock() >= self.deadline:
                return replace(found.without(f"{name} and other settings", "no time was left"), time_is_up=True)
            self.on_step(f"measuring {name}, batches of {settings.batch_tokens:,} tokens")
            found = _attempt(found, name, partial(self.contest.race_settings, loaded[row.variant], settings))
        return found


def races_of_settings(default: RunSettings, options: TuneOptions) -> int:
    """How many races with other threads, streams and budgets there can be."""
    return _CONTENDERS * len(threads_to_try(default, options.aim)) + _BUDGETS[options.aim]


def _attempt(found: Found, name: str, race: Callable[[], Raced]) -> Found:
    """Race a candidate; one that fails is left out, and the tuning goes on."""
    try:
        return replace(found, raced=(*found.raced, race()))
    except StonnxError as exc:
        return found.without(name, exc.message)


def _contenders(rows: Sequence[Row], options: TuneOptions) -> list[Row]:
    """The two fastest rows that keep the wanted class, the second only where it is not far slower than the first."""
    faithful = [row for row in rows if keeps(row.found, options.fidelity)]
    ordered = sorted(faithful, key=lambda row: -row.speed(options.aim))[:_CONTENDERS]
    return [row for row in ordered if row.speed(options.aim) >= _COULD_WIN * ordered[0].speed(options.aim)]
