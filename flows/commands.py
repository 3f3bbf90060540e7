"""All commands, gathered. Each group of them stands in a file of its own; heavy libraries load inside the commands."""

from __future__ import annotations

import typer

from dataforge.flows import commands_data, commands_index, commands_look, commands_review, commands_run, commands_tokenizer

app = typer.Typer(
    name="dataforge",
    help="Raw corpora and Slack exports into LLM training data that a team can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
commands_run.register(app)
commands_look.register(app)
commands_data.register(app)
commands_tokenizer.register(app)
commands_index.register(app)
commands_review.register(app)
