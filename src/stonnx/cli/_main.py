"""``stonnx``: find the verb, run it, turn its outcome into an exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType

from stonnx.cli._arguments import Parser, add_common
from stonnx.cli._exit import ExitCode, report
from stonnx.errors import RunError, UsageError

__all__ = ["VERBS", "main", "verb_parser"]

VERBS: Mapping[str, str] = MappingProxyType(
    {
        "convert": "turn a Sentence Transformers model into an ONNX artifact",
        "info": "show what an artifact holds; --check hashes its files",
        "encode": "turn texts into embeddings",
        "rerank": "order documents by their score for a query",
        "verify": "compare an artifact with the original model",
        "quantize": "add int8 variants to an artifact",
        "tune": "find the fastest faithful settings for this machine",
        "bench": "measure speed beside the original model",
        "demo": "convert, verify, measure and use a real model",
    }
)

_DESCRIPTION = "Sentence Transformers models as verified, fast ONNX artifacts."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program name; None for ``sys.argv``.

    Returns:
        The exit code (see :class:`stonnx.cli._exit.ExitCode`).

    Raises:
        SystemExit: After ``--help``, with code 0.
    """
    with _unwinding_signals() as came:
        try:
            _prepare_streams()
            code = _dispatch(sys.argv[1:] if argv is None else list(argv))
            sys.stdout.flush()  # a full disk or a closed pipe shows here, not while Python exits
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the edge: everything becomes an exit code
            return _exit_code_after(error, came)
        return code


def verb_parser(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb, as ``stonnx VERB --help`` shows it."""
    module = _verb_module(verb)
    parser = Parser(f"stonnx {verb}", description=module.DESCRIPTION, epilog=module.EXAMPLES)
    module.add_arguments(parser)
    add_common(parser)
    return parser


def _dispatch(arguments: list[str]) -> int:
    # Global options take no values, so the verb is the first word that is no option.
    # Verbs are parsed on their own because argparse's subparsers cannot mix options and TEXT... freely.
    place = next((at for at, word in enumerate(arguments) if not word.startswith("-")), len(arguments))
    top = _top_parser()
    options = top.parse_args(arguments[: place + 1])
    if options.verb == "help":
        return _help(arguments[place + 1 :])
    if options.version:
        from stonnx import __version__

        sys.stdout.write(f"stonnx {__version__}\n")
        return int(ExitCode.OK)
    if options.verb is None:
        top.print_help(sys.stderr)
        return int(ExitCode.USAGE)
    args = _parser_of(options.verb).parse_intermixed_args(arguments[place + 1 :], options)
    with _silent_stderr() if args.quiet else _warnings_on_stderr():
        return int(_verb_module(options.verb).run(args))


def _help(verbs: list[str]) -> int:
    """``stonnx help`` and ``stonnx help VERB``: the same as ``--help``."""
    parsers = [_parser_of(verb) for verb in verbs if verb not in ("help", "-h", "--help")] or [_top_parser()]
    for parser in parsers:
        parser.print_help()
    return int(ExitCode.OK)


def _parser_of(verb: str) -> argparse.ArgumentParser:
    if verb not in VERBS:
        raise _unknown_verb(verb)
    return verb_parser(verb)


def _top_parser() -> Parser:
    verbs = "\n".join(f"  {verb:<9} {summary}" for verb, summary in VERBS.items())
    parser = Parser(
        "stonnx",
        usage="stonnx [--version] [--quiet] [--json] VERB ...",
        description=_DESCRIPTION,
        epilog=f"verbs:\n{verbs}\n\n'stonnx help VERB' explains a verb; 'stonnx demo' shows them all.",
    )
    parser.add_argument("verb", nargs="?", metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    add_common(parser)
    parser.set_defaults(quiet=False, json=False)  # where a verb's own options do not say more
    return parser


def _unknown_verb(verb: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(verb, VERBS, n=1)
    return UsageError(
        f"There is no verb {verb!r}; there are {', '.join(VERBS)}.",
        hint=f"stonnx {near[0]} --help" if near else "stonnx --help",
    )


def _verb_module(verb: str) -> ModuleType:
    return importlib.import_module(f"stonnx.cli.{verb}")


def _prepare_streams() -> None:
    """Make sure that there is a stdout and a stderr, and that any text can be written to them.

    What the terminal's encoding cannot show is spelled out.

    Raises:
        RunError: stdout is closed.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _fill_closed_streams()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until Python exits, as stderr is
    if sys.stdout is None:
        raise RunError("stdout is closed: results have nowhere to go.", hint="Name a place: > FILE, or > /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")


def _fill_closed_streams() -> None:
    """Open those of the descriptors 0 to 2 that are closed.

    Otherwise the next file that is opened would get such a number, and with it what native libraries write to stderr.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


@contextlib.contextmanager
def _unwinding_signals() -> Iterator[list[int]]:
    """SIGTERM (a container that stops) and SIGHUP (a terminal that closes) unwind the command like Ctrl-C does.

    So nothing half-written stays behind. A signal that the process was started to ignore, as by nohup, is ignored.

    Yields:
        The signals that came, in order.
    """
    came: list[int] = []

    def unwind(number: int, _frame: object) -> None:
        came.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if len(came) == 1:  # a second one must not disturb the cleaning up
            raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, unwind)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_code_after(error: BaseException, came: Sequence[int]) -> int:
    """Report an error; where a signal came first, the signal is what ended the command.

    The error may hide that: an extension module that is interrupted during its import raises ImportError.
    """
    if not came or isinstance(error, KeyboardInterrupt):
        return int(report(error))
    if came[0] != signal.SIGINT:
        return 128 + came[0]
    interrupt = KeyboardInterrupt()
    interrupt.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        interrupt.add_note(note)
    return int(report(interrupt))


@contextlib.contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Show on stderr what the library logs as a warning while the verb runs."""
    import logging

    from stonnx.cli._console import TalkHandler

    handler = TalkHandler(level=logging.WARNING)
    logger = logging.getLogger("stonnx")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Nothing reaches stderr while the verb runs; the error that ends it is reported afterwards.

    The descriptor itself leads nowhere meanwhile, because native code writes to it past ``sys.stderr``.
    """
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr.flush()
        os.dup2(nowhere, 2)
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)
