"""Examples in docstrings stand as code in the reference, not as quotations."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.M | re.S)


class Examples(Extension):
    """Fences around what begins with ``>>>``, as far as the next empty line."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        """Change the docstring of ``obj``."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
