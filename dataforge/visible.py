"""Whether a text shows anything at all. Review refuses edits that do not, and ReviewedPairs drops those from elsewhere."""

from __future__ import annotations

import unicodedata

UNSEEN = ("Zs", "Zl", "Zp", "Cc", "Cf")  # Unicode categories that leave no mark on a page


def is_blank(text: str) -> bool:
    """True for no character, or white space, controls and format characters alone."""
    return all(unicodedata.category(char) in UNSEEN for char in text)
