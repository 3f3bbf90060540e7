"""What the sections of a config are made of: checked names, places of secrets, shares, and the base of a section."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

SPLIT_WORDS = {"train", "test", "validation", "valid", "val", "dev", "eval", "training", "testing", "evaluation"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def plain_name(value: str) -> str:
    if not NAME.fullmatch(value) or value.lower() in SPLIT_WORDS:
        raise ValueError("must be 1 to 64 of letters, digits, '.', '_', '-', and none of the words for splits")
    return value


def _secret_place(value: str) -> str:
    if not value.startswith(("env:", "file:")) or len(value.split(":", 1)[1]) == 0:
        raise ValueError("must be env:NAME or file:PATH; a secret never stands in a config")
    return value


def _token_place(value: str) -> str:
    if value.startswith("prefect:") and re.fullmatch(r"[a-z0-9-]+", value.removeprefix("prefect:")):
        return value
    if not value.startswith(("env:", "file:")) or len(value.split(":", 1)[1]) == 0:
        raise ValueError("must be env:NAME or file:PATH, or prefect:BLOCK for a Secret; a token never stands in a config")
    return value


def auto_or_power_of_two(value: Any) -> Any:
    if value != "auto" and (type(value) is not int or value & (value - 1) or not 1 <= value <= 65536):
        raise ValueError("must be auto or a power of two from 1 to 65536")
    return value


def moment(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be an ISO date and time, e.g. 2026-12-01T18:00") from None
    return value


def finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Name = Annotated[str, AfterValidator(plain_name)]
ScoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
SecretPlace = Annotated[str, AfterValidator(_secret_place)]
TokenPlace = Annotated[str, AfterValidator(_token_place)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(finite)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
ByteCount = Annotated[int, Field(ge=1, le=2**40)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: Any, key: ValidationInfo) -> Any:
        """`true` is no number, though Python counts it as 1; what is empty sets nothing, unless the default is."""
        field = cls.model_fields[str(key.field_name)]
        leaves = set(_leaf_types(field.annotation))
        if leaves & {int, float} and bool not in leaves and any(isinstance(leaf, bool) for leaf in _leaves(value)):
            raise ValueError("must be a number, not true or false")
        empty = value in ("", [], {}) and field.default not in ("", (), {}) and not isinstance(field.default, Section)
        if empty or "" in (value if isinstance(value, list) else ()):
            raise ValueError("must not be empty" + ("" if field.is_required() else "; leave the key out for its default"))
        return value


def _leaf_types(annotation: Any) -> Iterator[Any]:
    """`dict[str, tuple[int, float]]` -> str, int, float."""
    inner = get_args(annotation)
    yield from (leaf for each in inner for leaf in _leaf_types(each)) if inner else (annotation,)


def _leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    yield from (value,) if inner is None else (leaf for each in inner for leaf in _leaves(each))
