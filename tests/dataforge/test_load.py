"""Loading: the published rows, whole, in shares, streamed; never from a folder whose bytes changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dataforge.errors import ConfigError, InputError, VerifyError
from dataforge.load import load
from dataforge.operators.publish import Publish
from dataforge.verify import verify
from tests.dataforge.test_publish import published


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("load"), Publish("harbour", shard_bytes=2000))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_without_config_the_default_with_every_split(version: Path) -> None:
    rows = load(version)
    assert {split: len(rows[split]) for split in rows} == {"train": 28, "validation": 5}
    assert "instruction" in rows["train"].column_names


def test_one_config_and_split(version: Path) -> None:
    assert len(load(version, "corpus", "validation")) == 5
    assert len(list(load(version, "corpus", "validation", streaming=True))) == 5
    assert len(load(version, "corpus", "train[:3]")) == 3


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("streaming", [False, True])
def test_ranks_share_every_row_once(version: Path, world_size: int, streaming: bool) -> None:
    whole = [row["id"] for row in load(version, "corpus", "train")]
    shares = [
        [row["id"] for row in load(version, "corpus", "train", streaming, rank, world_size)]
        for rank in range(world_size)
    ]
    assert sorted(i for share in shares for i in share) == sorted(whole)


def test_a_changed_byte_is_found_before_a_row_is_read(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "1.0"))
    path = next((copy / "corpus").glob("train-*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(VerifyError, match=path.name):
        load(copy, "corpus", "train")
    assert len(load(copy, "chat", "train")) == 28  # the others are whole


def test_a_file_beside_the_listed_ones_is_found(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "1.0"))
    shutil.copy(next((copy / "corpus").glob("train-*")), copy / "corpus/train-00099-of-00100.parquet")
    with pytest.raises(VerifyError, match="added"):
        load(copy, "corpus")


def test_a_changed_tokenizer_stops_token_rows_only(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "1.0"))
    (copy / "tokenizer/tokenizer.json").write_text("{}")
    with pytest.raises(VerifyError, match=r"tokenizer\.json"):
        load(copy, "packed-64", "train")
    assert len(load(copy, "sft", "train")) == 28


def test_unknown_names_get_a_hint(version: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'corpus'"):
        load(version, "korpus")
    with pytest.raises(ConfigError, match="no split 'test'"):
        load(version, "corpus", "test")


@pytest.mark.parametrize(("rank", "world_size", "split"), [(0, None, "train"), (2, 2, "train"), (0, 2, None)])
def test_ranks_that_make_no_sense_are_refused(
    version: Path, rank: int | None, world_size: int | None, split: str | None
) -> None:
    with pytest.raises(ConfigError):
        load(version, "corpus", split, rank=rank, world_size=world_size)


def test_what_is_no_version_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load(tmp_path)


def test_a_path_that_datasets_takes_for_a_pattern_is_told(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "my [data]" / "1.0"))
    for ask in (load, verify):
        with pytest.raises(ConfigError, match="take for wildcards"):
            ask(copy)
    with pytest.raises(ConfigError, match="take for wildcards"):
        published(tmp_path / "any?thing")


def test_load_is_at_the_top_and_a_folder_of_versions_names_them(version: Path) -> None:
    import dataforge

    assert dataforge.load is load
    with pytest.raises(InputError, match=f"name a version in it: {version.name}"):
        load(version.parent)
