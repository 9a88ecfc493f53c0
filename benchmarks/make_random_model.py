"""Complete a folder of a model's small files with seeded random weights.

    python benchmarks/make_random_model.py ../shared/models/m3e-base m3e-base-random

The result has the real model's shape, tokenizer and speed, and vectors that mean nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stonnx.errors import StonnxError
from stonnx.testing import make_random_model


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("small_files", type=Path, help="folder with config.json and the tokenizer, without weights")
    parser.add_argument("out", type=Path, help="folder to create")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        print(make_random_model(args.small_files, args.out, args.seed))
    except StonnxError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
