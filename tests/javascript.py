"""JavaScript outside a browser, for tests: by node, the system's or that of Playwright."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import neuromotor.view
from neuromotor.view.description import Description


def evaluated(script: str, result: str) -> Any:
    """Run a script and return the value of an expression after it; skip where there is no node."""
    node = _node()
    if node is None:
        pytest.skip("no node is here to run JavaScript; Playwright brings one (extra `browser`)")
    code = f"{script}\nprocess.stdout.write(JSON.stringify({result}));"
    done = subprocess.run([node, "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def closed_loop(made: Description) -> str:
    """A script that has a page's closed loop as `loop`, without the page."""
    engine = (Path(neuromotor.view.__file__).parent / "engine.js").read_text(encoding="utf-8")
    model = json.dumps(made.model, allow_nan=False)
    return f"{made.physics}{engine}const model = {model};\nconst loop = new Loop(model, physics);\n"


def _node() -> str | None:
    found = shutil.which("node")
    package = importlib.util.find_spec("playwright")
    if found is None and package is not None and package.origin is not None:
        own = Path(package.origin).parent / "driver" / "node"
        found = str(own) if own.is_file() else None
    return found
