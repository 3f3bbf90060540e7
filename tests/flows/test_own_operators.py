"""Operators of the user's own: ten lines in a file beside the config are held to what our own operators keep."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataforge import Step
from dataforge.engine.local import Local
from dataforge.errors import ConfigError, DataforgeError, OperatorError
from dataforge.flows.build import build
from dataforge.flows.config import load_config
from dataforge.flows.config_own import OwnConfig
from dataforge.flows.own import own_operator
from dataforge.identity import text_hashes
from dataforge.operators.own_code import is_theirs
from tests.flows.calling import CHEAP, call
from tests.flows.demo import copy_demo, small_config
from tests.literal import doc, documents, fill

HEAD = """
from dataclasses import dataclass, field
from pathlib import Path
import pyarrow as pa
import pyarrow.compute as pc
from dataforge import Contract, Map, RowFilter, RowMapper, Rows
"""
FILTER = """
@dataclass(frozen=True)
class Keep(RowFilter):
    min_words: int = 3
    columns = ("text",)

    def drop(self, row):
        return "too_few_words" if len(row["text"].split()) < self.min_words else None
"""
MAPPER = """
class Upper(RowMapper):
    def change(self, text):
        return text.upper()
"""
COLUMNS = """
@dataclass(frozen=True)
class Short(Map):
    most: int = 9
    contract = Contract.SUBSET

    def needs(self):
        return (("id", "text"),)

    def gives(self, inputs):
        return pa.schema([inputs[0].field("id")])

    def start(self, files):
        return self.select

    def select(self, batch):
        long = pc.greater(pc.utf8_length(batch.column("text")), self.most)
        ids = batch.column("id").filter(long)
        left = pa.table({"id": ids, "reason": pa.repeat(pa.scalar("long"), len(ids))})
        return Rows(batch.select(["id"]).filter(pc.invert(long)), left)
"""
TEXTS = {"a": "one two three four", "b": "one two", "c": "six seven eight", "d": "x"}
SECRET = "hunter2 of nobody"


def write(folder: Path, *code: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(HEAD + "".join(code))
    return folder


def own(folder: Path, name: str, at: str = "after_clean", on_error: str = "stop", **given: Any) -> Any:
    entry = {"use": f"mine.py:{name}", "at": at, "with": given, "on_error": on_error}
    return own_operator(OwnConfig.model_validate(entry), 0, folder)


def outcome(folder: Path, name: str, engine: Any = None, texts: dict[str, str] = TEXTS, **more: Any) -> Any:
    """The Table of one operator over a few documents."""
    return fill(Step("corpus/own", own(folder, name, **more), (documents(texts),)), folder / "store", engine)


def kept(table: Any) -> dict[str, str]:
    return {row["key"]: row["text"] for row in table.to_table(["key", "text"]).to_pylist()}


def dropped(table: Any) -> dict[str, str]:
    keys = {doc(key): key for key in TEXTS}
    return {keys[row["id"]]: row["reason"] for row in table.to_table(kind="dropped").to_pylist()}


# --- what the three forms do, on every engine -------------------------------------------------------------------------


def test_a_filter_of_rows_gives_its_reasons(tmp_path: Path, engine: Any) -> None:
    table = outcome(write(tmp_path, FILTER), "Keep", engine, min_words=3)
    assert kept(table) == {"a": TEXTS["a"], "c": TEXTS["c"]}
    assert dropped(table) == {"b": "too_few_words", "d": "too_few_words"}


def test_a_mapper_of_texts_gives_new_hashes_and_says_so(tmp_path: Path, engine: Any) -> None:
    rows = outcome(write(tmp_path, MAPPER), "Upper", engine, {"a": "one", "b": "TWO"}).to_table().to_pylist()
    assert {row["key"]: row["text"] for row in rows} == {"a": "ONE", "b": "TWO"}
    assert [row["text_hash"] for row in rows] == text_hashes(pa.array([row["text"] for row in rows])).to_pylist()
    assert {row["key"]: row["rewrites"] for row in rows} == {"a": ["own:Upper"], "b": []}


def test_an_operator_on_columns_gives_those_that_it_works_on(tmp_path: Path, engine: Any) -> None:
    table = outcome(write(tmp_path, COLUMNS), "Short", engine, most=7)
    assert kept(table) == {"b": "one two", "d": "x"} and dropped(table) == {"a": "long", "c": "long"}
    assert table.schema.equals(documents(TEXTS).operator.gives([table.schema])), "all other columns are put back"


def test_a_module_is_found_as_python_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "package_of_mine", "from .words import LEAST\n", FILTER.replace("= 3", "= LEAST"))
    (tmp_path / "package_of_mine" / "words.py").write_text("LEAST = 4\n")
    (tmp_path / "package_of_mine" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    entry = OwnConfig.model_validate({"use": "package_of_mine.mine:Keep", "at": "after_clean"})
    with Local(2) as local:
        step = Step("corpus/own", own_operator(entry, 0, tmp_path), (documents(TEXTS),))
        assert kept(fill(step, tmp_path / "store", local)) == {"a": TEXTS["a"]}


def test_nothing_is_left_beside_the_users_file_and_stdout_stays_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome(write(tmp_path, FILTER.replace("        return", "        print('said')\n        return")), "Keep")
    said = capsys.readouterr()
    assert "said" in said.err and said.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py", "store"]


# --- what the id hangs on ---------------------------------------------------------------------------------------------


def test_the_id_follows_code_and_parameters_but_not_the_place(tmp_path: Path) -> None:
    from dataforge.step import step_id

    one, other = write(tmp_path / "one", FILTER), write(tmp_path / "other", FILTER)
    known = {step_id(Step("x", own(folder, "Keep")), ["i"]) for folder in (one, other)}
    assert len(known) == 1
    known.add(step_id(Step("x", own(one, "Keep", min_words=4)), ["i"]))
    write(one, FILTER, "# a word more\n")
    known.add(step_id(Step("x", own(one, "Keep")), ["i"]))
    write(one, FILTER.replace("    columns", "    VERSION = 2\n    columns"))
    known.add(step_id(Step("x", own(one, "Keep")), ["i"]))
    assert len(known) == 4


def test_of_a_path_its_bytes_count_and_what_is_marked_does_not(tmp_path: Path) -> None:
    code = """
@dataclass(frozen=True)
class Words(RowFilter):
    words: Path
    threads: int = field(default=1, metadata={"identity": False})

    def drop(self, row):
        return "listed" if set(row["text"].split()) & set(self.words.read_text().split()) else None
"""
    folder = write(tmp_path, code)
    (folder / "list.txt").write_text("six")
    assert dropped(outcome(folder, "Words", words="list.txt")) == {"c": "listed"}
    counted = own(folder, "Words", words="list.txt").parameters
    (folder / "same.txt").write_text("six")
    assert own(folder, "Words", words="same.txt", threads=2).parameters == counted
    (folder / "list.txt").write_text("one")
    assert own(folder, "Words", words="list.txt").parameters != counted


def test_code_that_changes_under_a_run_ends_it(tmp_path: Path) -> None:
    made = own(write(tmp_path, FILTER), "Keep")
    write(tmp_path, FILTER, "# new\n")
    with pytest.raises(OperatorError, match="changed while the run went on"):
        fill(Step("corpus/own", made, (documents(TEXTS),)), tmp_path / "store")


# --- what goes wrong in the user's code -------------------------------------------------------------------------------

RAISES = """
class Broken(RowFilter):
    def drop(self, row):
        if row["text"] == "x":
            raise ValueError(f"cannot read {row['text']} hunter2 of nobody")
"""


def test_what_the_code_raises_names_class_row_and_line_but_no_text(tmp_path: Path, engine: Any) -> None:
    folder = write(tmp_path, RAISES, f"# {tmp_path.name}: the same code elsewhere would be the same step\n")
    with pytest.raises(OperatorError) as failed:
        outcome(folder, "Broken", engine)
    line = (HEAD + RAISES).splitlines().index(next(t for t in RAISES.splitlines() if "raise" in t)) + 1
    assert failed.value.what == f"Broken raised ValueError on row {doc('d')}"
    assert failed.value.file == f"{folder / 'mine.py'}:{line}" and failed.value.step == "corpus/own"
    assert SECRET not in failed.value.line()


def test_a_row_that_raises_can_be_quarantined(tmp_path: Path, engine: Any) -> None:
    table = outcome(write(tmp_path, RAISES), "Broken", engine, on_error="quarantine")
    assert set(kept(table)) == {"a", "b", "c"} and (table.account.kept, table.account.quarantined) == (3, 1)
    (row,) = table.to_table(kind="quarantine").to_pylist()
    assert row["code"] == "OPERATOR" and row["file"] == "s" and row["raw"] is None
    assert row["reason"].startswith(f"Broken raised ValueError on row {doc('d')} at mine.py:")
    assert SECRET not in row["reason"]


CONTRACTS = {  # what it does wrong → what is said
    "def drop(self, row): return 5": "drop() gave int, not a reason or None",
    "def drop(self, row): return 'Bad ' + row['text']": "a reason that is not snake_case",
    "def drop(self, row): raise SystemExit(0)": "raised SystemExit",
    "def drop(self, row): raise GeneratorExit(row['text'])": "raised GeneratorExit",
    "def drop(self, row): raise type('Odd', (BaseException,), {})(row['text'])": "raised Odd",
    """def _filter(self, batch):
        data = [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0])), pa.py_buffer(bytes([255]))]
        return Rows(batch.set_column(3, 'text', pa.Array.from_buffers(pa.string(), 1, data)))""": "a text is not UTF-8",
    "def drop(self, row): return '\\ud800'": "drop() gave a reason that is not UTF-8",
    "def _filter(self, batch): return Rows(batch, notes={'n': 'many'})": "Rows.notes is no dict of whole numbers",
    "def _filter(self, batch): return Rows(batch, pa.table([batch['id']] * 2, ['id', 'id']))": "dropped has a column twice",
    "def _filter(self, batch): return batch": "returns RecordBatch, not Rows",
    "def _filter(self, batch): return Rows(batch.slice(1))": "neither kept nor dropped",
    "def _filter(self, batch): return Rows(pa.table(batch.columns[:1], ['x']))": "Rows.kept has the columns x string",
    "def _filter(self, batch): return Rows(batch.set_column(3, 'text', pa.nulls(len(batch), pa.string())))": "has null",
    "def _filter(self, batch): return Rows(batch.set_column(2, 'key', batch.column('text')))": "changes column 'key'",
    "def _filter(self, batch): return Rows(batch.set_column(0, 'id', batch.column('text')))": "ids never change",
    "def _filter(self, batch): return Rows(batch, pa.table({'id': batch.column('id')}))": "Rows.dropped has the columns id",
}


@pytest.mark.parametrize("fault", CONTRACTS, ids=range(len(CONTRACTS)))
def test_what_breaks_the_contract_is_said(fault: str, tmp_path: Path) -> None:
    folder = write(tmp_path, f"\nclass Wrong(RowFilter):\n    {fault}\n")
    with pytest.raises(OperatorError) as failed:
        outcome(folder, "Wrong", texts={"a": SECRET})
    assert CONTRACTS[fault] in failed.value.what and SECRET not in failed.value.line()


IMPURE = {
    "remembers": """
    seen = []
    def drop(self, row):
        self.seen.append(row["id"])
        return "old" if len(self.seen) > 20 else None
""",
    "batch": """
    def gives(self, inputs):
        return pa.schema([inputs[0].field("id"), inputs[0].field("text")])
    def _filter(self, batch):
        sizes = pa.array([str(len(batch))] * len(batch))
        return Rows(pa.record_batch([batch.column("id"), sizes], ["id", "text"]))
""",
}


OURS = {  # the function of ours that fails after the user's has returned → its file
    "dataforge.operators.own.text_hashes": "dataforge/operators/own.py:",
    "dataforge.row_operators.Rows": "dataforge/row_operators.py:",
}


def broken(*_: Any, **__: Any) -> Any:
    raise KeyError(SECRET)


@pytest.mark.parametrize("on_error", ["stop", "quarantine"])
@pytest.mark.parametrize("function", OURS)
def test_a_failure_of_our_own_is_not_blamed_on_the_user(
    function: str, on_error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step("corpus/own", own(write(tmp_path, MAPPER), "Upper", on_error=on_error), (documents(TEXTS, parts=1),))
    monkeypatch.setattr(function, broken)
    with pytest.raises(DataforgeError) as failed:
        fill(step, tmp_path / "store")
    assert failed.value.code == "UNEXPECTED" and failed.value.file.startswith(OURS[function])
    assert failed.value.what.startswith("unexpected KeyError in dataforge itself on row ")
    assert failed.value.what.endswith(", after Upper had returned") and "not of your operator" in failed.value.hint
    assert "mine.py" not in failed.value.line() and SECRET not in failed.value.line()


THEIRS = {
    "a library below their method": "class Mine(RowMapper):\n    change = staticmethod(json.loads)",
    "a C function below their method": "class Mine(RowMapper):\n    change = staticmethod(int)",
    "a C function as the batch function": "class Mine(RowMapper):\n    def start(self, files): return int",
    "a function of ours that they call": (
        "from dataforge.identity import part_of\n"
        "class Mine(RowMapper):\n    def _map(self, batch): return part_of(batch['id'], 3)"
    ),
    "ours around theirs": "class Mine(RowMapper):\n    def _map(self, batch): return super()._map(batch['no'])",
}


@pytest.mark.parametrize("way", THEIRS)
def test_what_fails_below_the_users_code_is_the_users(way: str, tmp_path: Path) -> None:
    folder = write(tmp_path, "import json\n", THEIRS[way])
    with pytest.raises(OperatorError, match=r": Mine raised \w+Error on row") as failed:
        outcome(folder, "Mine", texts={"a": SECRET})
    assert failed.value.file.startswith(str(folder / "mine.py"))


def test_a_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, "class Half(RowMapper):\n    def change(self, text): return text + '\\ud800'\n")
    with pytest.raises(OperatorError, match=r"Half: change\(\) gave a text that is not UTF-8 on row"):
        outcome(folder, "Half")


class Signal(BaseException):
    """Raised where a signal arrives."""

    __module__ = "dataforge.flows.cli"


@pytest.mark.parametrize("signal", [KeyboardInterrupt, Signal])
def test_a_signal_is_no_fault_of_the_code_that_it_interrupts(signal: type[BaseException]) -> None:
    assert not is_theirs(signal()) and is_theirs(GeneratorExit()) and is_theirs(OperatorError("told by us"))


@pytest.mark.parametrize("fault", IMPURE)
def test_what_does_not_hang_on_the_row_alone_is_found(fault: str, tmp_path: Path) -> None:
    folder = write(tmp_path, f"\nclass Impure(RowFilter):{IMPURE[fault]}")
    texts = {str(i): f"text {i}" for i in range(20)}
    with pytest.raises(OperatorError, match="alone than beside others"):
        outcome(folder, "Impure", texts=texts)


def test_a_failure_of_rows_together_is_no_failure_of_a_row(tmp_path: Path) -> None:
    code = "\nclass Odd(RowMapper):\n    def _map(self, batch):\n        assert len(batch) < 3\n        return Rows(batch)\n"
    folder = write(tmp_path, code)
    with pytest.raises(OperatorError, match="on 4 rows together, and on none of them alone"):
        fill(Step("corpus/own", own(folder, "Odd"), (documents(TEXTS, parts=1),)), tmp_path / "store")


def test_pairs_can_go_but_not_change(tmp_path: Path) -> None:
    folder = write(tmp_path, FILTER, MAPPER)
    step = documents(TEXTS)
    assert set(kept(fill(Step("a/own", own(folder, "Keep", "pairs"), (step,)), tmp_path / "s"))) == {"a", "c"}
    with pytest.raises(OperatorError, match="nothing may, here rows only go"):
        fill(Step("b/own", own(folder, "Upper", "pairs"), (step,)), tmp_path / "s")


# --- the config -------------------------------------------------------------------------------------------------------

PROBLEMS = {
    "{use: 'mine.py:Kep', at: after_clean}": ("own.0.use", "has no class Kep", "did you mean Keep?"),
    "{use: 'other.py:Keep', at: after_clean}": ("own.0.use", "cannot be read", "other.py"),
    "{use: 'no_such_module:Keep', at: after_clean}": ("own.0.use", "there is no module no_such_module", ""),
    "{use: 'dataforge.operators.clean:Clean', at: after_clean}": ("own.0.use", "no module of your own", ""),
    "{use: 'mine.py:HEAD', at: after_clean}": ("own.0.use", "HEAD is no operator", "RowFilter"),
    "{use: 'mine.py:Loose', at: after_clean}": ("own.0.use", "Loose is a dataclass that can change", "frozen"),
    "{use: 'mine.py:Adds', at: after_clean}": ("own.0.use", "gives a column 'score'", "rows at after_clean have id"),
    "{use: 'mine.py:Needs', at: after_clean}": ("own.0.use", "needs column 'split'", ""),
    "{use: 'mine.py:Number', at: after_clean}": ("own.0.use", "gives 'text' as int64, not string", ""),
    "{use: 'mine.py:NotRows', at: after_clean}": ("own.0.use", "returns list, not Rows", ""),
    "{use: 'mine.py:Unopened', at: after_clean}": ("own.0.use", "Unopened.start raised KeyError", "mine.py:"),
    "{use: 'mine.py:Keep', at: after_clean, with: {min_word: 3}}": ("own.0.with.min_word", "did you mean 'min_words'?", ""),
    "{use: 'mine.py:Keep', at: after_clean, with: {min_words: '3'}}": ("own.0.with.min_words", "valid integer", ""),
    "{use: 'mine.py:Keep', at: after_clean, with: {min_words: true}}": ("own.0.with.min_words", "valid integer", ""),
    "{use: 'mine.py:Strict', at: after_clean, with: {share: 2}}": ("own.0.with", "must be at most 1", ""),
    "{use: 'mine.py:Strict', at: after_clean}": ("own.0.with.share", "is missing", ""),
    "{use: 'mine.py:Keep', at: afterwards}": ("own.0.at", "must be one of", ""),
    "{use: 'mine.py:Keep', at: after_clean, wiht: {}}": ("own.0.wiht", "did you mean 'with'?", ""),
    "{use: 'broken.py:Keep', at: after_clean}": ("own.0.use", "a syntax error", "broken.py:2"),
    "{use: 'raising.py:Keep', at: after_clean}": ("own.0.use", "raised KeyError when imported", "raising.py:1"),
    "{use: 'lacking.py:Keep', at: after_clean}": ("own.0.use", "imports no_such_library, which is not installed", ""),
}
WRONG = """
HEAD = "no class"

@dataclass
class Loose(RowFilter):
    n: int = 1

class Adds(RowFilter):
    def gives(self, inputs): return inputs[0].append(pa.field("score", pa.float64()))

class Needs(RowFilter):
    columns = ("split",)

class Number(RowMapper):
    def gives(self, inputs): return pa.schema([inputs[0].field("id"), pa.field("text", pa.int64())])

class Unopened(RowMapper):
    def start(self, files): return {}["x"]

class NotRows(RowMapper):
    def _map(self, batch): return []

@dataclass(frozen=True)
class Strict(RowFilter):
    share: float
    def __post_init__(self):
        if self.share > 1:
            raise ValueError("share must be at most 1")
"""


@pytest.mark.parametrize("entry", PROBLEMS, ids=range(len(PROBLEMS)))
def test_config_check_says_what_is_wrong_and_where(
    entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, FILTER, WRONG)
    (tmp_path / "broken.py").write_text("\ndef (")
    (tmp_path / "raising.py").write_text("{}['x']")
    (tmp_path / "lacking.py").write_text("import no_such_library")
    config = small_config(tmp_path, [b'{"id": "1", "text": "x"}'], own=f"[{entry}]")
    said = call("config", "check", config, "--json", capsys=capsys)
    key, *words = PROBLEMS[entry]
    assert said.code == 2 and len(said.error["details"]) == 1
    assert all(word in said.error["details"][0] for word in ("dataforge.yaml:5:", f" {key} ", *words)), said.error["details"]
    if "wiht" not in entry and "afterwards" not in entry and "NotRows" not in entry and "Unopened" not in entry:
        with pytest.raises(ConfigError) as failed:
            build(load_config(config))
        assert failed.value.key == key and (failed.value.file or "module" in failed.value.what)


def test_every_problem_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, FILTER)
    entries = "[{use: 'mine.py:A', at: after_clean}, {use: 'mine.py:Keep', at: after_clean, with: {a: 1}}]"
    config = small_config(tmp_path, [b'{"id": "1", "text": "x"}'], own=entries, pack="{length: 3}")
    assert len(call("config", "check", config, "--json", capsys=capsys).error["details"]) == 3


ALL_OF_THEM = {  # the entry → its wrong keys, in order
    "use: 'mine.py:Keep', at: afterclean, with: {minwords: '3'}": ["at", "with.minwords"],
    "use: 'mine.py:Keep', at: after_clean, with: {minwords: 3, min_words: '3'}": ["with.minwords", "with.min_words"],
    "use: 'mine.py:Keep', at: 3, on_error: no, wiht: {}, with: {min_words: x}": ["at", "on_error", "wiht", "with.min_words"],
    "use: 'mine.py:Kep', at: afterclean": ["use", "at"],
    "use: 'mine.py:Keep', at: after_clean, with: [1]": ["with"],
    "use: 'mine.py:Two', at: after_clean, with: {other: 1, list: no.txt}": ["with.other", "with.list", "with.share"],
    "use: 'mine.py:Two', at: after_clean, with: {share: 1, lists: a}": ["with.lists"],
    "use: 'mine.py:Two', at: after_select, with: {share: 1, list: mine.py, odd: 1}": ["with.odd"],
    "use: 'mine.py:Strict', at: afterclean, with: {share: 2}": ["with", "at"],
    "use: 'mine.py:Gives', at: after_clean": ["use", "use", "use"],
}
TWO = """
@dataclass(frozen=True)
class Two(RowFilter):
    list: Path
    share: float
    odd: "NoSuchType" = None

class Gives(RowMapper):
    def gives(self, inputs):
        return pa.schema([("text", pa.int64()), ("more", pa.string())])
"""


@pytest.mark.parametrize("entry", ALL_OF_THEM, ids=range(len(ALL_OF_THEM)))
def test_all_that_is_wrong_with_an_entry_is_said_at_once(
    entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, FILTER, WRONG, TWO)
    config = small_config(tmp_path, [b'{"id": "1", "text": "x"}'], own=f"[{{{entry}}}]")
    told = call("config", "check", config, "--json", capsys=capsys).error["details"]
    assert sorted(line.split()[1] for line in told) == sorted(f"own.0.{key}" for key in ALL_OF_THEM[entry])


def test_an_operator_that_cannot_work_on_made_up_rows_is_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "import json\nclass Json(RowMapper):\n    def change(self, text): return json.loads(text)['body']\n")
    config = small_config(tmp_path, [b'{"id": "1", "text": "{}"}'], own="[{use: 'mine.py:Json', at: after_clean}]")
    assert call("config", "check", config, capsys=capsys).code == 0


@pytest.mark.parametrize("function", OURS)
def test_a_trial_goes_all_the_way_of_a_changed_text(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "class Joined(RowMapper):\n    def change(self, text): return text.replace('-\\n', '')\n"
    write(tmp_path, code)
    config = small_config(tmp_path, [b'{"id": "1", "text": "x"}'], own="[{use: 'mine.py:Joined', at: after_clean}]")
    assert call("config", "check", config, capsys=capsys).code == 0
    monkeypatch.setattr(function, broken)
    said = call("config", "check", config, "--json", capsys=capsys)
    assert (said.code, said.error["code"]) == (1, "UNEXPECTED") and said.error["file"].startswith(OURS[function])


def test_a_trial_tries_each_row_alone_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = """
class Late(RowFilter):
    def drop(self, row):
        assert "hy-" not in row["text"]
        return 5
"""
    write(tmp_path, code)
    config = small_config(tmp_path, [b'{"id": "1", "text": "x"}'], own="[{use: 'mine.py:Late', at: after_clean}]")
    (problem,) = call("config", "check", config, "--json", capsys=capsys).error["details"]
    assert "drop() gave int, not a reason or None" in problem


DOCS = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("page", ["README.md", "docs/own.md"])
def test_the_classes_that_the_docs_show_work(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text(next(block for block in blocks if "RowFilter" in block))
    names = re.findall(r"^class (\w+)", (tmp_path / "mine.py").read_text(), re.MULTILINE)
    assert names[0] == "KeepRecipes"
    assert dropped(outcome(tmp_path, "KeepRecipes", min_words=4)) == dict.fromkeys("bcd", "too_few_words")
    if "NotTooLong" in names:
        assert dropped(outcome(tmp_path, "NotTooLong", most=7)) == {"a": "too_long", "c": "too_long"}
        assert kept(outcome(tmp_path, "Unwrap", texts={"a": "hy-\nphen"})) == {"a": "hyphen"}


# --- in a run ---------------------------------------------------------------------------------------------------------

ROWS = {
    "long": "The ferry leaves the northern pier at seven and comes back when the tide allows, before noon.",
    "LONG": "THE FERRY leaves the northern pier at seven and comes back when the tide allows, before noon.",
    "short": "Bees swarm.",
    "mail": "Whoever finds the miller's cart on the beach may write to ada@mill.example, or bring it back at once.",
    "other": "A keeper who hears the high sound of the queen has about an hour to find a second box and smoke.",
}
LOWER = """
class Lower(RowMapper):
    def change(self, text):
        return text.lower()
"""
NO_MAIL = """
class NoMail(RowFilter):
    def drop(self, row):
        return "a_mail" if "<EMAIL_ADDRESS>" in row["text"] else None
"""
OWN = (
    "[{use: 'mine.py:Keep', at: after_clean, with: {min_words: 4}}, {use: 'mine.py:Lower', at: after_clean},"
    " {use: 'other.py:NoMail', at: after_select}]"
)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    write(tmp_path, FILTER, LOWER)
    (tmp_path / "other.py").write_text(HEAD + NO_MAIL)
    rows = [json.dumps({"id": key, "text": text}).encode() for key, text in ROWS.items()]
    return small_config(tmp_path, rows, own=OWN, publish="{splits: {train: 1.0}}", **CHEAP)


def test_own_operators_stand_in_a_run_like_any_other(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call("run", ran, "--direct", "--workers", "2", "--json", capsys=capsys)
    funnel = {entry["step"]: entry for entry in said.document["funnel"]}
    assert {step: funnel[step]["dropped"] for step in funnel if funnel[step]["dropped"]} == {
        "corpus/own-Keep": {"too_few_words": 1},
        "corpus/selected": {"exact_duplicate": 1},  # equal since Lower: duplicates are looked for in what it gave
        "corpus/own-NoMail": {"a_mail": 1},
    }
    traced = call("trace", ran, "short", capsys=capsys).out
    assert "dropped at corpus/own-Keep: too_few_words" in traced and "preset" not in traced, "their reason, not ours"
    assert call("verify", said.document["out"], capsys=capsys).code == 0
    assert call("report", ran, capsys=capsys).code == 0
    card = (Path(said.document["out"]) / "dataset_manifest.json").read_text()
    assert "mine.py" not in card, "no place of this machine is published"
    pairs = json.loads(call("duplicates", ran, "--json", capsys=capsys).out)["clusters"]
    assert len(pairs) == 1

    def plan() -> dict[str, tuple[str, str]]:
        document = call("plan", ran, "--json", capsys=capsys).document
        return {step["step"]: (step["state"], step["why"]) for step in document["steps"]}

    assert {state for state, _ in plan().values()} == {"done"}
    (ran.parent / "other.py").write_text(HEAD + NO_MAIL + "# as before\n")
    again = plan()
    assert again["corpus/own-NoMail"] == ("run", "the code of own.use changed")
    assert again["corpus/own-Lower"][0] == again["corpus/selected"][0] == "done" and again["packed"][0] == "run"
    ran.write_text(ran.read_text().replace("min_words: 4", "min_words: 5"))
    again = plan()
    assert again["corpus/own-Keep"] == ("run", "own.with.min_words 4 → 5") and again["corpus/documents"][0] == "done"


def test_rows_in_quarantine_count_against_the_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, RAISES)
    rows = [json.dumps({"id": str(i), "text": text}).encode() for i, text in enumerate(["x", ROWS["long"]])]
    entry = "[{use: 'mine.py:Broken', at: after_clean, on_error: quarantine}]"
    config = small_config(tmp_path, rows, own=entry, **CHEAP)
    said = call("run", config, "--direct", "--workers", "1", capsys=capsys)
    assert said.code == 4 and "1 bad row, ingest.max_bad_rows allows 0" in said.err and "error[OPERATOR] file=s" in said.err
    assert "quarantined at corpus/own-Broken: OPERATOR" in call("trace", config, "0", capsys=capsys).out
    assert "Broken raised ValueError on row" in call("quarantine", config, capsys=capsys).out


def test_an_operator_that_fails_on_most_rows_is_told_though_the_budget_allows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "\nclass Dot(RowFilter):\n    def drop(self, row): return None if row['text'].index('!') else 'x'\n"
    write(tmp_path, code)
    rows = [json.dumps({"id": str(i), "text": f"Row {i} of kites and of wind, told."}).encode() for i in range(11)]
    rows.append(b'{"id": "loud", "text": "Only this row has what the operator looks for!"}')
    entry = "[{use: 'mine.py:Dot', at: after_clean, on_error: quarantine}]"
    config = small_config(tmp_path, rows, own=entry, ingest="{max_bad_rows: 99}", **CHEAP)
    said = call("run", config, "--direct", "--workers", "1", capsys=capsys)
    told = "corpus/own-Dot set aside 11 of 12 rows at which your code raised"
    assert said.code == 0 and f"warning: {told}" in said.err + said.out
    (report,) = tmp_path.glob("out/**/report.json")
    assert [alert["level"] for alert in json.loads(report.read_text())["alerts"] if told in alert["text"]] == ["warning"]


def test_one_class_may_stand_twice_and_in_every_place(tmp_path: Path) -> None:
    places = ("after_clean", "after_clean", "after_select", "pairs")
    entries = ", ".join(f"{{use: 'mine.py:Keep', at: {at}, with: {{min_words: 1}}}}" for at in places)
    config = copy_demo(tmp_path / "demo", own=f"[{entries}]")
    write(config.parent, FILTER)
    steps = {step.name: step for step in build(load_config(config)).steps()}
    own_steps = [name for name in steps if "/own-" in name]
    assert sorted(own_steps) == ["corpus/own-Keep", "corpus/own-Keep-2", "corpus/own-Keep-3", "instruct/own-Keep-4"]
    before = {name: [step.name for step in steps[name].inputs] for name in own_steps}
    assert before["corpus/own-Keep"] == ["corpus/documents"] and before["corpus/own-Keep-2"] == ["corpus/own-Keep"]
    assert before["corpus/own-Keep-3"] == ["corpus/selected"] and before["instruct/own-Keep-4"] == ["instruct/selected"]


def test_without_the_code_no_command_guesses(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ran.parent / "mine.py").unlink()
    said = call("funnel", ran, capsys=capsys)
    assert said.code == 2 and "own.0.use" in said.err and "mine.py" in said.err
