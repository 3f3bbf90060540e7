"""A living index: what was added is found by verified Jaccard, once; removed rows are gone; a killed change is none."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataforge.errors import ConfigError, InputError, LockedError, PartialError, VerifyError, VersionError
from dataforge.identity import row_id, text_hashes
from dataforge.kernels.minhash import MinHashSpec, reference_shingle_hashes
from dataforge.operators import near_index_change, near_segment
from dataforge.operators.near_index import NearIndex, Shape, packed_words, unpacked
from dataforge.operators.near_index_change import Change, add, lock, remove
from dataforge.operators.near_segment import lookup

SHAPE = Shape()


def sentence(seed: int, words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choice("abcdefgh") for _ in range(6)) for _ in range(words))


def rows(texts: dict[str, str]) -> list[pa.RecordBatch]:
    ids, column = [row_id("s", key) for key in texts], pa.array(list(texts.values()), pa.string())
    return [pa.record_batch([pa.array(ids, pa.string()), column, text_hashes(column)], ["id", "text", "text_hash"])]


def put(path: Path, texts: dict[str, str], origin: str = "monday", **more: Any) -> Change:
    return add(path, SHAPE, rows(texts), origin=origin, name="daily", **more)


def found(path: Path, text: str, threshold: float = 0.8, **more: Any) -> dict[str, float]:
    index = NearIndex.open(path, SHAPE)
    return {match.id: match.jaccard for match in index.find(pa.array([text]), SHAPE, threshold, **more)}


def holds(path: Path) -> set[str]:
    """Ids, as they lie in the segments."""
    ids = [unpacked(np.asarray(segment.ids)).to_pylist() for segment in NearIndex.open(path, SHAPE).segments]
    return {i for held in ids for i in held}


def shingles(text: str) -> set[int]:
    return set(reference_shingle_hashes([text], MinHashSpec())[1].tolist())


def test_what_was_added_is_found_with_its_true_jaccard(tmp_path: Path) -> None:
    base = sentence(1)
    put(tmp_path, {"a": base, "b": sentence(2)})
    near = base + " and more words"
    a, b = shingles(base), shingles(near)
    assert found(tmp_path, near) == {row_id("s", "a"): len(a & b) / len(a | b)}
    assert found(tmp_path, base) == {row_id("s", "a"): 1.0}
    assert found(tmp_path, sentence(3)) == found(tmp_path, "") == {}
    assert found(tmp_path, near, threshold=0.99) == {}


def test_adding_twice_adds_once_and_changes_no_byte(tmp_path: Path) -> None:
    texts = {str(i): sentence(i) for i in range(5)} | {"no word": "…"}
    assert put(tmp_path, texts) == Change(added=5, without_words=1, version=1)
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and p.name != ".lock"}
    assert put(tmp_path, texts) == Change(known=5, without_words=1, version=1)
    assert put(tmp_path, dict(list(texts.items())[:2]), origin="tuesday") == Change(known=2, version=1)
    assert before == {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and p.name != ".lock"}


def test_a_known_id_with_new_text_replaces_the_old(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1), "b": sentence(2)})
    assert put(tmp_path, {"a": sentence(3)}, origin="tuesday") == Change(added=1, replaced=1, version=2)
    assert found(tmp_path, sentence(1)) == {} and found(tmp_path, sentence(3)) == {row_id("s", "a"): 1.0}
    assert NearIndex.open(tmp_path, SHAPE).documents == 2


def test_what_an_origin_replaced_is_earlier_data_to_it_alone(tmp_path: Path) -> None:
    old, new = sentence(1), sentence(3)
    put(tmp_path, {"a": old, "b": sentence(2)})
    before = NearIndex.open(tmp_path, SHAPE).digest(without="tuesday")
    put(tmp_path, {"a": new, "c": sentence(4)}, origin="tuesday")
    assert NearIndex.open(tmp_path, SHAPE).digest(without="tuesday") == before
    assert found(tmp_path, old, without="tuesday") == {row_id("s", "a"): 1.0}
    assert found(tmp_path, old) == found(tmp_path, old, without="monday") == found(tmp_path, new, without="tuesday") == {}
    put(tmp_path, {"a": sentence(5)}, origin="tuesday")
    put(tmp_path, {"d": sentence(6)}, origin="wednesday")
    assert found(tmp_path, old, without="tuesday") == {row_id("s", "a"): 1.0}, "other texts do not matter"


def test_a_replaced_row_goes_when_another_origin_replaces_it_again(tmp_path: Path) -> None:
    texts = [sentence(seed) for seed in range(3)]
    for text, origin in zip(texts, ("monday", "tuesday", "wednesday"), strict=True):
        put(tmp_path, {"a": text}, origin=origin)
    assert found(tmp_path, texts[0], without="tuesday") == found(tmp_path, texts[0], without="wednesday") == {}
    assert found(tmp_path, texts[1], without="wednesday") == {row_id("s", "a"): 1.0}
    assert len(list(tmp_path.glob("segments/*"))) == 2


def test_removing_a_row_removes_what_it_replaced(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1), "b": sentence(2)})
    put(tmp_path, {"a": sentence(3), "b": sentence(4)}, origin="tuesday")
    assert gone(tmp_path) == Change(removed=1, version=3)
    assert found(tmp_path, sentence(1), without="tuesday") == {}
    assert found(tmp_path, sentence(2), without="tuesday") == {row_id("s", "b"): 1.0}
    for seed in (1, 3):
        raw = np.array(sorted(shingles(sentence(seed))), np.uint64)[:1].tobytes()
        assert not any(raw in p.read_bytes() for p in tmp_path.rglob("*.npy"))


def test_a_text_without_words_replaces_too(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1)})
    before = NearIndex.open(tmp_path, SHAPE).digest(without="tuesday")
    assert put(tmp_path, {"a": "…"}, origin="tuesday") == Change(replaced=1, without_words=1, version=2)
    assert put(tmp_path, {"a": "…"}, origin="tuesday") == Change(without_words=1, version=2)
    assert found(tmp_path, sentence(1)) == {} and NearIndex.open(tmp_path, SHAPE).digest(without="tuesday") == before
    assert gone(tmp_path).removed == 1 and not list(tmp_path.glob("segments/*"))


def test_a_removed_row_leaves_the_disk(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1), "b": sentence(2)})
    assert remove(tmp_path, SHAPE, [row_id("s", "a"), row_id("s", "never there")]) == Change(removed=1, version=2)
    assert found(tmp_path, sentence(1)) == {} and found(tmp_path, sentence(2)) == {row_id("s", "b"): 1.0}
    raw = np.array(sorted(shingles(sentence(1))), np.uint64)[:1].tobytes()
    assert not any(raw in p.read_bytes() for p in tmp_path.rglob("*.npy"))
    assert remove(tmp_path, SHAPE, [row_id("s", "a")]) == Change(version=2)
    assert remove(tmp_path, SHAPE, [row_id("s", "b")]).removed == 1 and holds(tmp_path) == set()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=6), max_size=12), st.randoms())
def test_an_index_is_what_a_dictionary_would_be(
    tmp_path_factory: pytest.TempPathFactory, days: list[list[tuple[int, int]]], draw: random.Random
) -> None:
    """Additions and removals in any order; many of them, so that segments are joined."""
    path, expected = tmp_path_factory.mktemp("index"), {}
    for number, day in enumerate(days):
        texts = {str(key): sentence(100 * key + text) for key, text in day}
        before = NearIndex.open(path, SHAPE).digest(without=f"day {number % 3}")
        put(path, texts, origin=f"day {number % 3}")
        assert NearIndex.open(path, SHAPE).digest(without=f"day {number % 3}") == before, "own additions do not enter"
        expected |= texts
        if expected and draw.random() < 0.4:
            gone = draw.choice(sorted(expected))
            remove(path, SHAPE, [row_id("s", gone)])
            del expected[gone]
    assert holds(path) == {row_id("s", key) for key in expected}
    index = NearIndex.open(path, SHAPE)
    assert len(index.segments) <= near_index_change.MOST_SEGMENTS and index.documents == len(expected)
    every = pa.array([sentence(100 * key + text) for key in range(10) for text in range(4)])
    matches = {(every[match.row].as_py(), match.id) for match in index.find(every, SHAPE, 0.99)}
    assert matches == {(text, row_id("s", key)) for key, text in expected.items()}


def test_the_digest_says_what_is_held_not_how_it_came_there(tmp_path: Path) -> None:
    def digest(path: Path, **more: str) -> str:
        return NearIndex.open(path, SHAPE).digest(**more)

    texts = {str(i): sentence(i) for i in range(6)}
    put(tmp_path / "a", texts)
    for key in reversed(texts):
        put(tmp_path / "b", {key: texts[key]})
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    empty = digest(tmp_path / "none")
    assert digest(tmp_path / "a", without="monday") == empty != digest(tmp_path / "a")
    put(tmp_path / "a", {"7": sentence(7)}, origin="tuesday")
    assert digest(tmp_path / "a", without="tuesday") == digest(tmp_path / "b")
    assert found(tmp_path / "a", sentence(7), without="tuesday") == {}
    remove(tmp_path / "a", SHAPE, [row_id("s", "7")])
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_other_parameters_are_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1)})
    with pytest.raises(ConfigError, match=r"made with n 5, the config asks for 7"):
        NearIndex.open(tmp_path, Shape(MinHashSpec(n=7)))
    with pytest.raises(ConfigError, match="made with bands 18, the config asks for 14"):
        add(tmp_path, Shape(bands=14, rows=8), rows({"b": sentence(2)}), origin="x", name="y")
    header = tmp_path / "index.json"
    header.write_text(header.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(VersionError, match="index format 3, expected 2"):
        NearIndex.open(tmp_path, SHAPE)


@pytest.mark.parametrize("name", near_segment.ARRAYS)
def test_one_changed_byte_of_a_segment_is_told(tmp_path: Path, name: str) -> None:
    put(tmp_path, {"a": sentence(1)})
    (file,) = tmp_path.glob(f"segments/*/{name}.npy")
    raw = file.read_bytes()
    assert found(tmp_path, sentence(1)), "checked once, and changed after that"
    for at in (0, 8, len(raw) - 1):  # the magic, the length of the array's header, the last value
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        for use in (lambda: found(tmp_path, sentence(1)), lambda: put(tmp_path, {"b": sentence(2)}), lambda: gone(tmp_path)):
            with pytest.raises(VerifyError, match="another sha256; restore the folder") as told:
                use()
            assert told.value.file == str(file) and "dataforge index add" in told.value.hint
    file.write_bytes(raw[:-8])
    with pytest.raises(VerifyError, match="another size"):
        found(tmp_path, sentence(1))
    file.unlink()
    with pytest.raises(InputError, match="cannot be read; if another command changed the index meanwhile"):
        found(tmp_path, sentence(1))


def gone(path: Path) -> Change:
    return remove(path, SHAPE, [row_id("s", "a")])


@pytest.mark.parametrize("key", ["shape", "version", "origins", "segments", "replaced", "checksum"])
def test_a_header_without_a_key_is_told(tmp_path: Path, key: str) -> None:
    put(tmp_path, {"a": sentence(1)})
    header = json.loads((tmp_path / "index.json").read_bytes())
    del header[key]
    (tmp_path / "index.json").write_text(json.dumps(header))
    with pytest.raises(VerifyError, match="header of the index differs from its checksum; restore the folder"):
        NearIndex.open(tmp_path, SHAPE)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"format": 2, "name": "\\ud800"}', b"[" * 100_000])
def test_a_header_that_is_no_json_is_told(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "index.json").write_bytes(raw)
    with pytest.raises(InputError, match="not readable JSON; restore the folder"):
        NearIndex.open(tmp_path, SHAPE)


def test_another_number_in_the_header_and_a_lost_header_are_told(tmp_path: Path) -> None:
    put(tmp_path, {"a": sentence(1)})
    header = tmp_path / "index.json"
    header.write_text(header.read_text().replace('"documents": 1', '"documents": 2', 1))
    with pytest.raises(VerifyError, match="differs from its checksum"):
        NearIndex.open(tmp_path, SHAPE)
    header.unlink()
    with pytest.raises(InputError, match="is no index"):
        NearIndex.open(tmp_path, SHAPE)


@pytest.mark.parametrize("step", ["fsync_dir", "write_record", "fsync_file"])
def test_a_change_that_fails_leaves_the_index_as_it_was(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataforge import commit

    put(tmp_path, {"a": sentence(1)})
    monkeypatch.setenv("DATAFORGE_FAULT", f"EIO:{step}:1")
    monkeypatch.setattr(commit, "_reached", {})
    with pytest.raises((PartialError, OSError)):
        put(tmp_path, {"b": sentence(2)}, origin="tuesday")
    monkeypatch.delenv("DATAFORGE_FAULT")
    assert holds(tmp_path) == {row_id("s", "a")}
    assert put(tmp_path, {"b": sentence(2)}, origin="tuesday") == Change(added=1, version=2)
    assert sorted(p.name for p in (tmp_path / "segments").iterdir()) == [
        entry["name"] for entry in NearIndex.open(tmp_path, SHAPE).header["segments"]
    ]


def test_two_changes_at_once_are_refused(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(LockedError), lock(tmp_path):
        pass


def test_texts_beyond_what_memory_may_hold_become_segments_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_index_change, "HELD_BYTES", 1)
    monkeypatch.setattr(near_segment, "CHUNK", 7)
    texts = {str(i): sentence(i) for i in range(20)}
    add(tmp_path, SHAPE, [batch for key in texts for batch in rows({key: texts[key]})], origin="o", name="n")
    index = NearIndex.open(tmp_path, SHAPE)
    assert holds(tmp_path) == {row_id("s", key) for key in texts} and len(index.segments) <= 8
    assert found(tmp_path, texts["13"]) == {row_id("s", "13"): 1.0}


def test_lookup_gives_every_row_of_every_key() -> None:
    table = (np.array([3, 3, 5, 9], np.uint64), np.array([7, 1, 2, 0], np.uint32))
    owners, places = lookup(table, np.array([9, 4, 3], np.uint64))
    assert (owners.tolist(), places.tolist()) == ([0, 2, 2], [0, 7, 1])
    owners, places = lookup(table, np.array([3], np.uint64), most=1)
    assert (owners.tolist(), places.tolist()) == ([0], [7])


def test_packed_ids_keep_their_order() -> None:
    ids = pa.array(sorted(row_id("s", str(i)) for i in range(50)))
    words = packed_words(ids)
    assert words.tolist() == sorted(words.tolist()) and unpacked(words).equals(ids)
