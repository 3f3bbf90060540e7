"""Reads labelled JSONL for the `evaluate` commands: plain, .gz or .zst, each row checked for the fields that are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dataforge.errors import InputError, SchemaError
from dataforge.operators.decode import decode_object
from dataforge.operators.files_rows import RowFault
from dataforge.operators.files_stream import ByteStream

MAX_LINE_BYTES = 64 << 20


def read_labelled(path: Path, fields: Mapping[str, type | tuple[type, ...]]) -> Iterator[dict[str, Any]]:
    """Rows whose `fields` are there and of these types. Raises CorruptError, InputError or SchemaError with the line."""
    name = path.name
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = decode_object(line)
        except RowFault as fault:
            raise SchemaError(fault.reason, file=name, row=number, code=fault.code) from None
        for field, kinds in fields.items():
            if not isinstance(row.get(field), kinds):
                found = "nothing" if field not in row else type(row[field]).__name__
                raise SchemaError(f"expected {field}, found {found}", file=name, row=number, key=field)
        yield row


def read_lines(path: Path) -> Iterator[bytes]:
    """Lines of a plain, .gz or .zst file, without their newline."""
    try:
        with ByteStream(partial(open, path, "rb"), path.name) as stream:
            rest = b""
            for block in stream:
                *lines, rest = (rest + block).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    raise InputError(f"a line is longer than {MAX_LINE_BYTES} bytes", file=path.name)
                yield from lines
            if rest:
                yield rest
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path.name) from None
