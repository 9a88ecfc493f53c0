"""How many rounds and texts a protocol's time allows."""

from __future__ import annotations

from dataclasses import dataclass

from stonnx._timing import FEWEST_ROUNDS, MOST_ROUNDS

__all__ = ["Plan", "plan_rounds"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to run: texts of one round and side, and the number of rounds (at least, at most)."""

    texts: int
    min_rounds: int
    max_rounds: int


def plan_rounds(seconds_per_text: float, *, texts: int, min_texts: int, budget_s: float) -> Plan:
    """Rounds and their size, from what one text costs and the time there is.

    All texts in as many rounds as fit (3 to 15). Where not even three fit, three rounds of fewer texts, but never
    fewer than ``min_texts``: the budget is a target, the minimum is a promise.

    Args:
        seconds_per_text: Cost of one text on both sides together.
        texts: Texts there are.
        min_texts: Fewest texts of a round that still mean something.
        budget_s: Time for all rounds together, seconds.
    """
    cost = max(seconds_per_text, 1e-9)
    rounds = int(budget_s / (cost * texts))
    if rounds >= FEWEST_ROUNDS:
        return Plan(texts=texts, min_rounds=FEWEST_ROUNDS, max_rounds=min(rounds, MOST_ROUNDS))
    fitting = int(budget_s / (cost * FEWEST_ROUNDS))
    return Plan(texts=min(texts, max(min_texts, fitting)), min_rounds=FEWEST_ROUNDS, max_rounds=FEWEST_ROUNDS)
