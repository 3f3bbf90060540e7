"""Which files belong to a source, what its digest covers, how it is split, and how copies of a text get ids."""

import gzip
import os
import zipfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataforge.errors import InputError
from dataforge.identity import part_of
from dataforge.operators import files
from dataforge.operators.files_csv import CsvFiles
from dataforge.operators.files_jsonl import JsonlFiles
from dataforge.operators.files_rows import documents, number_copies
from dataforge.operators.files_sniff import sniff
from tests.operators.reading import read_all

ROW = b'{"text": "a"}\n'


def write(folder, **contents: bytes) -> None:
    for name, data in contents.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(path) -> list[str]:
    return [file.name for file in JsonlFiles("s", str(path)).files()]


def test_file_folder_and_glob_name_files_alike(tmp_path):
    write(tmp_path, b_dot_jsonl=ROW, sub__a_dot_jsonl=ROW, notes_dot_md=b"x", _hidden_dot_jsonl=ROW)
    assert names(tmp_path) == ["b.jsonl", "sub/a.jsonl"]
    assert names(tmp_path / "b.jsonl") == ["b.jsonl"]
    assert names(tmp_path / "**/*.jsonl") == ["_hidden.jsonl", "b.jsonl", "sub/a.jsonl"]
    assert names(tmp_path / "s*/a.jsonl") == ["sub/a.jsonl"]


def test_a_name_that_is_there_is_no_wildcard(tmp_path):
    write(tmp_path / "books [2024]", a_dot_jsonl=ROW, sub__b_dot_jsonl=ROW)
    write(tmp_path, **{"x[1]_dot_jsonl": ROW})
    assert names(tmp_path / "books [2024]") == ["a.jsonl", "sub/b.jsonl"]
    assert names(tmp_path / "books [2024]" / "a.jsonl") == ["a.jsonl"]
    assert names(tmp_path / "books [2024]" / "*.jsonl") == ["a.jsonl"]
    assert names(tmp_path / "x[1].jsonl") == ["x[1].jsonl"]
    assert names(tmp_path / "books ?2024?" / "*.jsonl") == ["books [2024]/a.jsonl"]


def test_links_are_followed_and_no_folder_is_read_twice(tmp_path):
    write(tmp_path, in__a_dot_jsonl=ROW, elsewhere__deep__b_dot_jsonl=ROW)
    (tmp_path / "in/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/again").symlink_to(tmp_path / "elsewhere/deep")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in")
    assert names(tmp_path / "in") == ["a.jsonl", "again/b.jsonl"]
    (tmp_path / "in/lost.jsonl").symlink_to(tmp_path / "none")
    with pytest.raises(InputError, match="a link leads to no file"):
        names(tmp_path / "in")


def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path, monkeypatch):
    write(tmp_path, a_dot_jsonl=ROW, sub__b_dot_jsonl=ROW)
    walk = os.scandir

    def scandir(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return walk(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="cannot be listed"):
        names(tmp_path)


def test_missing_input_is_an_error_and_an_empty_folder_is_not(tmp_path):
    for path in ("none.jsonl", "none/*.jsonl", "*.jsonl"):
        with pytest.raises(InputError, match="no such file"):
            JsonlFiles("s", str(tmp_path / path)).digest()
    assert JsonlFiles("s", str(tmp_path)).splits() == ()
    write(tmp_path, notes_dot_md=b"x")
    with pytest.raises(InputError, match="no file in the folder ends in"):
        JsonlFiles("s", str(tmp_path)).digest()


def test_the_digest_covers_names_and_bytes_but_not_the_root(tmp_path):
    write(tmp_path, one__a_dot_jsonl=ROW, two__a_dot_jsonl=ROW, three__b_dot_jsonl=ROW, four__a_dot_jsonl=ROW + ROW)
    one, two, three, four = (JsonlFiles("s", str(tmp_path / n)).digest() for n in ("one", "two", "three", "four"))
    assert one == two
    assert len({one, three, four}) == 3


def test_a_remembered_file_is_not_read_again_until_it_changes(tmp_path, monkeypatch):
    write(tmp_path, a_dot_jsonl=ROW)
    source, remembered = JsonlFiles("s", str(tmp_path)), {}
    digest, size = source.digest(remembered), source.decompressed_bytes(remembered)
    with monkeypatch.context() as patch:
        patch.setattr(files, "open_raw", lambda location: pytest.fail("the file was opened"))
        assert (source.digest(remembered), source.decompressed_bytes(remembered)) == (digest, size)
    write(tmp_path, a_dot_jsonl=ROW + ROW)
    assert source.digest(remembered) != digest


def test_the_stamp_differs_once_a_file_is_changed_added_or_gone(tmp_path):
    write(tmp_path, a_dot_jsonl=ROW, b_dot_jsonl=ROW)
    source = JsonlFiles("s", str(tmp_path))
    stamps = [source.stamp(), source.stamp()]
    os.utime(tmp_path / "a.jsonl", ns=(1, 1))
    stamps.append(source.stamp())
    (tmp_path / "b.jsonl").unlink()
    stamps.append(source.stamp())
    write(tmp_path, c_dot_jsonl=ROW)
    stamps.append(source.stamp())
    assert stamps[0] == stamps[1] and len(set(stamps)) == 4


def test_small_files_share_a_split_and_large_ones_stand_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SPLIT_BYTES", 3 * len(ROW))
    write(tmp_path, a_dot_jsonl=ROW, b_dot_jsonl=ROW, c_dot_jsonl=ROW * 9, d_dot_jsonl=ROW)
    splits = JsonlFiles("s", str(tmp_path)).splits()
    assert [split.files for split in splits] == [("a.jsonl", "b.jsonl"), ("c.jsonl",), ("d.jsonl",)]
    assert sum(split.size_bytes for split in splits) == 12 * len(ROW)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/a\xff.jsonl", os.O_CREAT))
    with pytest.raises(InputError, match="not UTF-8"):
        names(tmp_path)


def test_fsspec_urls_read_like_folders():
    memory = fsspec.filesystem("memory")
    memory.pipe({"/corpus/a.jsonl": ROW, "/corpus/sub/b.jsonl": ROW, "/corpus/c.txt": b"x"})
    for path, count in (("memory://corpus", 2), ("memory://corpus/*.jsonl", 1), ("memory://corpus/a.jsonl", 1)):
        kept, *_ = read_all(JsonlFiles("s", path))
        assert len(kept) == count
    with pytest.raises(InputError):
        names("memory://corpus/none.jsonl")
    with pytest.raises(InputError, match="no file system for nonsense://"):
        names("nonsense://x")
    memory.rm("/corpus", recursive=True)


@given(st.lists(st.sampled_from(["thanks", "ok", "no"]), max_size=12), st.randoms())
def test_copies_are_numbered_the_same_in_any_order(texts, random):
    def numbered(order):
        none = [None] * len(order)
        rows = pa.Table.from_batches([documents("s", none, order, none, none, None)])
        return number_copies(rows.sort_by([("id", "ascending")]))

    rows = numbered(texts)
    shuffled = texts[:]
    random.shuffle(shuffled)
    assert rows.equals(numbered(shuffled))
    ids = rows.column("id").to_pylist()
    assert len(set(ids)) == len(texts)
    assert sorted(rows.column("text").to_pylist()) == sorted(texts)


def test_a_numbered_copy_stays_in_its_part_and_keys_are_left_alone():
    rows = pa.Table.from_batches([documents("s", [None, None, "k"], ["a"] * 3, [None] * 3, [None] * 3, None)])
    rows = rows.sort_by([("id", "ascending")])
    numbered = number_copies(rows)
    assert set(part_of(rows.column("id"), 256)) == set(part_of(numbered.column("id"), 256))
    assert {row["id"] for row in rows.to_pylist()} <= {row["id"] for row in numbered.to_pylist()}
    assert sorted(row["key"][-2:] for row in numbered.to_pylist()) == ["#0", "#1", "k"]


def test_sniff_names_kind_and_columns(tmp_path):
    write(
        tmp_path,
        a_dot_jsonl=b'{"Body": "hello", "title": "a longer title", "id": 1, "date": "2024-01-02"}\n',
        b_dot_csv=b"text;url\nhi;http://e.org\n",
        c_dot_txt=b"x",
        d_dot_bin=b"\0",
    )
    assert [(s.kind, s.files, s.settings) for s in sniff(str(tmp_path))] == [
        ("csv", 1, {"text": "text", "uri": "url", "delimiter": ";"}),
        ("jsonl", 1, {"text": "Body", "key": "id", "created": "date"}),
        ("text", 1, {}),
    ]
    with pytest.raises(InputError, match="none of a known kind"):
        sniff(str(tmp_path / "d.bin"))


def test_sniff_knows_lines_of_json_under_the_names_of_dolma_and_c4(tmp_path):
    row = b'{"id": "1", "text": "hello", "created": "2024-01-02"}\n'
    write(tmp_path, documents__part_dot_json_dot_gz=gzip.compress(row), documents__two_dot_json_dot_gz=gzip.compress(row))
    write(tmp_path, documents__setup_dot_json=b'{\n  "a": 1\n}')
    (found,) = sniff(str(tmp_path / "documents"))
    settings = {"text": "text", "key": "id", "created": "created"}
    assert (found.kind, found.files, found.settings) == ("jsonl", 2, settings)
    kept, bad, *_ = read_all(JsonlFiles("s", found.path))
    assert (len(kept), bad) == (2, [])


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"WARC/1.0\r\n", "warc"), (b'{"text": "a"}\n', "jsonl"), (b"Once upon a time\n", "text"), (b"PAR1", "parquet")],
)
def test_sniff_goes_by_bytes_where_the_name_says_nothing(tmp_path, data, kind):
    for name, raw in (("plain", data), ("packed.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(raw)
        assert [s.kind for s in sniff(str(tmp_path / name))] == [kind]


def test_sniff_knows_a_slack_export_packed_or_not(tmp_path):
    (tmp_path / "export/general").mkdir(parents=True, exist_ok=True)
    (tmp_path / "export/general/2024-01-31.json").write_bytes(b"[]")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.write(tmp_path / "export/general/2024-01-31.json", "general/2024-01-31.json")
    for name in ("export", "e.zip"):
        assert [s.kind for s in sniff(str(tmp_path / name))] == ["slack_export"]


def test_sniff_takes_slack_exports_that_lie_in_a_folder_of_other_files(tmp_path):
    (tmp_path / "export/general").mkdir(parents=True)
    (tmp_path / "export/general/2024-01-31.json").write_bytes(b"[]")
    (tmp_path / "export/notes.txt").write_bytes(b"part of the export")
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "x"}\n')
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.write(tmp_path / "export/general/2024-01-31.json", "general/2024-01-31.json")
    (tmp_path / "other.zip").write_bytes(b"no archive")
    found = [(s.kind, Path(s.path).name, s.files) for s in sniff(str(tmp_path))]
    assert found == [("jsonl", tmp_path.name, 1), ("slack_export", "export", 1), ("slack_export", "old.zip", 1)]


def test_sniff_names_what_no_source_reads(tmp_path):
    (tmp_path / "export/general").mkdir(parents=True)
    (tmp_path / "export/general/2024-01-31.json").write_bytes(b"[]")
    write(tmp_path, a_dot_jsonl=b'{"text": "x"}\n', b_dot_json=b'{"text": "x"}\n')
    assert [source.notes for source in sniff(str(tmp_path))] == [(), (), ()]
    write(tmp_path, c_dot_pdf=b"%PDF", d_dot_PDF=b"%PDF", e=b"\0")
    told = "3 file(s) here are of no known kind and are not read: .pdf 2, no suffix 1"
    assert [source.notes for source in sniff(str(tmp_path))] == [(), (), (told,)]


def test_sniff_reads_tables_of_other_encodings(tmp_path):
    row = "1;Was kostet die Prüfung? Fünfzig Euro, für Schüler die Hälfte.;2024-01-02\n"
    rows = "Nummer;Frage_und_Antwort;Datum\n" + row * 9
    (tmp_path / "faq.csv").write_bytes(rows.encode("cp1252"))
    (found,) = sniff(str(tmp_path / "faq.csv"))
    assert found.settings["text"] == "Frage_und_Antwort" and found.settings["delimiter"] == ";"
    kept, bad, *_ = read_all(
        CsvFiles("s", found.path, text="Frage_und_Antwort", delimiter=";", encoding=found.settings["encoding"])
    )
    assert (len(kept), bad) == (9, []) and "Prüfung" in kept[0]["text"]
