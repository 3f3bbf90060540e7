"""Pulled pages of the Web API as a Source of MESSAGE rows: the same rows as an export of the same workspace.

Of all committed copies of a message the newest counts; what a finished run no longer found is gone. Each page with
messages that count is read as one file, through the same reader as a day file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dataforge.errors import InputError
from dataforge.operator import Rows, SourceFile, Split
from dataforge.operators.slack_channels import Channel, Channels, channels_of
from dataforge.operators.slack_decode import decode_document
from dataforge.operators.slack_message import MessageReader
from dataforge.operators.slack_pages import fold, load_state, page_name, pages_of, read_page
from dataforge.operators.slack_source import SlackSource
from dataforge.operators.slack_users import People, people_of, read_key


@dataclass(frozen=True)
class SlackPull(SlackSource):
    """`path` is `{store}/pull/<source>`."""

    def digest(self) -> str:
        """Over members, channels and all committed pages, with the fingerprint of the key and the opt-out lists."""
        total = hashlib.sha256(self.who.fingerprint(read_key(self.key)).encode())
        root = Path(self.path)
        files = [root / "users.json", root / "channels.json"]
        for channel in self._channels():
            folder = root / "channels" / channel.key
            files += [folder / page_name(number) for number in range(1, load_state(folder).pages + 1)]
        for file in files:
            content = self._bytes(file)
            name = file.relative_to(root).as_posix()
            total.update(f"{name}\0{len(content)}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        return total.hexdigest()

    def splits(self) -> Sequence[Split]:
        """A channel each: which page counts is known only from all its pages."""
        splits = []
        for channel in self._channels():
            folder = Path(self.path) / "channels" / channel.key
            names = [page_name(number) for number in range(1, load_state(folder).pages + 1)]
            size = sum((folder / name).stat().st_size for name in names)
            splits.append(Split(tuple(f"{channel.key}/{name}" for name in names), size))
        return tuple(split for split in splits if split.files)

    def decompressed_bytes(self) -> int:
        return sum(split.size_bytes for split in self.splits())

    def read(self, split: Split) -> Iterator[SourceFile]:
        people, channels = self.known()
        reader = self._reader(people, channels)
        key = split.files[0].rpartition("/")[0]
        channel = next(c for c in channels.by_id.values() if c.key == key)
        folder = Path(self.path) / "channels" / key
        winners = fold(pages_of(folder, load_state(folder))).winners()
        for name in split.files:
            number = int(name[-11:-5])
            yield _page_file(reader, channel, folder, number, winners.get(number, []))

    def _channels(self) -> list[Channel]:
        _, channels = self.known()
        return sorted((c for c in channels.by_id.values() if self.who.wants(c, channels)), key=lambda c: c.key)

    def known(self) -> tuple[People, Channels]:
        root, key = Path(self.path), read_key(self.key)
        users = decode_document(self._bytes(root / "users.json"), "users.json")
        listed = decode_document(self._bytes(root / "channels.json"), "channels.json")
        people = people_of(users, key=key, opted_out=self.who.opt_out_users)
        found = [("public", entry) for entry in listed]
        return people, channels_of(found, [], key=key, opted_out=self.who.opt_out_channels, named=self.who.named)

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError("nothing pulled yet", file=path.name, hint="run `dataforge slack pull` first") from error


def _page_file(reader: MessageReader, channel: Channel, folder: Path, number: int, wanted: list[int]) -> SourceFile:
    name = f"{channel.place}/{page_name(number)}"

    def rows() -> Iterator[Rows]:
        if wanted:
            messages: list[Any] = read_page(folder, number)["messages"]
            yield from reader.rows(orjson.dumps([messages[index] for index in wanted]), channel, name)

    return SourceFile(name, rows(), lambda: len(wanted))
