"""Import every public module of the installed package; run by a bare interpreter, without pytest."""

import importlib
import pkgutil
import sys

import archwright

names = [m.name for m in pkgutil.walk_packages(archwright.__path__, "archwright.")]
public = [name for name in names if not any(part.startswith("_") for part in name.split("."))]
NEEDS_PYTEST = "archwright.testing"

for name in public:
    if name != "archwright.study.worker" and not name.startswith(NEEDS_PYTEST):
        importlib.import_module(name)
for name in archwright.__all__:
    getattr(archwright, name)
sys.stdout.write(f"imported {len(public)} modules of archwright {archwright.__version__}\n")
