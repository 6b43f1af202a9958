"""Components by name, and the modules of users and packages that bring more of them."""

from neuromotor.extensions.loading import GROUP, VARIABLE, use
from neuromotor.extensions.registry import ExtensionError, Registry, Source, register, registries

__all__ = [
    "GROUP",
    "VARIABLE",
    "ExtensionError",
    "Registry",
    "Source",
    "register",
    "registries",
    "use",
]
