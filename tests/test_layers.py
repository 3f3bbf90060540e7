"""The folders' layers and the fences around third parties, read from every import in the code; what an import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("schemas", "kernels", "dataforge", "operators", "flows")
# what each folder may import of ours
LAYERS = {
    "schemas": {"schemas"},
    "kernels": {"kernels"},
    "dataforge": {"dataforge", "schemas"},
    "operators": {"operators", "dataforge", "kernels", "schemas"},
    "flows": {"flows", "operators", "dataforge", "kernels", "schemas"},
}
# third party → the files (or folders) that may name it
FENCES = {
    "apache_beam": {"dataforge/engine/beam.py", "dataforge/engine/beam_pool.py"},
    "prefect": {"flows/orchestrate.py"},
    "cupy": {"kernels/device.py"},
    "datasets": {
        "dataforge/load.py",
        "dataforge/first_rows.py",
        "operators/publish",
        "operators/arrow_copy.py",
        "operators/card.py",
    },
    "slack_sdk": {"operators/slack"},
    "starlette": {"dataforge/review/"},
    "uvicorn": {"dataforge/review/"},
    "sqlalchemy": {"dataforge/review/"},
}
# loading any of these takes long, so `import dataforge` must not
HEAVY = ("apache_beam", "prefect", "cupy", "polars", "datasets", "pydantic", "numba", "tokenizers", "sentencepiece")


def sources(folder: str) -> list[Path]:
    found = (ROOT / folder).rglob("*.py") if folder != "dataforge" else _core()
    return sorted(p for p in found if "__pycache__" not in p.parts)


def _core() -> Iterator[Path]:
    for path in (ROOT / "dataforge").rglob("*.py"):
        if path.relative_to(ROOT).parts[1] not in FOLDERS:
            yield path


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, at the top level of the file) of every import."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from ((name, id(node) in top) for name in names)


def ours(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "dataforge":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "dataforge"


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_down_the_layers(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(folder)
        for module, _ in imports(path)
        if (layer := ours(module)) is not None and layer not in LAYERS[folder]
    ]
    assert wrong == []


def test_nothing_imports_a_top_level_folder_by_its_bare_name() -> None:
    bare = {"flows", "operators", "kernels", "schemas", "configs"}
    wrong = [str(p) for f in FOLDERS for p in sources(f) for module, _ in imports(p) if module.split(".")[0] in bare]
    assert wrong == []


@pytest.mark.parametrize("library", FENCES)
def test_third_parties_stay_behind_their_fence(library: str) -> None:
    wrong = []
    for path in (p for f in FOLDERS for p in sources(f)):
        place = str(path.relative_to(ROOT))
        if any(m.split(".")[0] == library for m, _ in imports(path)) and not place.startswith(tuple(FENCES[library])):
            wrong.append(place)
    assert wrong == []


def test_the_core_loads_none_of_the_heavy_libraries() -> None:
    code = f"import sys, dataforge; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_kernels_import_with_numpy_and_arrow_alone() -> None:
    allowed = {"numpy", "pyarrow", "dataforge", "__future__"} | set(sys.stdlib_module_names)
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources("kernels")
        if "cpu" not in path.relative_to(ROOT).parts  # the numba faces: imported inside functions only
        for module, top in imports(path)
        if top and module.split(".")[0] not in allowed
    ]
    assert wrong == []


BANNED = ("pickle", "cloudpickle", "dill", "marshal", "shelve")


def test_no_pickle_no_eval_no_shell() -> None:
    wrong = []
    for path in (p for f in FOLDERS for p in sources(f)):
        place = str(path.relative_to(ROOT))
        wrong += [f"{place} imports {m}" for m, _ in imports(path) if m.split(".")[0] in BANNED]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("eval", "exec", "yaml.load", "os.system"):
                    wrong.append(f"{place}:{node.lineno} calls {name}")
                wrong += [
                    f"{place}:{node.lineno} {k.arg}=True"
                    for k in node.keywords
                    if k.arg in ("shell", "trust_remote_code") and ast.unparse(k.value) == "True"
                ]
    assert wrong == []


def test_users_mistakes_are_never_asserted() -> None:
    found = [
        f"{p.relative_to(ROOT)}:{n.lineno}"
        for f in FOLDERS
        for p in sources(f)
        for n in ast.walk(ast.parse(p.read_text()))
        if isinstance(n, ast.Assert)
    ]
    assert found == []
