"""`package.module:Class` or `file.py:Class` → the class, read from the very bytes that its sha256 names.

Nothing but what the config names is run. A module is found as Python finds it and a file by its path; both are then
loaded from source: no cached bytecode, and never the module that an earlier version of the file left in this process.
What a module says by `print` goes to stderr: stdout holds the result of a command.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.util
import json
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType
from typing import Any

from dataforge.errors import ConfigError, DataforgeError, OperatorError
from dataforge.operator import Contract, Map
from dataforge.row_operators import each


@dataclass(frozen=True)
class OwnCode:
    """A class, its module, the file that it stands in, and the sha256 of that file."""

    kind: type[Map]
    module: ModuleType
    path: Path
    sha256: str


class _FromBytes(SourceFileLoader):
    """Loads a module from bytes that were read already."""

    def __init__(self, name: str, path: Path, source: bytes) -> None:
        super().__init__(name, str(path))
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


_loaded: dict[tuple[str, str], ModuleType] = {}  # by what the config says and the sha256 of the source


def load(use: str) -> OwnCode:
    """Raises ConfigError: no such file, module or class, it cannot be imported, or it is no Map."""
    place, separator, name = use.rpartition(":")
    if not separator or not place or not name.isidentifier():
        hint = "e.g. recipes.py:KeepRecipes or mypackage.filters:KeepRecipes"
        raise ConfigError("must be file.py:Class or package.module:Class", hint=hint)
    path, package = (Path(place), None) if place.endswith(".py") else _find(place)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ConfigError("is no file", file=str(path))
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    sha256 = hashlib.sha256(source).hexdigest()
    if (use, sha256) not in _loaded:
        module_name = f"own_{path.stem}_{sha256[:12]}" if place.endswith(".py") else place
        _loaded[use, sha256] = _module(module_name, path, source, package)
    module = _loaded[use, sha256]
    return OwnCode(_class(module, name, path), module, path, sha256)


def _find(name: str) -> tuple[Path, list[str] | None]:
    """The source file of an importable module, and where its submodules are if it is a package."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    except BaseException as problem:  # the package around it runs for this
        if not is_theirs(problem):
            raise
        raise ConfigError(f"the package of {name} raised {type(problem).__name__} when imported") from None
    if spec is None:
        hint = "install it beside dataforge, or name a file: path/to/file.py:Class"
        raise ConfigError(f"there is no module {name}", hint=hint)
    if not spec.origin or not spec.origin.endswith(".py") or name.split(".")[0] == "dataforge":
        raise ConfigError(f"{name} is no module of your own with a source file", hint="name a module that is a .py file")
    return Path(spec.origin), spec.submodule_search_locations


def _module(name: str, path: Path, source: bytes, package: list[str] | None) -> ModuleType:
    loader = _FromBytes(name, path, source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader, submodule_search_locations=package)
    if spec is None:
        raise ConfigError("cannot be loaded", file=str(path))
    module, before = importlib.util.module_from_spec(spec), sys.modules.get(name)
    vars(module)["print"] = _print_aside
    sys.modules[name] = module  # dataclasses look there for the names of annotations
    try:
        loader.exec_module(module)
    except BaseException as problem:
        if not is_theirs(problem):
            raise
        raise _import_error(problem, path) from None
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return module


def _print_aside(*values: object, **options: Any) -> None:
    print(*values, **{"file": sys.stderr, **options})


def _import_error(problem: BaseException, path: Path) -> ConfigError:
    if isinstance(problem, SyntaxError):
        return ConfigError("is not Python: a syntax error", file=f"{path}:{problem.lineno or 1}")
    what = f"raised {type(problem).__name__} when imported"
    if isinstance(problem, ModuleNotFoundError) and problem.name:
        what = f"imports {problem.name}, which is not installed"
    return ConfigError(what, file=place_of(problem, path))


def is_theirs(problem: BaseException) -> bool:
    """Whether an exception is a fault of the user's code: all but a signal that arrives while it runs."""
    own_signal = type(problem).__module__.startswith("dataforge.") and not isinstance(problem, Exception)
    return not isinstance(problem, KeyboardInterrupt) and not own_signal


def place_of(problem: BaseException, path: Path) -> str:
    """`/a/recipes.py:12`: the innermost line of the file that the exception came through; the file where there is none."""
    line, trace = 0, problem.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)


def our_place(problem: BaseException, path: Path, call: CodeType) -> str:
    """`dataforge/identity.py:38` where code of ours failed after the user's had returned; "" where theirs failed.

    Theirs is all that is raised below `each`, and below the frame of `call` (which calls the user's class) all but our
    own base classes, unless they came back to the user's file.
    """
    frames = [(frame.f_code, str(frame.f_globals.get("__name__")), line) for frame, line in walk_tb(problem.__traceback__)]
    ours = [f"{name.replace('.', '/')}.py:{line}" for _, name, line in frames if name.startswith("dataforge.")]
    codes = [code for code, _, _ in frames]
    below = frames[codes.index(call) + 1 :] if call in codes else []
    if isinstance(problem, OperatorError) or not ours or each.__code__ in codes:
        return ""
    if call in codes and not (below and below[0][1].startswith("dataforge.")):
        return ""
    return "" if any(code.co_filename == str(path) for code in codes) else ours[-1]


def _class(module: ModuleType, name: str, path: Path) -> type[Map]:
    kind = getattr(module, name, None)
    there = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
    if kind is None:
        close = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"its classes: {', '.join(there) or 'none'}"
        raise ConfigError(f"has no class {name}", file=str(path), hint=hint)
    if not isinstance(kind, type) or not issubclass(kind, Map):
        hint = "derive it from dataforge.Map, RowFilter or RowMapper"
        raise ConfigError(f"{name} is no operator", file=str(path), hint=hint)
    if kind.contract not in (Contract.SAME, Contract.SUBSET):
        hint = "contract: SAME or SUBSET, so the same rows, or fewer with a reason each"
        raise ConfigError(f"{name} makes rows of its own ({kind.contract.value})", file=str(path), hint=hint)
    if not isinstance(kind.VERSION, int):
        raise ConfigError(f"VERSION of {name} is no whole number", file=str(path))
    if dataclasses.is_dataclass(kind) and not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        hint = "write @dataclass(frozen=True): an operator remembers nothing between rows"
        raise ConfigError(f"{name} is a dataclass that can change", file=str(path), hint=hint)
    return kind


# --- parameters -------------------------------------------------------------------------------------------------------


def instance(code: OwnCode, given: Mapping[str, Any]) -> Map:
    """The operator with these parameters (values of YAML). Raises ConfigError whose key is `with` or `with.NAME`."""
    values, wrong = parameters(code, given)
    for error in wrong:
        raise error
    try:
        return code.kind(**{name: value for name, (value, _) in values.items()})
    except DataforgeError:
        raise
    except BaseException as problem:  # their own check of parameters, of which the text may speak
        if not is_theirs(problem):
            raise
        what = f"{code.kind.__name__} refuses its parameters: {type(problem).__name__}: {problem}"
        raise ConfigError(what, file=place_of(problem, code.path), key="with") from None


def parameters(code: OwnCode, given: Mapping[str, Any]) -> tuple[dict[str, tuple[Any, bool]], list[ConfigError]]:
    """({name: (value of the field's type, whether it counts in the id)}, what is wrong with each of the others)."""
    kind: Any = code.kind  # a narrowed type would have no fields
    found = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    fields = {f.name: f for f in found if f.init}
    wrong = list(_unknown_or_missing(code, fields, given))
    values = {}
    for name in [name for name in given if name in fields]:
        try:
            hint = _hint(code, name, fields[name].type)
            values[name] = (_typed(hint, given[name], name, code), bool(fields[name].metadata.get("identity", True)))
        except ConfigError as error:
            wrong.append(error)
    return values, wrong


def _unknown_or_missing(code: OwnCode, fields: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[ConfigError]:
    """A field that a wrong key probably means is not also said to be missing."""
    meant = set()
    for name in [name for name in given if name not in fields]:
        close = difflib.get_close_matches(str(name), fields, n=1, cutoff=0.5)
        meant.update(close)
        known = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(fields) or 'none'}"
        yield ConfigError(f"unknown key; {known}", file=str(code.path), key=f"with.{name}")
    none = dataclasses.MISSING
    for name, f in fields.items():
        if f.default is none and f.default_factory is none and name not in {*given, *meant}:
            yield ConfigError("is missing", file=str(code.path), key=f"with.{name}")


def _hint(code: OwnCode, name: str, written: Any) -> Any:
    """The type of a field: as it stands in the file it is often a text."""
    try:
        fields = type("Fields", (), {"__annotations__": {name: written}})
        return typing.get_type_hints(fields, globalns=vars(code.module))[name]
    except BaseException as problem:
        if not is_theirs(problem):
            raise
        what = f"its type cannot be understood: {type(problem).__name__}"
        raise ConfigError(what, file=str(code.path), key=f"with.{name}") from None


def _typed(hint: Any, value: Any, name: str, code: OwnCode) -> Any:
    """The value as the type says, by the rules of JSON: a list becomes a tuple, a text a Path; 1 is no bool, "1" no int."""
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        said = error.errors()[0]["msg"].replace("Input should be", "must be")
        raise ConfigError(said, file=str(code.path), key=f"with.{name}") from None
    except (PydanticUserError, TypeError) as error:
        what = f"its type cannot come from a config: {type(error).__name__}"
        raise ConfigError(what, file=str(code.path), key=f"with.{name}") from None
