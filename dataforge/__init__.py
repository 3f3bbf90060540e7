"""dataforge: raw corpora and Slack exports into LLM training data that a team can trust.

The model in four nouns: a Table is an immutable folder of Parquet parts; a Step names one by an operator and its inputs;
an operator is a Source, a Map, a Keyed or a Fold; an engine fills in missing Tables.
"""

from dataforge.errors import DataforgeError
from dataforge.load import load
from dataforge.operator import Contract, Fold, Keyed, Map, Rows, Source, SourceFile, Split
from dataforge.row_operators import RowFilter, RowMapper
from dataforge.step import Step
from dataforge.store import Store
from dataforge.table import Table

__version__ = "0.1.0"

__all__ = [
    "Contract",
    "DataforgeError",
    "Fold",
    "Keyed",
    "Map",
    "RowFilter",
    "RowMapper",
    "Rows",
    "Source",
    "SourceFile",
    "Split",
    "Step",
    "Store",
    "Table",
    "load",
]
