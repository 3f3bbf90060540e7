"""The numba faces of the kernels. Imported inside functions only, so that importing a kernel does not load numba.

They are compiled once and cached beside this file, and anew once a file of the kernels has another content.
"""

from __future__ import annotations

import os
from pathlib import Path


def were_compiled() -> bool:
    """False where the next call of a kernel meets the compiler: none was ever compiled here."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        return True  # numba keeps them somewhere else
    return any(True for _ in folder.rglob("*.nbi"))
