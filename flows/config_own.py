"""Section of the config about operators of the user's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from dataforge.flows.config_types import Section

Place = Literal["after_clean", "after_select", "pairs"]


class OwnConfig(Section):
    """A filter or a mapper of your own. Code runs only from what stands here; how to write one: [own.md](own.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, serialize_by_alias=True)

    use: str
    """`path/to/file.py:Class`, relative to the config, or `package.module:Class` of an installed package."""
    at: Place
    """after_clean: documents as cleaned, not masked yet; after_select: documents that stay, masked, with their split; pairs:
    training pairs made of chats, which can be dropped but not changed."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Fields of the class, checked against their types; of a field of type Path the file's bytes count, not its place."""
    on_error: Literal["stop", "quarantine"] = "stop"
    """What a row does at which the class raises: end the run, or go to `quarantine/` within `ingest.max_bad_rows`."""
