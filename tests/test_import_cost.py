"""Importing Likeness, and running an audit, needs nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "dask", "distributed", "matplotlib", "scipy.stats", "faiss")


def loaded_after(code):
    listing = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_import_likeness_loads_none_of_the_heavy_libraries():
    loaded = loaded_after("import likeness")
    assert not loaded & {*HEAVY, "pyarrow", "PIL", "nibabel", "scipy", "pydantic", "jinja2"}


def test_every_public_name_loads_no_torch_dask_or_matplotlib():
    loaded = loaded_after("import likeness\nfor n in likeness.__all__: getattr(likeness, n)")
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_no_verb(argument):
    code = f"""
import sys
sys.argv = ["likeness", "{argument}"]
from likeness.cli import main
try: main()
except SystemExit: pass
sys.stdout = sys.__stdout__
print()
"""
    loaded = loaded_after(code)
    assert not loaded & {"likeness._audit", "pyarrow", "scipy", "PIL", "nibabel"}


def test_what_every_decoding_process_loads_of_the_command_line_is_nothing():
    # A spawned process loads the module that was started: `likeness`, or `python -m likeness`.
    loaded = loaded_after("from likeness.cli import main\nimport likeness.__main__")
    assert "likeness.cli" in loaded
    assert not loaded & {"cyclopts", "rich", "numpy", "importlib.metadata"}
