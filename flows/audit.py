"""`review.audit`: people judge random drops of every filter; the report says how often each was wrong.

Nothing that is published depends on it but the report: the rows stay dropped, the run waits until the batch is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dataforge.flows.config import Config
from dataforge.flows.parameters import audit_labels
from dataforge.operators.audit import AuditSample, AuditTexts, Draw
from dataforge.operators.instruct import Instruct
from dataforge.operators.own import Own
from dataforge.operators.select import DropContaminated, Select, SelectPairs
from dataforge.step import Step, in_order

Audited = tuple[Step, tuple[Step, ...]]  # a step that drops rows; where their texts and, if any are left, the spans are


def audit_drops(targets: Sequence[Step], config: Config, parts: int) -> Step | None:
    """The closed audit as a Step over the filters of these graphs; None where it is off or nothing filters."""
    audit, found = config.review.audit, tuple(_audited(targets))
    if not audit.enabled or not found:
        return None
    draw = Draw(parts, len(found), audit.rows, tuple(audit.reasons))
    drawn = Step("audit/drawn", draw, tuple(step for step, _ in found))
    sample = Step("audit/sample", AuditSample(audit.rows), (drawn,))
    texts = [
        Step(f"audit/{step.name.replace('/', '-')}", AuditTexts(parts, step.name, len(seen) == 2), (sample, *seen))
        for step, seen in found
    ]
    return Step("audit/closed", audit_labels(config), (sample, *texts))


def _audited(targets: Sequence[Step]) -> Iterator[Audited]:
    for step in in_order(targets):
        if isinstance(step.operator, Select):
            yield step, (step.inputs[0], step.inputs[3])
        elif isinstance(step.operator, (DropContaminated, Instruct, SelectPairs)) or _is_own(step):
            yield step, (step.inputs[0],)


def _is_own(step: Step) -> bool:
    """An operator of the user's own behind masking: before it, nobody knows what must be hidden in a dropped text."""
    masked = any(isinstance(before.operator, (Select, SelectPairs)) for before in in_order((step,)))
    return isinstance(step.operator, Own) and masked
