"""One library each: ``DISTRIBUTIONS`` (whose versions count), ``load(job)``, and ``prepare(job)`` where files are made.

Each loads the library the way its own documentation does, with its defaults, and hands over nothing but the
number of threads. Imports are inside the functions: a module of this package is imported in one environment only.
"""

from __future__ import annotations
