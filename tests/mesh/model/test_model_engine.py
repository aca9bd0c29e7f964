"""LightGBM on a machine without the system's OpenMP runtime."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import ctypes
from mesh.model import engine
engine._load_bundled_openmp()
ctypes.CDLL("libgomp.so.1")
loaded = {line.split()[-1] for line in open("/proc/self/maps") if "gomp" in line or "/tmp" in line}
print(sorted(name for name in loaded if "libgomp" in name))
import lightgbm, numpy
print(lightgbm.Dataset(numpy.array([[1.0], [2.0]]), label=[0, 1], params={"verbose": -1}).construct().num_data())
"""


def test_the_runtime_that_scikit_learn_brings_serves_under_the_expected_name() -> None:
    """Asked for the system's library afterwards, the loader answers with the copy and opens no file of the system."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "2"]
