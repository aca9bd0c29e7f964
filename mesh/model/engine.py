"""LightGBM, loaded the one way that is safe on a busy machine and works on a bare one.

Its OpenMP threads by default spin while they wait. As soon as more threads want to run than there are cores - two
trainings at once, a build beside a training - they burn the very core the others wait for: 100,000 rows took 131 s
instead of 10 on two cores. Told to sleep, they lose nothing on an idle machine. OpenMP reads the word only once,
when it is loaded, so that LightGBM is imported here and nowhere else.

The package expects the system's OpenMP runtime, which a bare machine does not have. Scikit-learn brings the same one
under a name of its own; a copy under the expected name then serves.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from mesh.errors import ModelError

OPENMP = b"libgomp.so.1"


def lightgbm() -> Any:
    """The module `lightgbm`; an `OMP_WAIT_POLICY` that is set already is left alone.

    Raises:
        ModelError: there is no OpenMP runtime on this machine.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        ctypes.CDLL(OPENMP.decode())
    except OSError:
        _load_bundled_openmp()
    import lightgbm

    return lightgbm


def _load_bundled_openmp() -> None:
    spec = importlib.util.find_spec("sklearn")
    folder = Path(spec.origin or "").parents[1] / "scikit_learn.libs" if spec else Path()
    found = sorted(folder.glob("libgomp-*.so*"))
    if not found:
        raise ModelError("LightGBM needs the OpenMP runtime libgomp.so.1: install Debian's package libgomp1.")
    content, name = found[0].read_bytes(), found[0].name.encode() + b"\0"
    # The name a library is found by stands in it as text; a shorter one fits in its place.
    renamed = content.replace(name, (OPENMP + b"\0").ljust(len(name), b"\0"))
    with tempfile.NamedTemporaryFile(suffix=".so") as copy:
        copy.write(renamed)
        copy.flush()
        ctypes.CDLL(copy.name, ctypes.RTLD_GLOBAL)
