"""stonnx beside its peers: speed, memory, start-up and fidelity on the same texts, by turns.

    python benchmarks/peers/run.py --shared ../shared

One command: it builds an environment per peer (venvs in the folder of --envs, kept for the next time), fetches or makes
the models, lets every library prepare what it needs (exports, quantisation), and then measures. Every side is a
process of its own that loads once; the conductor lets one work at a time and stops the others, with the same number
of threads for all. A peer that fails does not stop the run: its reason is part of the results. Linux or macOS.

A quick look, whose numbers are not to be quoted:

    python benchmarks/peers/run.py --models all-MiniLM-L6-v2 --texts 64 --rounds 1 --starts 1 --out OTHER

Needs stonnx installed with the extras cpu and reference (and openvino, for its own OpenVINO sides).
Then: python benchmarks/peers/page.py    (docs/benchmarks.md and the plots)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _common

from peers.catalog import PEERS
from peers.compare import Settings, compare_on
from peers.models import MODELS


def main() -> None:
    """Parse, measure model by model, write."""
    args = _parse()
    from stonnx.runtime import usable_cores

    for name in args.models:
        settings = Settings(
            envs=args.envs.absolute(),
            cache=args.cache.absolute(),
            shared=args.shared.absolute(),
            artifacts=args.artifacts.absolute() if args.artifacts else None,
            threads=args.threads or usable_cores(),
            only=tuple(args.peers or ()),
            texts=args.texts or (2000 if "MiniLM" in name else 500),
            length_tokens=args.length_tokens,
            rounds=args.rounds,
            seconds=args.seconds,
            starts=args.starts,
            timeout_seconds=args.timeout,
            sts=args.sts,
        )
        result = compare_on(MODELS[name], name, settings)
        if result:
            _common.write_result(f"peers-{name}", result, args)


def _parse() -> argparse.Namespace:
    parser = _common.parser(__doc__)
    models = [name for name in MODELS if name != "m3e-small"]
    bench = _common.REPOSITORY / ".bench"
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=models, metavar="MODEL")
    parser.add_argument(
        "--peers",
        nargs="+",
        metavar="KEY",
        help=f"only these, beside the original: stonnx (all its sides), {', '.join(side.key for side in PEERS[1:])}",
    )
    parser.add_argument("--texts", type=int, help="of the natural mix (default: 2000 for MiniLM, 500 for base size)")
    parser.add_argument("--length-tokens", type=int, default=4096, help="tokens in all per text length")
    parser.add_argument("--rounds", type=int, default=3, help="at most, over the texts of each phase")
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="no further round of a phase once the original used so many"
    )
    parser.add_argument("--starts", type=int, default=3, help="fresh processes per side, for the load time")
    parser.add_argument("--threads", type=int, help="of every side (default: the usable cores)")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds within which a side must answer")
    parser.add_argument("--sts", action="store_true", help="Spearman on STS-B dev as well (3,000 texts more per side)")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with models/ and data/")
    parser.add_argument(
        "--artifacts", type=Path, help="folder with an artifact named like each model, tuned maybe (default: convert)"
    )
    parser.add_argument("--envs", type=Path, default=bench / "envs", help="folder of the environments")
    parser.add_argument("--cache", type=Path, default=bench / "models", help="folder of models and exports")
    return parser.parse_args()


if __name__ == "__main__":
    main()
