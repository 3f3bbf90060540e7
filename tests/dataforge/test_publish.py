"""Publishing: a folder that loaders read, the same bytes every time, nothing at all when it is killed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.errors import AccountError, ConfigError, InputError, LockedError, PartialError, SchemaError, VerifyError
from dataforge.operators.publish import Publish, check_names, check_out, publish
from dataforge.operators.published import COLUMNS, default_config, in_card_order, kind_of, published_schema
from dataforge.operators.published_place import only_publisher
from dataforge.operators.shards import ShardWriter, row_weights, shard_count, weigh
from dataforge.report import facts
from tests.dataforge.small_tables import PARTS, SPLIT, Graph, tokenizer_folder, write

SPEC = Publish("harbour")


def published(folder: Path, spec: Publish = SPEC, **change: Any) -> Path:
    """The small graph, published below `folder`."""
    graph, tokenizer = Graph(folder / "store"), tokenizer_folder(folder / "tokenizer")
    known = facts(
        graph.tables(), graph.configs(), tokenizer=tokenizer, config={"name": "harbour", "store": "/secret/place"}
    )
    given = {"configs": graph.configs(), "tokenizer": tokenizer, "version": "1.0", "facts": known, **change}
    return publish(spec, given.pop("configs"), out=folder / "out", **given)


def tree(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("config", ["instruct", "sft", "chat", "corpus", "tokenized"])
@pytest.mark.parametrize("streaming", [False, True])
def test_every_config_loads(version: Path, config: str, streaming: bool, tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(version), config, streaming=streaming, cache_dir=str(tmp_path))
    assert {split: len(list(rows[split])) for split in rows} == {"train": 28, "validation": 5}
    assert list(next(iter(rows["train"]))) == [name for name, _ in COLUMNS[config]]


def test_instruct_is_the_default_config_and_acts_are_class_labels(version: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(version), split="train", cache_dir=str(tmp_path))
    assert rows.column_names == [name for name, _ in COLUMNS["instruct"]]
    assert rows.features["act"].int2str(rows[0]["act"]) == "questions"


def test_packed_rows_keep_their_shape(version: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(version), "packed-64", split="train", cache_dir=str(tmp_path))
    for row in rows:
        assert len(row["input_ids"]) == len(row["labels"]) == len(row["position_ids"]) == sum(row["seq_lengths"])
        assert len(row["parents"]) == len(row["seq_lengths"])
    assert rows.column_names == ["input_ids", "labels", "position_ids", "seq_lengths", "parents"]


@pytest.mark.parametrize("config", sorted(COLUMNS))
def test_features_are_those_that_datasets_would_write(config: str) -> None:
    fields = [pa.field(name, kind) for name, kind in COLUMNS[config]] + [pa.field("split", pa.string())]
    ours = published_schema("packed-8" if config == "packed" else config, pa.schema(fields))
    theirs = datasets.Features.from_arrow_schema(ours)
    assert theirs.arrow_schema.equals(ours, check_metadata=True)


def test_a_ledger_that_does_not_close_is_not_published(tmp_path: Path) -> None:
    entry = {"step": "corpus/clean", "in": 5, "kept": 3, "dropped": {"short": 1}, "quarantined": 0}
    with pytest.raises(VerifyError, match="ledger does not close: 5 rows in, 4 accounted for") as off:
        published(tmp_path, facts={"ledger": [entry]})
    assert off.value.key == "corpus/clean" and "run again" in off.value.hint
    assert not list((tmp_path / "out" / "harbour").iterdir())


def test_card_lists_every_config_with_exact_counts(version: Path) -> None:
    from ruamel.yaml import YAML

    head = YAML(typ="safe").load((version / "README.md").read_text().split("---\n")[1])
    assert [c["config_name"] for c in head["configs"]] == [
        "instruct",
        "sft",
        "chat",
        "corpus",
        "tokenized",
        "packed-64",
    ]
    assert [c["config_name"] for c in head["configs"] if c.get("default")] == ["instruct"]
    counts = {i["config_name"]: {s["name"]: s["num_examples"] for s in i["splits"]} for i in head["dataset_info"]}
    assert counts["corpus"] == {"train": 28, "validation": 5}


def test_card_says_why_rows_were_dropped_and_which_were_joined() -> None:
    from dataforge.operators.card import card_text

    step = {"step": "instruct/made", "in": 24, "out": 2, "quarantined": 0, "dropped": {"unanswered": 5, "own_list": 18}}
    spec = SimpleNamespace(name="n", licence="other", citation="", description="", pretty_name="")
    entry = {"config": "corpus", "split": "train", "rows": 1, "bytes": 1, "bytes_in_memory": 1, "files": [], "columns": []}
    document = {"configs": [entry], "default": "corpus", "name": "n", "version": "v"}
    card = card_text(spec, document, {"funnel": [step]})
    assert "| instruct/made | 24 | 2 | unanswered 5; own_list 18; 2 made of 1 | 0 |" in card
    assert "| dropped | why |\n| --- | --- |\n| `unanswered` | Nobody answers the question. |\n\n" in card


def test_the_lines_of_the_card_run(version: Path, tmp_path: Path) -> None:
    code = (version / "README.md").read_text().split("```python\n")[1].split("```")[0]
    where = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", code], cwd=version.parents[1], env=where, check=True, timeout=120, capture_output=True
    )


def test_manifest_and_checksums_name_every_file(version: Path) -> None:
    files = tree(version)
    manifest = json.loads((version / "dataset_manifest.json").read_text())
    assert {f["path"]: f["sha256"] for f in manifest["files"]} == {
        name: sha for name, sha in files.items() if name not in ("dataset_manifest.json", "checksums.sha256")
    }
    subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=version, check=True)


def test_nothing_published_tells_where_it_was_made(version: Path, tmp_path: Path) -> None:
    place = str(version.parents[2]).encode()
    for path in version.rglob("*"):
        if path.is_file():
            assert place not in path.read_bytes() and b"/secret/place" not in path.read_bytes()


def test_two_places_give_the_same_bytes(version: Path, tmp_path: Path) -> None:
    assert tree(published(tmp_path)) == tree(version)


def test_an_equal_version_is_left_alone(tmp_path: Path) -> None:
    before = published(tmp_path).stat().st_ino
    assert published(tmp_path).stat().st_ino == before


def test_another_content_under_the_same_version_is_refused(tmp_path: Path) -> None:
    published(tmp_path)
    with pytest.raises(ConfigError, match="exists with other content"):
        published(tmp_path, Publish("harbour", licence="mit"))


def test_a_damaged_version_is_refused_and_named(tmp_path: Path) -> None:
    path = published(tmp_path) / "LICENSE"
    path.write_text("other")
    with pytest.raises(VerifyError, match="LICENSE"):
        published(tmp_path)


KILL = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from tests.dataforge.test_publish import published
published(Path({folder!r}))
"""


@pytest.mark.parametrize("step", ["build_version", "open_tmp", "write", "fsync_file", "rename_version", "fsync_root"])
def test_a_kill_at_any_step_shows_nothing_or_all_and_a_rerun_gives_the_same(
    version: Path, tmp_path: Path, step: str
) -> None:
    graph_calls = (
        0 if step in ("build_version", "rename_version", "fsync_root") else _calls_of_the_graph(tmp_path / "x", step)
    )
    where = {**os.environ, "DATAFORGE_FAULT": f"kill:{step}:{graph_calls + 1}"}
    code = KILL.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, timeout=120)
    assert killed.returncode == -9
    assert (tmp_path / "out/harbour/1.0").exists() == (step == "fsync_root")
    assert tree(published(tmp_path)) == tree(version)
    assert [p.name for p in (tmp_path / "out/harbour").iterdir()] == ["1.0"]


def _calls_of_the_graph(folder: Path, step: str) -> int:
    """How often writing the small graph reaches a step before publishing begins."""
    from dataforge import commit

    seen: list[str] = []
    original, commit.reach = commit.reach, seen.append
    part_reach = sys.modules["dataforge.part"].reach
    try:
        sys.modules["dataforge.part"].reach = seen.append  # type: ignore[attr-defined]
        Graph(folder)
    finally:
        commit.reach = original
        sys.modules["dataforge.part"].reach = part_reach  # type: ignore[attr-defined]
    return seen.count(step)


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataforge import commit

    monkeypatch.setattr(commit, "_reached", {})
    monkeypatch.setenv("DATAFORGE_FAULT", "ENOSPC:rename_version:1")
    with pytest.raises(PartialError) as error:
        published(tmp_path)
    assert error.value.code == "NOSPC"
    assert list((tmp_path / "out/harbour").iterdir()) == []


def test_two_stores_do_not_publish_under_one_name_at_a_time(tmp_path: Path) -> None:
    """The second would take what the first is building for the remains of a killed run."""
    (tmp_path / "out/harbour").mkdir(parents=True)
    with only_publisher(tmp_path / "out/harbour"), pytest.raises(LockedError, match="another run publishes here"):
        published(tmp_path)
    assert published(tmp_path).is_dir()


def test_arrow_copy_loads_and_does_not_disturb_the_rest(tmp_path: Path, version: Path) -> None:
    folder = published(tmp_path, Publish("harbour", arrow=True))
    copy = datasets.load_from_disk(str(folder / "arrow" / "chat"))
    rows = datasets.load_dataset(str(folder), "chat", cache_dir=str(tmp_path / "cache"))
    assert copy["train"].to_list() == rows["train"].to_list()
    assert copy["train"].features == rows["train"].features
    assert {k: v for k, v in tree(folder).items() if k.endswith(".parquet")} == {
        k: v for k, v in tree(version).items() if k.endswith(".parquet")
    }


def test_a_split_without_rows_is_neither_written_nor_listed(tmp_path: Path) -> None:
    rows = pa.table({"id": ["a" * 32], "text": ["x"], "source": ["s"], "split": ["train"]})
    folder = published(tmp_path, configs={"corpus": [write(tmp_path, "one", rows)], "instruct": []}, tokenizer=None)
    assert [p.name for p in (folder / "corpus").iterdir()] == ["train-00000-of-00001.parquet"]
    assert not (folder / "instruct").exists()
    assert "validation" not in (folder / "README.md").read_text().split("---\n")[1]


def test_a_row_of_no_known_split_stops_the_publish(tmp_path: Path) -> None:
    rows = pa.table({"id": ["a" * 32], "text": ["x"], "split": ["nowhere"]})
    with pytest.raises(AccountError):
        published(tmp_path, configs={"corpus": [write(tmp_path, "one", rows)]}, tokenizer=None)
    assert list((tmp_path / "out/harbour").iterdir()) == []


def test_nothing_to_publish_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to publish"):
        published(
            tmp_path,
            configs={"corpus": [write(tmp_path, "none", SPLIT.append(pa.field("text", pa.string())).empty_table())]},
        )


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    rows = pa.table({"id": ["a" * 32], "split": ["train"]})
    with pytest.raises(SchemaError, match="needs column 'text'"):
        published(tmp_path, configs={"corpus": [write(tmp_path, "bare", rows)]})


def test_tokens_without_their_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the tokenizer"):
        published(tmp_path, tokenizer=None)


@pytest.mark.parametrize("name", ["", "a/b", "..", "my-test-set", "eval", "train_2", "-x", "a b", "Val.1"])
def test_names_that_loaders_misread_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        check_names(name, "1.0")
    with pytest.raises(ConfigError):
        check_names("support", name)


@pytest.mark.parametrize("name", ["support", "contest", "latest", "evaluator-7", "a.b_c-1", "devil"])
def test_names_that_only_look_like_splits_are_fine(name: str) -> None:
    check_names(name, name)


def test_output_folder_may_be_no_link_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ConfigError):
            check_out(tmp_path / name, "demo")
        with pytest.raises(ConfigError, match="name"):
            check_out(tmp_path, name)


def test_config_names() -> None:
    assert in_card_order(["packed-2048", "corpus", "packed-512", "chat", "instruct"]) == [
        "instruct", "chat", "corpus", "packed-512", "packed-2048"]  # fmt: skip
    assert [default_config(names) for names in (["chat", "instruct"], ["sft", "corpus"], ["tokenized"])] == [
        "instruct", "corpus", "tokenized"]  # fmt: skip
    for wrong in ("packed", "packed-0", "test", "packed-x"):
        with pytest.raises(ConfigError):
            kind_of(wrong)


@given(st.integers(0, 10**7), st.integers(0, 10**13))
def test_shard_counts_are_powers_of_two_that_keep_files_small(rows: int, size: int) -> None:
    count = shard_count(rows, size, 500_000_000)
    assert count & (count - 1) == 0
    assert count <= max(1, rows)
    assert size <= count * 500_000_000 or count * 2 > rows
    assert count >= 8 or size < 62_500_000 or rows < 8


def test_weights_are_bytes_in_memory() -> None:
    nested = pa.array([[{"role": "user", "content": "abc"}], []])
    assert weigh(pa.array(["", "abc", None])).tolist() == [4, 7, 4]
    assert weigh(pa.array([[1, 2], []], pa.list_(pa.int32()))).tolist() == [12, 4]
    assert weigh(nested).tolist() == [4 + 4 + 4 + 4 + 3, 4]
    assert weigh(nested.slice(1)).tolist() == [4]


@settings(max_examples=40)
@given(
    st.lists(st.text(max_size=40), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 3), st.integers(20, 400)
)
def test_files_do_not_depend_on_the_size_of_pieces(texts: list[str], piece: int, power: int, group: int) -> None:
    import tempfile

    rows = pa.table({"id": [f"{n:032x}" for n in range(len(texts))], "text": texts})
    count = min(1 << power, 1 << (len(texts).bit_length() - 1))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = []
        for folder, step in ((one, piece), (other, len(texts))):
            writer = ShardWriter(
                Path(folder), "corpus", "train", len(texts), count, rows.schema, group_bytes=group, cdc=False
            )
            for at in range(0, len(texts), step):
                writer.write(rows.slice(at, step))
            found.append(writer.written)
        assert found[0] == found[1]
        assert [f.rows for f in found[0]] == [
            len(texts) * (j + 1) // count - len(texts) * j // count for j in range(count)
        ]
        read = [pq.read_table(Path(one) / f.path) for f in found[0]]
        assert pa.concat_tables(read)["text"].to_pylist() == texts
        groups = [pq.ParquetFile(Path(one) / f.path) for f in found[0]]
        for file in groups:
            for g in range(file.num_row_groups):
                cut = file.read_row_group(g)
                assert cut.num_rows == 1 or int(row_weights(cut).sum()) <= group


def test_large_splits_are_cut_into_contiguous_shards(tmp_path: Path) -> None:
    folder = published(tmp_path, Publish("harbour", shard_bytes=1000, row_group_bytes=300))
    files = sorted((folder / "corpus").glob("train-*"))
    assert len(files) == 8 and files[0].name == "train-00000-of-00008.parquet"
    ids = np.concatenate([pq.read_table(path)["id"].to_numpy() for path in files])
    assert ids.tolist() == sorted(ids.tolist())
    assert {len(pq.read_table(path)) for path in files} == {3, 4}
    assert PARTS == 4


def test_labels_of_people_are_class_labels_where_they_are_speech_acts(tmp_path: Path) -> None:
    def features(*labels: str | None) -> Any:
        rows = pa.table({"id": [f"{n:032x}" for n in range(len(labels))], "label": pa.array(labels, pa.string())})
        rows = rows.append_column("split", pa.array(["train"] * len(labels)))
        place = tmp_path / str(len(labels))
        published(place, configs={"annotations": [write(place, "labels", rows)]}, tokenizer=None)
        loaded = datasets.load_dataset(str(place / "out/harbour/1.0"), split="train", cache_dir=str(place / "cache"))
        return loaded.features["label"], loaded["label"]

    kind, values = features("questions", None)
    assert kind.int2str(values[0]) == "questions" and values[1] is None
    assert features("questions", "rightly dropped", "x") == (
        datasets.Value("string"),
        ["questions", "rightly dropped", "x"],
    )


@pytest.mark.parametrize(("cdc", "least", "most"), [(True, 0.5, 1.0), (False, 0.0, 0.2)])
def test_pages_cut_by_content_outlive_a_row_more(cdc: bool, least: float, most: float, tmp_path: Path) -> None:
    """A row before all others moves every page that is cut by size, and few of those that are cut by what they hold."""
    rng = np.random.default_rng(0)
    texts = [rng.bytes(500).hex() for _ in range(4000)]
    files = []
    for name, kept in (("one", texts), ("other", ["a row more", *texts])):
        rows = pa.table({"id": [f"{n:032x}" for n in range(len(kept))], "text": kept})
        writer = ShardWriter(
            tmp_path / name, "corpus", "train", len(kept), 1, rows.schema, group_bytes=1 << 30, cdc=cdc
        )
        writer.write(rows)
        files.append(tmp_path / name / writer.written[0].path)
        assert pq.read_table(files[-1])["text"].to_pylist() == kept
    one, other = (file.read_bytes() for file in files)
    pieces = [one[at : at + 16] for at in range(0, len(one) - 16, len(one) // 200)]
    assert least <= sum(piece in other for piece in pieces) / len(pieces) <= most
