"""Make Chainer 7.8.1 importable on today's NumPy and Python; import this before `chainer`.

Chainer was last released in 2022. It reads two things that have gone since: `numpy.sctypes` (NumPy 2)
and `numpy.distutils.system_info` (absent with Python 3.12+).
"""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np

if not hasattr(np, "sctypes"):
    np.sctypes = {  # type: ignore[attr-defined]
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    }

try:
    import numpy.distutils.system_info  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
except ImportError:
    distutils = types.ModuleType("numpy.distutils")
    system_info = types.ModuleType("numpy.distutils.system_info")
    # Chainer only asks it which BLAS there is, to print it.
    system_info.get_info = lambda *_args, **_kwargs: {}  # type: ignore[attr-defined]
    distutils.system_info = system_info  # type: ignore[attr-defined]
    sys.modules["numpy.distutils"] = distutils
    sys.modules["numpy.distutils.system_info"] = system_info

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
warnings.filterwarnings("ignore", message="Accessing chainerx")
