"""docs/reasons.md as dataforge/reasons.py has it. `python -m tests.flows.reasons_page` writes the page anew."""

from __future__ import annotations

from pathlib import Path

from dataforge.reasons import REASONS

PAGE = Path(__file__).parent.parent.parent / "docs" / "reasons.md"
HEAD = """\
# Why rows are left out

Each row that a run leaves out is in `dropped/` of the table that it did not reach, with one of these reasons, and where
numbers decided, the score and the threshold. `dataforge trace CONFIG ID` shows them for one row, `dataforge funnel` counts
them, the report shows samples. The names of your own `quality.lists` and `quality.models` are reasons too, and what your
operators of `own` give. Rows that could not be read are in `quarantine/` instead, with a code of [errors.md](errors.md).
"""


def page() -> str:
    parts = [HEAD]
    for group, members in REASONS.items():
        rows = "".join(f"| `{reason}` | {sentence} |\n" for reason, sentence in members.items())
        parts.append(f"## {group}\n\n| reason | meaning |\n|---|---|\n{rows}")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
