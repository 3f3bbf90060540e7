"""The folder of a tokenizer: what `AutoTokenizer.from_pretrained` reads, and one report beside it.

tokenizer.json, tokenizer_config.json, special_tokens_map.json, chat_template.jinja, [spm.model | ranks.tiktoken],
tokenizer_report.json. The last one is ours: format, sizes, what was asked and what became of it. Nothing here is random
or dated. No special token is added to a text by itself: BOS and EOS are what `Encode` is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataforge.errors import ConfigError, GateError
from dataforge.operators.instruct_render import LANDMARKS, TEMPLATES

REPORT = "tokenizer_report.json"

# An exchange of a chat is written as the instruct template writes a pair: what the user says is the Instruction, a system
# message before it the Input, and after the answer comes EOS and nothing else. So the prompt that a server renders is the
# prompt that was trained. What the assistant says, its EOS included, stands between the generation marks, so that
# `assistant_only_loss` trains on just that. Lines that look like a landmark are moved in, as `instruct_render` does it.
_CHAT = """{%- set given = namespace(text='') -%}
{%- macro plain(text) -%}{{- ('\\n' ~ text)ESCAPES[1:] -}}{%- endmacro -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{%- set given.text = message['content'] -%}
{%- elif message['role'] == 'assistant' -%}
{{- 'RESPONSE' -}}{%- generation -%}{{- plain(message['content']) ~ eos_token -}}{%- endgeneration -%}
{%- else -%}
{{- 'INSTRUCTION' ~ plain(message['content']) ~ '\\n\\n' -}}
{%- if given.text or KEEPS_EMPTY -%}{{- 'INPUT' ~ plain(given.text) ~ '\\n\\n' -}}{%- endif -%}
{%- set given.text = '' -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'RESPONSE' -}}{%- endif -%}
"""


def chat_template(name: str) -> str:
    """Jinja text for a template of `instruct_render`, `book` or `alpaca`."""
    if name not in TEMPLATES:
        raise ConfigError(f"there is no chat template {name!r}", hint=f"use one of: {', '.join(TEMPLATES)}")
    before, after, keeps_empty = TEMPLATES[name]
    text = _CHAT.replace("KEEPS_EMPTY", "true" if keeps_empty else "false")
    text = text.replace("ESCAPES", "".join(f".replace('\\n{line}', '\\n {line}')" for line in LANDMARKS))
    for part in ("Instruction", "Input", "Response"):
        text = text.replace(f"'{part.upper()}'", f"'{before}{part}{after}\\n'")
    return text


@dataclass(frozen=True)
class Roles:
    """Which special token plays which part; an empty string where there is none."""

    bos: str = ""
    eos: str = ""
    pad: str = ""
    unk: str = ""

    def named(self) -> dict[str, str]:
        pairs = (("bos_token", self.bos), ("eos_token", self.eos), ("unk_token", self.unk), ("pad_token", self.pad))
        return {name: token for name, token in pairs if token}


def write_folder(out: Path, *, roles: Roles, template: str, report: Mapping[str, Any]) -> None:
    """The files beside tokenizer.json, which the caller has written (or left out, saying why in `report`)."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "special_tokens_map.json", roles.named())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000_000_000,  # no limit of its own: `Pack` decides lengths
        **roles.named(),
    }
    write_json(out / "tokenizer_config.json", settings)
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_json(out / REPORT, report)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# --- tokens that must not be in a vocabulary --------------------------------------------------------------------------

# Patterns for single tokens of at most a few dozen characters, so `re` is harmless here.
_PRIVATE = (
    re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}"),  # e-mail
    re.compile(r"(?:gh[pousr]_|github_pat_|xox[abeoprs]-|sk-|sk_live_|rk_live_|glpat-|npm_|pypi-|AIza|hf_)\w{10,}"),
    re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{12,}|eyJ[\w-]{12,}|-----BEGIN"),
    re.compile(r"\d{9,}"),  # phone, card and account numbers
    re.compile(r"(?=\w*\d\w*\d)(?=\w*[A-Za-z])\b[A-Za-z0-9_-]{20,}"),  # long and mixed: a key, not a word
)


def private_tokens(tokens: Iterable[tuple[int, str]]) -> list[int]:
    """Ids of tokens that look like an e-mail address, a secret or a long number. "bob@example.org" is one."""
    return [number for number, token in tokens if any(pattern.search(token) for pattern in _PRIVATE)]


def refuse_private(tokens: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Figures for the report. Raises GateError naming ids, never tokens."""
    every = list(tokens)
    found = private_tokens(every)
    if found:
        shown = ", ".join(map(str, found[:10]))
        hint = "mask personal data and secrets before training (train after Select), or lower tokenizer.vocab_size"
        raise GateError(f"{len(found)} tokens of the vocabulary look like secrets or addresses: ids {shown}", hint=hint)
    return {"tokens_scanned": len(every), "tokens_private": 0}
