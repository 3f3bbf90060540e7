"""`own:` of the config → Steps: operators of the user's own, each a table of its own between ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataforge.commit import file_sha256
from dataforge.config_file import Document, Problem
from dataforge.errors import ConfigError, OperatorError
from dataforge.flows.config import Config, absolute
from dataforge.flows.config_own import OwnConfig, Place
from dataforge.operator import Map
from dataforge.operators.own import Own, trial
from dataforge.operators.own_code import OwnCode, instance, is_theirs, load, parameters, place_of
from dataforge.schemas.document import CLEAN, SELECTED
from dataforge.schemas.instruct import INSTRUCT
from dataforge.step import Step

_PAIRS = INSTRUCT.append(CLEAN.field("text_hash")).append(SELECTED.field("split"))
PLACES: dict[Place, tuple[pa.Schema, tuple[str, ...]]] = {  # what rows look like there, which columns may change
    "after_clean": (CLEAN, ("text", "uri", "created_s", "licence")),
    "after_select": (SELECTED, ("text", "language", "licence", "provenance")),
    "pairs": (_PAIRS, ()),
}


def with_own(rows: Step, place: Place, config: Config) -> Step:
    """The rows after every operator of the user's own for this place; `corpus/own-KeepRecipes` is the Step of one."""
    names: list[str] = []
    for at, own in enumerate(config.own):
        name = own.use.rpartition(":")[2]
        names.append(name)
        if own.at == place:
            again = f"-{names.count(name)}" if names.count(name) > 1 else ""
            rows = Step(f"{rows.name.split('/')[0]}/own-{name}{again}", own_operator(own, at, config.folder), (rows,))
    return rows


def own_operator(own: OwnConfig, at: int, folder: Path) -> Own:
    """The entry of `own` at that place as an operator. Raises ConfigError with the key of what is wrong."""
    try:
        code = load(_place(own.use, folder))
        counted, given, wrong = _parameters(code, own.with_, folder)
        for error in wrong:
            raise error
        operator = instance(code, given)
        for error in _schema_problems(code, operator, own.at):
            raise error
        return Own(
            name=code.kind.__name__,
            sha256=code.sha256,
            version=operator.VERSION,
            parameters=counted,
            changes=PLACES[own.at][1],
            on_error=own.on_error,
            use=_place(own.use, folder),
            given=given,
        )
    except ConfigError as error:
        error.key = f"own.{at}.{error.key or 'use'}"
        error.hint = error.hint or "dataforge config check CONFIG shows the line"
        raise error.at() from None


def _place(use: str, folder: Path) -> str:
    """`file.py:Class` with the path made absolute; a module as it stands."""
    place, _, name = use.rpartition(":")
    return f"{absolute(folder, place)}:{name}" if place.endswith(".py") else use


def _parameters(
    code: OwnCode, written: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], dict[str, Any], list[ConfigError]]:
    """(what counts in the id, what the class gets, what is wrong): of a path of the config its content counts and the class
    gets the place."""
    counted, given = {}, dict(written)
    values, wrong = parameters(code, written)
    for name, (value, counts) in values.items():
        if isinstance(value, Path):
            path = absolute(folder, str(value))
            given[name] = str(path)
            if counts and not path.exists():
                wrong.append(ConfigError("no such file or folder", file=str(path), key=f"with.{name}"))
                continue
        if counts:
            counted[name] = f"sha256 {_content(path)}" if isinstance(value, Path) else written[name]
    return counted, given, wrong


def _content(path: Path) -> str:
    """sha256 of a file, or of the names and sha256 of all files of a folder."""
    if path.is_file():
        return file_sha256(path)
    files = sorted((p.relative_to(path).as_posix(), file_sha256(p)) for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _schema_problems(code: OwnCode, operator: Map, at: Place) -> Iterator[ConfigError]:
    """Columns that the class needs and that are not there, or that it gives and may not."""
    schema = PLACES[at][0]
    name, file, there = code.kind.__name__, str(code.path), f"rows at {at} have {', '.join(schema.names)}"
    needs = _asked(operator.needs, code)
    if len(needs) != 1:
        yield ConfigError(f"{name} needs {len(needs)} tables; here is one", file=file)
        return
    if lacking := [f"'{column}'" for column in needs[0] or () if column not in schema.names]:
        yield ConfigError(f"{name} needs column {', '.join(lacking)}", file=file, hint=there)
        return  # what it gives is made of what it needs
    given = _asked(lambda: {f.name: f.type for f in operator.gives([schema])}, code)
    if "id" not in given:
        yield ConfigError(f"{name} gives no column 'id'", file=file, hint="give id and what is read or changed")
    for column, kind in given.items():
        if column not in schema.names:
            yield ConfigError(f"{name} gives a column '{column}' of its own", file=file, hint=there)
        elif kind != schema.field(column).type:
            yield ConfigError(f"{name} gives '{column}' as {kind}, not {schema.field(column).type}", file=file)


def _asked(question: Callable[[], Any], code: OwnCode) -> Any:
    try:
        return question()
    except BaseException as problem:
        if not is_theirs(problem):
            raise
        what = f"{code.kind.__name__}: needs() or gives() raised {type(problem).__name__}"
        raise ConfigError(what, file=place_of(problem, code.path)) from None


def own_problems(document: Document, folder: Path) -> Iterator[Problem]:
    """What is wrong with each entry of `own` for `config check`, which also tries it on two made-up rows."""
    entries = document.values.get("own")
    for at, entry in enumerate(entries if isinstance(entries, list) else ()):
        for error in _wrong(entry, folder):
            path: tuple[str | int, ...] = ("own", at, *(error.key or "use").split("."))
            where = f" ({error.file})" if error.file else ""
            hint = f"; {error.hint}" if error.hint else ""
            yield Problem(*document.place(path), ".".join(map(str, path)), "", f"{error.what}{where}{hint}")


def _wrong(entry: Any, folder: Path) -> Iterator[ConfigError | OperatorError]:
    """All that can be said of an entry, though other keys of it are wrong: what the schema refuses is said already."""
    if not isinstance(entry, dict) or not isinstance(entry.get("use"), str):
        return
    try:
        code = load(_place(entry["use"], folder))
        written = entry.get("with", {})
        if not isinstance(written, dict):
            return
        _, given, wrong = _parameters(code, written, folder)
        yield from wrong
        if wrong:
            return
        operator = instance(code, given)
        place = next((place for place in PLACES if place == entry.get("at")), None)
        if place is None:
            return
        wrong = list(_schema_problems(code, operator, place))
        yield from wrong
        if not wrong:
            trial(operator, *PLACES[place], code.kind.__name__, code.path)
    except (ConfigError, OperatorError) as error:
        yield error
