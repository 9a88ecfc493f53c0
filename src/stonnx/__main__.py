"""``python -m stonnx``."""

from __future__ import annotations

import sys

from stonnx.cli import main

if __name__ == "__main__":
    sys.exit(main())
