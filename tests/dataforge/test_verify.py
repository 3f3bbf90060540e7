"""Verification: any changed, missing or added byte is found and named, and so are counts that do not add up."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataforge.commit import file_sha256
from dataforge.errors import EXIT_VERIFY, InputError, VerifyError, VersionError
from dataforge.operators.published_documents import checksums_text, json_text
from dataforge.verify import check_bytes, verify
from tests.dataforge.test_publish import published

PAPERS = ("dataset_manifest.json", "checksums.sha256")  # they vouch for each other: either may be named


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def version(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "1.0"))


def test_an_untouched_version_passes(pristine: Path) -> None:
    found = verify(pristine)
    assert found["rows"]["corpus"] == {"train": 28, "validation": 5}
    assert found["files"] == sum(1 for p in pristine.rglob("*") if p.is_file())


def test_every_flipped_bit_is_found_and_the_file_named(version: Path) -> None:
    """Four places in every file; the benchmark flips 10,000."""
    draw = random.Random(7)
    for path in sorted(p for p in version.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for _ in range(4):
            place = draw.randrange(len(whole) * 8)
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises((VerifyError, VersionError)) as error:
                verify(version)
            assert error.value.file.endswith((path.name, "dataset_manifest.json" if path.name in PAPERS else path.name))
        path.write_bytes(whole)
    assert check_bytes(version) == []


@pytest.mark.parametrize("name", ["README.md", "corpus/train-00000-of-00001.parquet", "dataset_manifest.json"])
def test_a_missing_file_is_named(version: Path, name: str) -> None:
    (version / name).unlink()
    with pytest.raises(VerifyError, match="missing") as error:
        verify(version)
    assert error.value.exit_code == EXIT_VERIFY and error.value.file.endswith(name)


@pytest.mark.parametrize("name", ["corpus/train-00001-of-00002.parquet", ".hidden", "more/x"])
def test_an_added_file_is_named(version: Path, name: str) -> None:
    (version / name).parent.mkdir(exist_ok=True)
    (version / name).write_bytes(b"")
    with pytest.raises(VerifyError, match="added") as error:
        verify(version)
    assert error.value.file.endswith(name)


def test_a_truncated_file_and_a_link_in_its_place_are_found(version: Path, tmp_path: Path) -> None:
    path = version / "corpus/train-00000-of-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert [p.file for p in check_bytes(version)] == [str(path)]
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(whole)
    path.symlink_to(tmp_path / "elsewhere")
    assert [p.file for p in check_bytes(version)] == [str(path)]


def test_all_problems_are_counted(version: Path) -> None:
    (version / "LICENSE").unlink()
    (version / "README.md").write_text("")
    with pytest.raises(VerifyError, match="and 1 more") as error:
        verify(version)
    assert len(error.value.problems) == 2  # type: ignore[attr-defined]


def resealed(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the manifest and makes all hashes agree again: what is left is wrong counts."""
    path = version / "dataset_manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    for file in manifest["files"]:
        file["sha256"] = file_sha256(version / file["path"])
    shas = {file["path"]: file["sha256"] for file in manifest["files"]}
    for entry in manifest["configs"]:
        for file in entry["files"]:
            file["sha256"] = shas[file["path"]]
    path.write_text(json_text(manifest))
    own = {"path": path.name, "sha256": file_sha256(path)}
    (version / "checksums.sha256").write_text(checksums_text([*manifest["files"], own]))


def nothing(manifest: dict[str, Any]) -> None:
    pass


def entry_of(manifest: dict[str, Any], config: str) -> dict[str, Any]:
    return next(entry for entry in manifest["configs"] if entry["config"] == config)


def test_a_ledger_that_does_not_close_is_found(version: Path) -> None:
    resealed(version, lambda m: m["ledger"][0].update(kept=39))
    with pytest.raises(VerifyError, match="ledger does not close: 41 rows in, 40 accounted for"):
        verify(version)


def test_a_wrong_row_count_is_found(version: Path) -> None:
    resealed(version, lambda m: entry_of(m, "corpus").update(rows=29))
    with pytest.raises(VerifyError, match="29 rows expected, 28 found"):
        verify(version)


def test_fewer_rows_than_the_tables_held_are_found(version: Path) -> None:
    resealed(version, lambda m: m["parents"]["corpus"][0].update(rows=34))
    with pytest.raises(VerifyError, match="34 rows in its tables, 33 published"):
        verify(version)


def test_another_tokenizer_is_found(version: Path) -> None:
    (version / "tokenizer/tokenizer.json").write_text("{}")
    resealed(version, nothing)
    with pytest.raises(VerifyError) as error:
        verify(version)
    assert error.value.file.endswith("tokenizer")


def rewrite(version: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    path = version / name
    pq.write_table(change(pq.read_table(path)), path)
    resealed(version, nothing)


def test_a_row_in_two_splits_is_found(version: Path) -> None:
    held = pq.read_table(version / "corpus/validation-00000-of-00001.parquet")

    def leak(rows: pa.Table) -> pa.Table:
        return pa.concat_tables([rows.slice(1), held.slice(0, 1).replace_schema_metadata(rows.schema.metadata)])

    rewrite(version, "corpus/train-00000-of-00001.parquet", leak)
    with pytest.raises(VerifyError, match="1 ids stand in train and in validation"):
        verify(version)


def test_a_packed_row_of_the_other_split_is_found(version: Path) -> None:
    held = pq.read_table(version / "corpus/validation-00000-of-00001.parquet")["id"][0].as_py()

    def leak(rows: pa.Table) -> pa.Table:
        parents = rows["parents"].to_pylist()
        parents[0][0] = held
        return rows.set_column(4, rows.schema.field("parents"), pa.array(parents))

    rewrite(version, "packed-64/train-00000-of-00001.parquet", leak)
    with pytest.raises(VerifyError, match="stand in train and in validation"):
        verify(version)


def test_lengths_that_do_not_add_up_are_found(version: Path) -> None:
    def stretch(rows: pa.Table) -> pa.Table:
        lengths = [[length + 1 for length in row] for row in rows["seq_lengths"].to_pylist()]
        return rows.set_column(3, rows.schema.field("seq_lengths"), pa.array(lengths, pa.list_(pa.int32())))

    rewrite(version, "packed-64/train-00000-of-00001.parquet", stretch)
    with pytest.raises(VerifyError, match="do not add up"):
        verify(version)


def test_another_column_type_is_found(version: Path) -> None:
    rewrite(
        version,
        "tokenized/train-00000-of-00001.parquet",
        lambda rows: rows.set_column(4, "length", rows["length"].cast(pa.int64())),
    )
    with pytest.raises(VerifyError, match="type int32 expected, int64 found"):
        verify(version)


def test_a_config_that_does_not_load_is_found(version: Path) -> None:
    card = version / "README.md"
    card.write_text(card.read_text().replace('path: "chat/train-*', 'path: "chat/nothing-*'))
    resealed(version, nothing)
    with pytest.raises(VerifyError, match="does not load"):
        verify(version)


def test_what_is_no_version_is_an_input_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError):
            verify(place)


def test_a_manifest_of_another_format_is_refused(version: Path) -> None:
    resealed(version, lambda m: m.update(format=99))
    with pytest.raises(VersionError, match="format 99"):
        verify(version)


def test_a_process_that_dies_while_loading_is_told(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataforge.first_rows.CODE", "import os; os.abort()")
    with pytest.raises(VerifyError, match="ended with -6"):
        verify(version)
