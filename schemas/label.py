"""What people decided about sampled rows: one row per item of a closed review batch that has a decision."""

import pyarrow as pa

# Names are pseudonyms a01, a02 ... in the order of the annotators' names inside the batch.
ANSWER = pa.struct(
    [
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # label, unsure, reject, flag
        pa.field("labels", pa.list_(pa.string()), nullable=False),
    ]
)
TRIPLE = pa.struct([pa.field(name, pa.string(), nullable=False) for name in ("instruction", "input", "output")])

LABEL = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # of the sampled row
        pa.field("label", pa.string()),  # the first of `labels`; null where rejected
        pa.field(
            "labels", pa.list_(pa.string()), nullable=False
        ),  # in the order of the label set; one, or two where allowed
        pa.field("rejected", pa.bool_(), nullable=False),  # people say: not fit for training
        pa.field("decided_by", pa.string(), nullable=False),  # unanimous, majority, adjudicated, single
        pa.field("n_answers", pa.int32(), nullable=False),
        pa.field("agreement", pa.float32()),  # share of the answers that equal the decision
        pa.field("answers", pa.list_(ANSWER), nullable=False),
        pa.field("instruct", TRIPLE),  # as edited by people; null where nobody changed it
        pa.field("error_category", pa.string()),  # of an adjudication: ambiguous_text, guideline_gap, ...
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("gold", pa.bool_(), nullable=False),  # a test item with a known answer
        pa.field("random", pa.bool_(), nullable=False),  # of the uniform share: estimates use only these rows
        pa.field("p_selected", pa.float64()),  # probability with which sampling chose the row; weight is 1 / p
        pa.field("suggestion", pa.string()),  # what the tagger said, and how sure it was
        pa.field("suggestion_score", pa.float64()),
        pa.field("suggestion_by", pa.string()),
        pa.field("kind", pa.string(), nullable=False),  # of the batch: act, instruct, dropped, preference
        pa.field("filter", pa.string()),  # in a batch of dropped rows: the reason why the row was dropped
        pa.field("label_schema", pa.string(), nullable=False),
        pa.field("label_schema_version", pa.string(), nullable=False),
        pa.field("guideline_version", pa.string(), nullable=False),
    ]
)
