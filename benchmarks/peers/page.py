"""Write docs/benchmarks.md and its plots from the results of ``run.py``, whatever machines they are of.

    python benchmarks/peers/page.py [--check]

Needs matplotlib (the dependency group ``bench``) for the plots; ``--check`` fails when the page differs from the
results, and draws nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _common

from peers import tables
from peers.recorded import Recorded, read_all

_DOCS = _common.REPOSITORY / "docs"


def main() -> int:
    """Write or check; the exit code is 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not up to date")
    parser.add_argument("--results", type=Path, default=_common.RESULTS, help="folder of the results")
    parser.add_argument("--docs", type=Path, default=_DOCS, help="folder of the page and of img/")
    args = parser.parse_args()
    recorded = read_all(args.results)
    page = tables.page(recorded, plots=lambda found: [f"img/{name}" for name in plot_names(found)])
    path: Path = args.docs / "benchmarks.md"
    if args.check:
        stale = not path.is_file() or path.read_text(encoding="utf-8") != page
        if stale:
            print("docs/benchmarks.md is not what the results say. Run benchmarks/peers/page.py.", file=sys.stderr)
        return int(stale)
    path.write_text(page, encoding="utf-8")
    draw_all(recorded, args.docs / "img")
    return 0


def plot_names(found: Recorded) -> tuple[str, str]:
    """File names of the two plots of a result."""
    return f"{found.slug}-fidelity.svg", f"{found.slug}-lengths.svg"


def draw_all(recorded: list[Recorded], folder: Path) -> None:
    """Draw both plots of every result."""
    from peers import plots

    folder.mkdir(parents=True, exist_ok=True)
    for found in recorded:
        for name, draw in zip(plot_names(found), (plots.draw_fidelity, plots.draw_lengths), strict=True):
            draw(found, folder / name)


if __name__ == "__main__":
    sys.exit(main())
