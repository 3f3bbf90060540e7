"""Shares of acts and the ranges that a config expects."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataforge.errors import ConfigError
from dataforge.operators.acts_shares import ActShares, deviations, shares

ROWS = pa.table({"act": ["questions", "questions", "other", "directives"], "source": ["chat", "chat", "chat", "mail"]})


def test_shares_add_up_per_group() -> None:
    rows = shares(ROWS, ["source"]).to_pylist()
    assert len(rows) == 16
    found = {(row["source"], row["act"]): (row["n"], round(row["share"], 4)) for row in rows}
    assert found["chat", "questions"] == (2, 0.6667)
    assert found["mail", "directives"] == (1, 1.0)
    assert found["mail", "questions"] == (0, 0.0)


def test_the_fold_does_not_depend_on_how_rows_are_cut() -> None:
    fold = ActShares(("source",))
    left, right = (fold.observe(0, batch) for batch in ROWS.to_batches(max_chunksize=2))
    assert fold.merge(left, right).equals(fold.merge(right, left))
    assert fold.merge(left, right).equals(fold.observe(0, ROWS.to_batches()[0]))


def test_deviations_name_group_act_and_range() -> None:
    found = deviations(shares(ROWS, ["source"]), {"questions": [0.2, 0.5]})
    assert [(d.group, round(d.share, 2)) for d in found] == [(("chat",), 0.67), (("mail",), 0.0)]
    assert found[0].line() == "questions are 0.6667 of chat (3 rows), expected 0.2 to 0.5"


def test_unknown_acts_and_wrong_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match="question is not a speech act"):
        deviations(shares(ROWS), {"question": [0, 1]})
    with pytest.raises(ConfigError, match="range of questions"):
        deviations(shares(ROWS), {"questions": [0.5, 0.2]})
