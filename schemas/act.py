"""The eight speech acts: seven classes of utterance and `other`. Names are stored in the plural."""

import pyarrow as pa

ACTS = (
    "expressives",
    "commissives",
    "directives",
    "declarations",
    "verdictives",
    "questions",
    "representatives",
    "other",
)

# One row per message (or document sentence group): `act` is the function, `form` what it looks like.
ACT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("act", pa.string(), nullable=False),  # one of ACTS: the function of the utterance
        pa.field("form", pa.string(), nullable=False),  # declarative, interrogative, imperative, exclamative, fragment
        pa.field("act_score", pa.float32(), nullable=False),  # calibrated probability of `act`
        pa.field("act_scores", pa.list_(pa.float32(), len(ACTS)), nullable=False),  # in the order of ACTS, sums to 1
        pa.field("act_by", pa.string(), nullable=False),  # rules, model, label
        # Share of probability that moves when the neighbours are read too, 0 to 1: 0 = the text says it alone, 1 = only
        # its context does. Null where the tagger reads no context.
        pa.field("act_ambiguity", pa.float32()),
    ]
)
