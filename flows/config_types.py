"""What the sections of a config are made of: checked names, places of secrets, shares, and the base of a section."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


def power_of_two(value: int) -> int:
    if value & (value - 1) or not 1 <= value <= 65536:
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
