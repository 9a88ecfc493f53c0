"""From a Sentence Transformers model to an artifact.

>>> from stonnx.compile import convert
>>> conversion = convert("my-model", "my-model-onnx", verify=False)
>>> [variant.name for variant in conversion.manifest.variants][:2]
['fp32', 'portable']
"""

from __future__ import annotations

from stonnx.compile.run import Conversion, convert
from stonnx.compile.verification import Unverified

__all__ = ["Conversion", "Unverified", "convert"]
