"""Selected rows → a tokenizer (trained or named) → ids → packed sequences."""

from __future__ import annotations

from dataclasses import dataclass

from dataforge.flows.config import Config
from dataforge.flows.parameters import tokenizer
from dataforge.operators.encode import Encode
from dataforge.operators.pack import Pack, Packing
from dataforge.step import Step


@dataclass(frozen=True)
class TokenSteps:
    tokenizer: Step
    encoded: tuple[Step, ...]
    packed: Step


def make_tokens(corpus: Step | None, pairs: Step | None, config: Config, pack_parts: int, device: str) -> TokenSteps:
    """Corpus rows train on every token, pairs on the answer only. Few `pack_parts` fill sequences best, many hold less."""
    rows = tuple(step for step in (corpus, pairs) if step is not None)
    trained = Step("tokenizer", tokenizer(config, tables=len(rows)), rows if config.tokenizer.path is None else ())
    encoded = []
    for step in rows:
        spans = step is pairs
        operator = Encode(
            bos=config.encode.bos,
            eos=config.encode.eos,
            max_length=config.encode.max_length,
            spans=spans,
            keep=("split", "source"),
            check_every=config.encode.check_every,
            device=device,
        )
        encoded.append(Step(f"{step.name.split('/')[0]}/encoded", operator, (step, trained)))
    pack = config.pack
    overflow = {"bfd_split": "split", "bfd": pack.overflow, "wrapped": "split"}
    policies = [pack.instruct if step is pairs else pack.corpus for step in rows]
    tables = tuple(Packing(policy, overflow[policy]) for policy in policies)
    packed = Step("packed", Pack(pack_parts, pack.sequence_length, tables), tuple(encoded))
    return TokenSteps(trained, tuple(encoded), packed)
