"""From a Sentence Transformers model to an artifact, and int8 for one that has none.

>>> from stonnx.compile import convert, quantize_artifact
>>> conversion = convert("my-model", "my-model-onnx", verify=False, int8=False)
>>> [variant.name for variant in conversion.manifest.variants][:2]
['fp32', 'portable']
>>> quantize_artifact("my-model-onnx").added[0]
'int8'
"""

from __future__ import annotations

from stonnx.compile.quantize import Quantization, quantize_artifact
from stonnx.compile.run import Conversion, convert
from stonnx.compile.verification import Unverified

__all__ = ["Conversion", "Quantization", "Unverified", "convert", "quantize_artifact"]
