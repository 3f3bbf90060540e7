"""The numba faces of the kernels. Imported inside functions only, so that importing a kernel does not load numba.

They are compiled once and cached beside this file. numba notices a change of the file that a kernel stands in, not of
one that it calls or takes constants from: after editing one of those, delete `__pycache__/*.nb*` here.
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
