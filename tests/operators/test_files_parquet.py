"""Parquet: damage names row group and column, hostile types are refused, rows are checked like any other."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataforge.errors import CorruptError, InputError, SchemaError
from dataforge.operators.files_parquet import ParquetFiles
from tests.operators.reading import read_all

NOON = datetime.datetime(2024, 2, 3, 4, 5, 6, 999999)


def source_of(tmp_path, table: pa.Table, **settings_) -> ParquetFiles:
    pq.write_table(table, tmp_path / "rows.parquet", write_page_checksum=True, row_group_size=2)
    return ParquetFiles("s", str(tmp_path / "rows.parquet"), **settings_)


def test_columns_of_every_usual_type(tmp_path):
    table = pa.table(
        {
            "body": pa.array(["a", "b", "c"]).dictionary_encode(),
            "n": [1, 2, 3],
            "at": pa.array([NOON, None, datetime.datetime(1969, 12, 31, 23, 59, 59, 500000)], pa.timestamp("us")),
        }
    )
    source = source_of(tmp_path, table, text="body", key="n", created="at")
    kept, bad, _, counted = read_all(source)
    assert [(row["text"], row["key"], row["created_s"]) for row in kept] == [
        ("a", "1", 1706933106),
        ("b", "2", None),
        ("c", "3", -1),
    ]
    assert (bad, counted) == ([], 3)
    assert source.decompressed_bytes() > 0


@pytest.mark.parametrize("kind", [pa.large_string(), pa.binary(), pa.large_binary(), pa.string()])
def test_text_that_is_not_utf8_is_set_aside(tmp_path, kind):
    raw = pa.array([b"good", b"bad\xff", b"more", None], pa.binary())
    offsets = pa.large_binary() if kind in (pa.large_string(), pa.large_binary()) else pa.binary()
    raw = raw.cast(offsets)
    column = raw if kind == offsets else pa.Array.from_buffers(kind, 4, raw.buffers())
    kept, bad, _, counted = read_all(source_of(tmp_path, pa.table({"text": column})))
    assert [row["text"] for row in kept] == ["good", "more"]
    assert [(row["line"], row["code"]) for row in bad] == [(2, "ENCODING"), (4, "SCHEMA")]
    assert counted == 4


def test_a_text_over_the_limit_is_set_aside(tmp_path):
    kept, bad, *_ = read_all(source_of(tmp_path, pa.table({"text": ["x" * 101, "ok"]}), max_row_bytes=100))
    assert ([row["text"] for row in kept], bad[0]["code"]) == (["ok"], "ROWSIZE")


TEXTS = st.none() | st.text(max_size=4)


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS | st.integers(0, 3), TEXTS), min_size=1, max_size=4), uri=st.booleans())
@example(rows=[("a", "k", None)], uri=True)
@example(rows=[("a", 7, "u")], uri=True)
def test_columns_without_fault_are_taken_whole_and_give_the_rows_that_a_look_at_each_gives(rows, uri):
    texts, keys, uris = zip(*rows, strict=True)
    named = keys if all(isinstance(key, int) for key in keys) else [key if key is None else str(key) for key in keys]
    keys = pa.array(named)
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string()), "key": keys, "uri": pa.array(uris, pa.string())})
    for key in (None, "key"):
        source = ParquetFiles("s", "x.parquet", key=key, uri="uri" if uri else None)
        whole, each = source._whole(batch), list(source._documents(batch, "x.parquet", 1))
        perfect = None not in texts and (key is None or all(k not in (None, "") for k in keys.to_pylist()))
        assert (whole is not None) == perfect
        if whole is not None:
            assert [rows.quarantined for rows in each] == [None] and whole.kept == each[0].kept


def test_numbers_are_no_texts():
    batch = pa.record_batch({"text": [1, 2]})
    assert ParquetFiles("s", "x.parquet")._whole(batch) is None


def test_a_missing_column_names_those_there_are(tmp_path):
    with pytest.raises(SchemaError, match="expected one column 'text', found 0; there are a"):
        read_all(source_of(tmp_path, pa.table({"a": [1]})))


def test_a_pickled_extension_type_is_refused(tmp_path):
    field = pa.field("x", pa.binary(), metadata={"ARROW:extension:name": "arrow.py_extension_type"})
    table = pa.table([pa.array([b"cos\nsystem\n"])], schema=pa.schema([field])).append_column("text", pa.array(["a"]))
    with pytest.raises(SchemaError, match="pickled extension type"):
        read_all(source_of(tmp_path, table))


@pytest.mark.parametrize("cut", [0, 3, 100, -1, -9])
def test_a_cut_file_is_corrupt(tmp_path, cut):
    source = source_of(tmp_path, pa.table({"text": ["a", "b", "c"]}))
    path = tmp_path / "rows.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorruptError, match="Parquet data is damaged: footer"):
        read_all(source)
    assert source.decompressed_bytes() == path.stat().st_size


def test_a_flipped_bit_names_row_group_and_column(tmp_path):
    source = source_of(tmp_path, pa.table({"n": [1, 2, 3, 4], "text": ["aaaa", "bbbb", "needle", "dddd"]}))
    path = tmp_path / "rows.parquet"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"needle", b"needlf", 1))
    with pytest.raises(CorruptError, match="row group 1, column 'text'"):
        read_all(source)


@settings(max_examples=150)
@given(st.data())
def test_mutated_files_raise_only_typed_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    source = source_of(folder, pa.table({"text": [f"row {i}" for i in range(5)], "k": [1, 2, 3, 4, 5]}), key="k")
    path = folder / "rows.parquet"
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    try:
        kept, bad, _, counted = read_all(source)
    except InputError:
        return
    assert len(kept) + len(bad) == counted
