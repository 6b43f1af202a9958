"""Registries and modules as they were before, after each test that changes them."""

import os
import sys

import gymnasium
import pytest

from neuromotor.extensions import loading, registries


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.delenv(loading.VARIABLE, raising=False)
    kept = [(one, dict(one), dict(one.sources)) for one in registries().values()]
    path, modules, used = list(sys.path), set(sys.modules), list(loading._used)
    ids = set(gymnasium.registry)
    yield
    for registry, presets, sources in kept:
        registry.clear()
        registry.update(presets)
        registry.sources = sources
    sys.path[:], loading._used[:] = path, used
    for name in sys.modules.keys() - modules:
        if getattr(sys.modules[name], "__file__", None) and name.startswith("lab"):
            del sys.modules[name]
    for env_id in gymnasium.registry.keys() - ids:
        del gymnasium.registry[env_id]
    os.environ.pop(loading.VARIABLE, None)
