"""The argument parser's habits: errors are UsageErrors, options that several verbs share."""

from __future__ import annotations

import argparse
from typing import NoReturn

from stonnx.errors import UsageError

__all__ = ["Parser", "add_common", "add_run_options", "add_threads", "add_variant", "positive_int", "positive_number"]


class Parser(argparse.ArgumentParser):
    """An argparse parser whose mistakes take the same way out as every other error."""

    def __init__(self, prog: str, *, description: str, epilog: str | None = None, usage: str | None = None) -> None:
        # No abbreviations: a script that says --thr would break the day --throughput appears.
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"{self.prog} --help")


def add_variant(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--variant``.

    Args:
        parser: The verb's.
        what: What is done with it, such as "run".
    """
    parser.add_argument(
        "--variant",
        metavar="NAME",
        default="auto",
        help=f"the variant to {what} (default: auto, what 'stonnx tune' chose here, or else one by static rules)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", metavar="N", type=positive_int, help="threads (default: the usable cores)")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what the verbs that run a model let the user say about how it is run."""
    add_variant(parser, "run")
    add_threads(parser)
    parser.add_argument("--batch-tokens", metavar="N", type=positive_int, help="tokens per batch, at most")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every verb has, and that may stand before the verb as well."""
    # SUPPRESS: "stonnx --quiet VERB" has set it already, and a default must not undo that.
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress and no talk on stderr"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="data for machines on stdout; talk stays on stderr",
    )


def positive_int(text: str) -> int:
    """A whole number of at least 1, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return value


def positive_number(text: str) -> float:
    """A number above 0, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: The text is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value
