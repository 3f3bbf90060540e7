"""docs/config.md as the model of the config has it. `python -m tests.flows.config_page` writes the page anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dataforge.flows.config import Config
from dataforge.flows.config_problems import LISTS

PAGE = Path(__file__).parent.parent.parent / "docs" / "config.md"
HEAD = """\
# Every key of a config

One YAML file per dataset; a folder that holds `dataforge.yaml` may stand for the file. Relative paths start at the file.
Unknown keys are errors. `dataforge config check` lists all problems at once, `config show` every value and where it
comes from, `config schema` the JSON Schema for editors. Secrets stand only as `env:NAME` or `file:PATH`.
"""
TABLE = "| key | default | meaning |\n|---|---|---|\n"


def page() -> str:
    """The whole page: a table for the top level, one per section."""
    parts = [HEAD, "## Top level\n", TABLE + "".join(_row("", name) for name in Config.model_fields if name != "folder")]
    for name, model in sections():
        place = f"{name}[]." if name in LISTS else f"{name}."
        rows = "".join(_rows(place, model))
        parts += [f"## {name}\n", f"{(model.__doc__ or '').strip()}\n", TABLE + rows]
    return "\n".join(parts)


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """(name of the section, its model) in the order of the file; a section inside a section follows it."""
    for name, field in Config.model_fields.items():
        model = LISTS.get(name, field.annotation)
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield name, model
            yield from ((f"{name}.{key}", inner) for key, inner in inner_sections(model))


def inner_sections(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield key, field.annotation


def _rows(place: str, model: type[BaseModel]) -> Iterator[str]:
    """A row for each key; after a key that holds named sections the keys of one of them."""
    for key, field in model.model_fields.items():
        yield _row(place, key, model)
        named = get_args(field.annotation)[1:] if get_origin(field.annotation) is dict else ()
        if named and isinstance(named[0], type) and issubclass(named[0], BaseModel):
            yield from _rows(f"{place}{key}.NAME.", named[0])


def _row(place: str, key: str, model: type[BaseModel] = Config) -> str:
    field = model.model_fields[key]
    section = dict(sections()).get(key) if model is Config else dict(inner_sections(model)).get(key)
    if section is not None:
        return f"| `{key}` | {'required' if field.is_required() else 'see below'} | {_first(section)} |\n"
    default = "required" if field.default is PydanticUndefined else written(field.default)
    meaning = " ".join((field.description or "").split())  # one line, as a cell of a table must be
    return f"| `{place}{field.alias or key}` | {default} | {meaning}{_choices(field.annotation)} |\n"


def _first(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().partition("\n")[0]


def _choices(annotation: Any) -> str:
    """` One of a, b.` for a closed list of words."""
    if get_origin(annotation) is not Literal:
        return ""
    return f" One of {', '.join(get_args(annotation))}."


def written(value: Any) -> str:
    """A default as YAML has it: True -> `true`, (18, 7) -> `[18, 7]`, None -> `null`; an empty text is "empty"."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}" if value else "empty"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(written(v) for v in value) + "]" if value else "empty"
    return str(value) or "empty"


if __name__ == "__main__":
    PAGE.write_text(page())
