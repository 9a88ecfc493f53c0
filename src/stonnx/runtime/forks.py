"""What a forked child must not go on using: it has a copy of every lock and handle, but not the threads behind them."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol

__all__ = ["keep_for_good", "tell_after_fork"]


class _Forked(Protocol):
    def after_fork(self) -> None:
        """Called in the child before anything else runs there."""
        ...


_listeners: weakref.WeakSet[_Forked] = weakref.WeakSet()


def tell_after_fork(listener: _Forked) -> None:
    """Have ``listener.after_fork`` called in every process that is forked while the object lives."""
    _listeners.add(listener)


def keep_for_good(value: object) -> None:
    """Never let go of an object, not even at the end of the process.

    Destroying an engine's session waits for its threads. In a forked child there are none: that would take for ever.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _tell() -> None:
    for listener in list(_listeners):
        listener.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
