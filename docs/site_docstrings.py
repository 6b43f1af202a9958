"""Docstrings as the site's parser wants them.

It knows "Examples:", and we write "Example:"; it takes words before a colon in "Returns:" for the
type, which we leave to the signature.
"""

import re
from typing import Any

from griffe import Extension, Function, Object


class House(Extension):
    """Bend docstrings of the house's style before they are parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Give examples their plural, and what is returned its type."""
        if obj.docstring is None:
            return
        text = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", obj.docstring.value)
        if isinstance(obj, Function) and obj.returns is not None:
            text = re.sub(r"(?m)^(Returns:\n +)", rf"\g<1>{obj.returns}: ", text)
        obj.docstring.value = text
