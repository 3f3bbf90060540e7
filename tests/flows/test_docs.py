"""The docs say what the code does: every command, option, exit code, error code, operator and key, and none that is not."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from dataforge import Fold, Keyed, Map, Source, errors
from dataforge.flows.commands import app
from tests.flows.config_page import PAGE, page, sections

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
KINDS = (Source, Map, Keyed, Fold)
ROOT_COMMAND: Any = typer.main.get_command(app)


def commands(group: Any = ROOT_COMMAND, before: str = "") -> Iterator[tuple[str, Any]]:
    """("review export", command) of the application; groups themselves are not listed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield before + name, command


def table(text: str, head: str) -> list[list[str]]:
    """Cells of the Markdown table whose first line is `head`."""
    rows = text.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def documented_commands() -> set[str]:
    """Command words of the README's table: "`review sample`, `serve`" are review sample and review serve."""
    groups = {name for name, command in ROOT_COMMAND.commands.items() if hasattr(command, "commands")}
    found = set()
    for cells in table(README, "| command | does |"):
        group = ""
        for code in re.findall(r"`([^`]+)`", cells[0]):
            words = [word for word in code.split() if re.fullmatch(r"[a-z]+", word)]
            if words[0] in groups:
                group, words = words[0], words[1:]
            found.add(f"{group} {words[0]}".strip())
    return found


def test_the_readme_lists_every_command_and_no_other() -> None:
    assert documented_commands() == {name for name, _ in commands()}


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_and_option_explains_itself(name: str) -> None:
    command = dict(commands())[name]
    assert (command.help or "").strip(), name
    assert all(re.search(r"[a-z]", param.help or param.name) for param in command.params)


def test_options_named_in_the_docs_exist() -> None:
    known = {option for _, command in commands() for param in command.params for option in param.opts} | {"--help"}
    passed_on = {  # by Beam and Prefect
        "--runner",
        "--job_endpoint",
        "--flink_job_server_jar",
        "--no-prompt",
        "--all",
        "--type",
        "--pool",
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z_-]+", README))
    assert named - passed_on - known == set()


def shell_lines() -> list[list[str]]:
    """Words of every `dataforge …` line of the README's shell blocks, from the command on."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    return [words[1:] for line in lines if (words := shlex.split(line, comments=True)) and words[0].endswith("dataforge")]


def test_shell_lines_of_the_readme_parse() -> None:
    assert shell_lines()
    for words in shell_lines():
        command = dict(commands())[words[0]]
        command.make_context(words[0], list(words[1:]))  # raises for unknown options and missing arguments


def test_make_targets_of_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"(?<![\w-])make ([a-z]+)(?=\s+#|`|\s*$)", text, re.MULTILINE)) <= targets


def test_files_and_modules_that_the_docs_name_are_there() -> None:
    folders = "tests|operators|flows|kernels|schemas|dataforge|configs|docs"
    missing = []
    for page_ in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = page_.read_text()
        named = set(re.findall(rf"(?<![\w/.-])(?:{folders})/[\w/.*-]*\w\.(?:py|yaml|md|txt|json|jsonl)\b", text))
        named |= {name.replace(".", "/") + ".py" for name in re.findall(r"python -m (tests\.[\w.]+\w)", text)}
        missing += [f"{page_.name}: {name}" for name in sorted(named) if not list(ROOT.glob(name))]
    assert missing == []


def test_sources_that_the_readme_shows_are_valid() -> None:
    from ruamel.yaml import YAML

    from dataforge.flows.config_sources import SourceConfig

    shown = re.findall(r"`(\{kind: [^`]+\})`", README)
    assert len(shown) == 3
    for text in shown:
        SourceConfig.model_validate({"name": "s", **YAML(typ="safe").load(text)})


def test_every_exit_code_is_in_the_readme() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    rows = table(README, "| exit | meaning | exit | meaning |")
    assert {int(n) for row in rows for n in re.findall(r"\d+", row[0] + " " + row[2])} == codes


def used_codes() -> set[str]:
    """Error codes in the code: `code = "X"`, `code="X"`, `RowFault("X", …)`."""
    found: set[str] = set()
    for folder in ("dataforge", "operators", "flows", "kernels"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found |= {c for part in _code_parts(node) for c in _words(part)}
    return found


def _code_parts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.keyword) and node.arg == "code":
        yield node.value
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "RowFault" and node.args:
        yield node.args[0]
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).split(",")[0].strip("(") == "code":
        yield node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value


def _words(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and re.fullmatch(r"[A-Z]{2,}", part.value):
            yield part.value


def test_every_error_code_has_its_meaning_and_way_out() -> None:
    rows = table((ROOT / "docs" / "errors.md").read_text(), "| code | exit | meaning | way out |")
    assert {row[0].strip("`") for row in rows} == used_codes()
    assert all(len(row) == 4 and all(row) for row in rows)


def operators() -> list[type]:
    """Every operator class of operators/."""
    found = set()
    for path in sorted((ROOT / "operators").glob("*.py")):
        module = importlib.import_module(f"dataforge.operators.{path.stem}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, KINDS) and value.__module__ == module.__name__
        }
    return sorted(found, key=lambda kind: kind.__name__)


def test_every_operator_is_a_documented_frozen_dataclass() -> None:
    assert len(operators()) > 20
    for kind in operators():
        assert is_dataclass(kind) and kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        own = kind.__dict__.get("__doc__") or ""
        assert own.strip() and not own.startswith(f"{kind.__name__}("), f"{kind.__name__} has no docstring"


def test_the_page_of_keys_is_that_of_the_model() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.flows.config_page"


def test_every_key_has_a_meaning() -> None:
    keys = [(f"{name}.{key}", field) for name, model in sections() for key, field in model.model_fields.items()]
    assert [key for key, field in keys if not field.description] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
