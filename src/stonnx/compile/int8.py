"""Whether a conversion quantises: what was asked for, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stonnx._extras import available, pip_line, require
from stonnx.errors import UsageError, VerificationError

__all__ = ["Int8", "check_calibration", "none_added", "want_int8"]


@dataclass(frozen=True, kw_only=True)
class Int8:
    """Whether there are to be int8 variants.

    Attributes:
        wanted: Whether to make them.
        notes: What the user should know where they are left out without having been asked to be.
    """

    wanted: bool
    notes: tuple[str, ...] = ()


def want_int8(*, int8: bool | None, calibration_texts: Sequence[str] | None) -> Int8:
    """Decide it before anything is read or written.

    Args:
        int8: What was asked for; None for int8 where ONNX Runtime is installed.
        calibration_texts: What was given to calibrate on; None for nothing.

    Raises:
        UsageError: There are no texts to calibrate on, or there is nothing to calibrate.
        MissingExtraError: int8 was asked for, and onnxruntime is not installed.
    """
    if int8 is False:
        if calibration_texts is not None:
            raise UsageError(
                "Calibration texts are for int8, which was left out; nothing else is calibrated.",
                hint="Leave them out, or int8=False.",
                cli_hint="Leave out --calibrate, or --no-int8.",
            )
        return Int8(wanted=False)
    check_calibration(calibration_texts)
    if int8:
        require("onnxruntime", extra="cpu", purpose="quantise a model")
    elif not available("onnxruntime"):
        line = pip_line("cpu")
        note = f"int8 was left out: ONNX Runtime is not installed. Install it, then 'stonnx quantize' adds int8: {line}"
        return Int8(wanted=False, notes=(note,))
    return Int8(wanted=True)


def check_calibration(texts: Sequence[str] | None) -> None:
    """See that there is something to calibrate on; None stands for the shipped texts.

    Raises:
        UsageError: There is nothing.
    """
    if texts is not None and not texts:
        raise UsageError("There are no calibration texts.", hint="Leave them out to calibrate on the shipped ones.")


def none_added(notes: Sequence[str]) -> VerificationError:
    """The error where an artifact gets no int8 variant.

    Args:
        notes: Why each was left out.
    """
    return VerificationError(
        f"No int8 variant can be added. {' '.join(notes)} Nothing was changed.",
        hint="The artifact works as before. calibration_texts of your own may bring int8 closer to the original.",
        cli_hint="The artifact works as before. Texts of your own (--calibrate) may bring int8 closer to the original.",
    )
