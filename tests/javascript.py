"""JavaScript outside a browser, for tests: by node, or by V8 in Python (mini-racer)."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
from typing import Any

import pytest

_ATOB = """
if (typeof atob === "undefined") {
  globalThis.atob = (text) => {
    const signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let [bits, count, out] = [0, 0, ""];
    for (const sign of text.replace(/=+$/, "")) {
      bits = (bits << 6) | signs.indexOf(sign);
      count += 6;
      if (count >= 8) out += String.fromCharCode((bits >> (count -= 8)) & 255);
    }
    return out;
  };
}
"""


def evaluated(script: str, result: str) -> Any:
    """Run a script and return the value of an expression after it; skip where nothing runs it."""
    node = shutil.which("node")
    if node is not None:
        code = f"{script}\nprocess.stdout.write(JSON.stringify({result}));"
        done = subprocess.run([node, "-"], input=code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)
    if importlib.util.find_spec("py_mini_racer") is not None:
        context = importlib.import_module("py_mini_racer").MiniRacer()
        return json.loads(context.eval(f"{_ATOB}{script}\nJSON.stringify({result})"))
    pytest.skip("neither node nor mini-racer is here to run JavaScript (pip install mini-racer)")
