"""A Step names a Table: an operator with its parameters, and the Steps it reads. Its id is a hash of just that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dataforge.identity import digest_of
from dataforge.operator import Operator, Source


@dataclass(frozen=True, eq=False)
class Step:
    """`name` is the folder in the store (`corpus/quality`). It does not enter the id. Two Steps are never equal: a Step
    is a node of one graph."""

    name: str
    operator: Operator
    inputs: tuple[Step, ...] = ()


Digest = Callable[[Source], str]


def step_id(step: Step, input_ids: Iterable[str], digest_of_source: Digest = lambda source: source.digest()) -> str:
    """64 hex digits: operator, its VERSION, its parameters, the ids of its inputs, and a Source's digest.

    Raises what `Source.digest` raises: NotReady, InputError.
    """
    operator = step.operator
    digest = digest_of_source(operator) if isinstance(operator, Source) else None
    return digest_of(
        {
            "operator": type(operator).__name__,
            "version": type(operator).VERSION,
            "parameters": operator,
            "inputs": [] if isinstance(operator, Source) else list(input_ids),
            "digest": digest,
        }
    )


def in_order(targets: Iterable[Step]) -> Iterator[Step]:
    """Every Step the targets need, inputs before readers, each once."""
    seen: set[int] = set()

    def visit(step: Step) -> Iterator[Step]:
        if id(step) in seen:
            return
        seen.add(id(step))
        for source in step.inputs:
            yield from visit(source)
        yield step

    for target in targets:
        yield from visit(target)
