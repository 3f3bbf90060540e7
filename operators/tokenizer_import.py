"""`ImportTokenizer`: a tokenizer that exists already → the same folder as training gives. A Fold without inputs.

Accepts a file or folder: tokenizer.json; GPT-2's vocab.json and merges.txt; a tiktoken rank list (`*.tiktoken`, or
Llama-3's `tokenizer.model`); a SentencePiece model. A rank list says nothing of how text is cut: the pattern comes from
the file's well-known name or from `tokenizer.pattern`, and is never guessed. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from dataforge.errors import ConfigError, InputError
from dataforge.kernels import sentencepiece_model as spm
from dataforge.kernels.encode import reference_of
from dataforge.kernels.encoding_probe import probe_texts
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import BadTokenizer, Folder, parse_ranks, spelled
from dataforge.kernels.tokenizer_json import json_of_ranks, pre_tokenizer
from dataforge.operator import Fold
from dataforge.operators.tokenizer_files import Roles, chat_template, write_folder, write_json
from dataforge.operators.tokenizer_train import convert_sentencepiece

READ = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model", "spm.model", "ranks.tiktoken")
BESIDE = ("special_tokens_map.json", "tokenizer_config.json", "chat_template.jinja")
# Published with the rank lists' names, not inside them.
KNOWN_RANKS: dict[str, tuple[str, dict[str, int]]] = {
    "cl100k_base": (
        "cl100k",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": ("o200k", {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
    "r50k_base": ("gpt2", {"<|endoftext|>": 50256}),
    "tokenizer": ("llama3", {}),  # Meta's name for a rank list; special tokens stand in tokenizer_config.json
}


@dataclass(frozen=True)
class ImportTokenizer(Fold):
    """Make it by `ImportTokenizer.of(path, …)`: `sha256` of the files read is what enters the step's id."""

    VERSION: ClassVar[int] = 4  # vocab.json: its numbers are all taken, none is reserved

    path: str = field(metadata={"identity": False})
    sha256: str = ""
    pattern: str = ""
    bos: str = ""  # empty: what the files say
    eos: str = ""
    pad: str = ""
    template: str = "book"

    @classmethod
    def of(cls, path: Path, **options: str) -> ImportTokenizer:
        """Raises InputError when there is no tokenizer at `path`, ConfigError for an unknown pattern."""
        if options.get("pattern") and options["pattern"] not in PATTERNS:
            hint = f"use one of: {', '.join(PATTERNS)}"
            raise ConfigError(f"tokenizer.pattern is {options['pattern']!r}", hint=hint)
        digest = hashlib.sha256()
        for file in sorted(_files(path)):
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
        return cls(str(path), digest.hexdigest(), **options)

    def needs(self) -> list[list[str]]:
        return []

    def finish(self, state: object, out: Path) -> None:
        path = Path(self.path)
        if ImportTokenizer.of(path).sha256 != self.sha256:
            raise InputError("the tokenizer changed while the run went on", file=path.name, hint="run again")
        out.mkdir(parents=True, exist_ok=True)
        main = _definition(path)
        try:
            made, roles = self._read(main, out)
        except (BadTokenizer, spm.NotSentencePiece, ValueError, KeyError) as error:
            raise InputError(f"not a tokenizer that can be used: {error}", file=main.name) from error
        roles = Roles(self.bos or roles.bos, self.eos or roles.eos, self.pad or roles.pad or roles.eos, roles.unk)
        report = {"schema": 1, "kind": "imported", "file": main.name, "sha256": self.sha256, **made}
        write_folder(out, roles=roles, template=_template(main.parent, self.template), report=report)

    def _read(self, main: Path, out: Path) -> tuple[dict[str, Any], Roles]:
        data = main.read_bytes()
        if main.name == "vocab.json":
            return _gpt2(main, out), Roles("<|endoftext|>", "<|endoftext|>")
        if main.suffix == ".json":
            return _json(main, data, out)
        if spm.looks_like_ranks(data):
            return _ranks(main, data, self.pattern, out)
        return _sentencepiece(data, out)


def _files(path: Path) -> list[Path]:
    main = _definition(path)
    names = [main.name, *BESIDE, *(["merges.txt"] if main.name == "vocab.json" else [])]
    return [main.parent / name for name in names if (main.parent / name).is_file()]


def _definition(path: Path) -> Path:
    """The file that defines the ids: `path` itself, or the first known name in the folder."""
    if path.is_file():
        return path
    ranks = sorted(path.glob("*.tiktoken")) if path.is_dir() else []
    found = [path / name for name in READ if (path / name).is_file()] + ranks
    if not found:
        raise InputError("there is no tokenizer", file=path.name, hint=f"looked for {', '.join(READ)}, *.tiktoken")
    return found[0]


def _beside(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    found: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return found


def _roles(folder: Path) -> Roles:
    """BOS, EOS, PAD and UNK as the files beside the tokenizer name them."""
    said = {**_beside(folder, "tokenizer_config.json"), **_beside(folder, "special_tokens_map.json")}

    def named(role: str) -> str:
        token = said.get(f"{role}_token") or ""
        return str(token.get("content", "")) if isinstance(token, dict) else str(token)

    return Roles(named("bos"), named("eos"), named("pad"), named("unk"))


def _template(folder: Path, name: str) -> str:
    file = folder / "chat_template.jinja"
    return file.read_text(encoding="utf-8") if file.is_file() else chat_template(name)


def _json(main: Path, data: bytes, out: Path) -> tuple[dict[str, Any], Roles]:
    from tokenizers import Tokenizer

    try:
        size = Tokenizer.from_str(data.decode()).get_vocab_size()
    except Exception as error:  # the library raises bare Exception for whatever it cannot read
        raise BadTokenizer("tokenizers cannot read it") from error
    (out / "tokenizer.json").write_bytes(data)
    return {"format": "json", "vocab_size": size}, _roles(main.parent)


def _gpt2(main: Path, out: Path) -> dict[str, Any]:
    """vocab.json and merges.txt as one tokenizer.json; the last id is the end of text."""
    vocabulary: dict[str, int] = json.loads(main.read_bytes())
    lines = (main.parent / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    made = json_of_ranks({}, "gpt2", {"<|endoftext|>": vocabulary.get("<|endoftext|>", len(vocabulary))})
    made["model"] |= {"vocab": vocabulary, "merges": merges, "ignore_merges": False}
    made["added_tokens"] = made["added_tokens"][-1:]  # all other numbers are taken by the vocabulary
    made["pre_tokenizer"] = pre_tokenizer("gpt2")
    write_json(out / "tokenizer.json", made)
    return {"format": "json", "vocab_size": len(vocabulary)}


def _ranks(main: Path, data: bytes, pattern: str, out: Path) -> tuple[dict[str, Any], Roles]:
    """ranks.tiktoken, and the tokenizer.json of the same ids (else, by the probe, the ranks stay the definition)."""
    from tokenizers import Tokenizer

    known, special = KNOWN_RANKS.get(main.stem, ("", {}))
    pattern = pattern or known
    if not pattern:
        hint = f"set tokenizer.pattern to one of: {', '.join(PATTERNS)}"
        raise ConfigError("a rank list does not say how text is cut", file=main.name, hint=hint)
    added = _beside(main.parent, "tokenizer_config.json").get("added_tokens_decoder", {})
    special = special or {token["content"]: int(number) for number, token in added.items()}
    ranks = parse_ranks(data)
    made = json_of_ranks(ranks, pattern, special)
    folder = Folder("ranks", data, pattern, size=max(ranks.values()) + 1)
    texts = probe_texts(spelled(folder), list(special)[:8], hostile=2000)
    tokenizer = Tokenizer.from_str(json.dumps(made))
    tokenizer.encode_special_tokens = True
    ours = [found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    differing = sum(a != b for a, b in zip(ours, reference_of(folder)(texts), strict=True))
    write_json(out / "tokenizer.json", made)
    (out / "ranks.tiktoken").write_bytes(data)
    probe = {"probe_texts": len(texts), "probe_differs": differing}
    report = {"format": "ranks" if differing else "json", "pattern": pattern, "vocab_size": len(ranks), **probe}
    roles = _roles(main.parent)
    end = "<|endoftext|>" if "<|endoftext|>" in special else ""
    return {**report, "special_ids": special}, Roles(roles.bos or end, roles.eos or end, roles.pad, roles.unk)


def _sentencepiece(data: bytes, out: Path) -> tuple[dict[str, Any], Roles]:
    model = spm.parse(data)
    named = {piece for piece, kind in zip(model.pieces, model.types, strict=True) if kind == spm.CONTROL}
    tokens: list[bytes | None] = [piece.replace(spm.SPACE, " ").encode() for piece in model.pieces]
    probe = probe_texts(tokens, sorted(named), hostile=4000)
    (out / "spm.model").write_bytes(data)  # stays the definition, whatever tokenizer.json makes of long runs of blanks
    unknown = model.pieces[model.first(spm.UNKNOWN)]
    roles = Roles(*(token if token in named else "" for token in ("<s>", "</s>", "<pad>")), unknown)
    return {
        "vocab_size": len(model.pieces),
        **convert_sentencepiece(data, probe, out),
        "format": "sentencepiece",
    }, roles
