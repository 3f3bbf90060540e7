"""The config: every problem at once, with line, column and a way out; secrets never stand in it or come out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataforge.errors import ConfigError, InputError, SecretError
from dataforge.flows.config import load_config, read_secret
from dataforge.flows.config_inputs import check_config
from dataforge.flows.parameters import publication

GOOD = "name: a\nsources: [{name: s, kind: jsonl, path: x.jsonl}]\n"


def problems(text: str, folder: Path) -> list[str]:
    path = folder / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        load_config(path)
    assert wrong.value.exit_code == 2
    return [line.replace(str(path), "c.yaml") for line in wrong.value.details] or [wrong.value.line()]


def test_a_minimal_config_has_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "dataforge.yaml").write_text(GOOD)
    config = load_config(tmp_path)
    assert config.dedupe.bands == (18, 7) and config.publish.splits == {"train": 0.98, "validation": 0.02}
    assert config.path("store") == tmp_path / "store"


def test_all_problems_are_reported_at_once_with_place_and_suggestion(tmp_path: Path) -> None:
    text = GOOD + "dedupe: {threshold: 1.4}\nclean:\n  langauge: x\npii: {action: hide}\nnmae: b\n"
    assert problems(text, tmp_path) == [
        "c.yaml:3:10  dedupe.threshold = 1.4   must be at most 1",
        "c.yaml:5:3  clean.langauge   unknown key; known: encoding, normalize, whitespace, line_rules, max_removed, code",
        "c.yaml:6:7  pii.action = 'hide'   must be one of 'mask', 'pseudonym' or 'drop'",
        "c.yaml:7:1  nmae   unknown key; did you mean 'name'?",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (GOOD + "name: b\n", "a key stands twice"),
        (GOOD + "out: !!python/object:os.system x\n", "tags are not allowed"),
        (GOOD + "ingest: {parts: 12}\n", "power of two"),
        (GOOD + "split: {salt: [1}\n", "c.yaml:3"),
        (GOOD + "publish: {splits: {train: 0.5}}\n", "sum to 1"),
        (GOOD + "dedupe: {threshold: .nan}\n", "dedupe.threshold"),
        (GOOD + "dedupe: {protected: [nobody]}\n", "names no source: nobody"),
        (GOOD + "dedupe: {keep: [best_score]}\n", "best_score needs quality.model"),
        (GOOD + "dedupe: {substring: 3}\n", "must be 0, or from 8 to 10000 words"),
        (GOOD + "quality: {preset: gophre}\n", "did you mean 'gopher'"),
        (GOOD + "quality: {preset: gopher, min_wrods: 5}\n", "quality.min_wrods = 5   unknown; did you mean 'min_words'"),
        (GOOD + "tokenizer: {vocab_size: 25,856}\n", "numbers are written without commas, `vocab_size: 25856`"),
        (GOOD + "pii: {action: pseudonym}\n", "needs `key: env:NAME`"),
        (GOOD + "slack: {token: xoxb-1234567890}\n", "must be env:NAME or file:PATH"),
        ("name: train\n" + GOOD.split("\n", 1)[1], "none of the words for splits"),
        (GOOD.replace("{name: s,", "{name: s, kind: jsonl, path: y}, {name: s,"), "two sources are called 's'"),
        ("", "sources   is missing"),
        (GOOD + "version: ../up\n", "none of the words for splits"),
        (GOOD + "publish: {description: xoxb-123456789012-abc}\n", "looks like a token"),
        (GOOD + "review: {need: 100}\n", "must be at most 20"),
        (GOOD + "dedupe: {threshold: true}\n", "dedupe.threshold = true   must be a number, not true or false"),
        (GOOD + "publish: {splits: {train: true}}\n", "publish.splits   must be a number, not true or false"),
        (GOOD + "dedupe: {keep: []}\n", "dedupe.keep   must not be empty; leave the key out for its default"),
        (GOOD + "store: ''\n", "store = ''   must not be empty; leave the key out for its default"),
        (GOOD + "tokenizer: {special_tokens: ['']}\n", "tokenizer.special_tokens = ['']   must not be empty"),
        (GOOD + "dedupe: {bands: [18]}\n", "must be auto, or two whole numbers: bands and the rows of each, e.g. [18, 7]"),
        (GOOD + "clean:\n", "clean = null   must be a mapping of keys to values"),
        (GOOD + "pack: {sequence_length: long}\n", "pack.sequence_length = 'long'   must be a whole number"),
        (GOOD.replace("x.jsonl", "x.jsonl, txt: a"), "sources.s.txt   unknown key; did you mean 'text'?"),
        (GOOD.replace("name: s", "name: 5"), "sources.0.name = 5   must be a text; put it in quotes"),
        ("- a\n", "must be a mapping of sections, found a list"),
        ("name\n", "must be a mapping of sections, found a single value"),
        (GOOD.replace("jsonl,", "jsonlines,"), "'slack_export' or 'slack_api'; did you mean 'jsonl'?"),
        (GOOD + "instruct: {template: Alpacca}\n", "must be one of 'book' or 'alpaca'; did you mean 'alpaca'?"),
        (GOOD + "dedupe: {keep: [newst]}\n", "did you mean 'newest'?"),
    ],
)
def test_what_is_wrong_is_said(text: str, part: str, tmp_path: Path) -> None:
    assert part in "\n".join(problems(text, tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("split: {salt: [1}", "3:17: YAML: the '[' of line 3 is not closed, or a ',' is missing before this"),
        ("split: {salt: x", "4:1: YAML: the '{' of line 3 is not closed, or a ',' is missing before this"),
        ("split: {salt: a,, b: c}", "3:17: YAML: a value is missing before this"),
        ("split:\n\tsalt: x", "4:1: YAML: a tab where the line is indented; indent by spaces"),
        ("store: a: b", "3:9: YAML: a ':' that belongs to no key; is the line indented too far"),
        ("store: x\n  out: y", "4:6: YAML: a ':' that belongs to no key"),
        ("store: @x", "3:8: YAML: a value cannot begin with '@'; put it in quotes"),
        ("store: `x`", "3:8: YAML: a value cannot begin with '`'; put it in quotes"),
        ("store: *x", "3:8: YAML: a value cannot begin with '*', unless it names an anchor; put it in quotes"),
        ('store: "x', "YAML: the quoted text of line 3 has no end; end it with the quote that began it"),
        ("store: 'it's'", "3:12: YAML: text after the end of a value"),
        ("split: {salt: x}}", "3:17: YAML: a sign that closes or parts what was never opened"),
        ("split:\n    salt: x\n  words: 1", "5:3: YAML: this line is indented unlike the keys it belongs to"),
        ('store: "C:\\users"', "3:13: YAML: a '\\' in double quotes begins an escape; use single quotes"),
        ("store: - x", "3:8: YAML: a '- ' cannot follow a key on its line"),
        ("store: |x", "3:9: YAML: nothing may follow `|` or `>` on the line"),
        ("---\nstore: x", "3:1: YAML: a second document begins here"),
        ("store: a\nb", "5:1: YAML: a key without ':'"),
        ("store: \x01", "holds a control character (code 1) as its character"),
    ],
)
def test_what_is_no_yaml_is_said_in_words_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    (line,) = problems(GOOD + text + "\n", tmp_path)
    assert said in line and "<" not in line.partition("YAML: ")[2]


def test_a_folder_that_is_no_slack_export_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_text("no export")
    (tmp_path / "pages" / "b.html").write_text("no export")
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "channels.json").write_text("[]")
    path = tmp_path / "c.yaml"
    sources = [f"  - {{name: {name}, kind: slack_export, path: {name}}}\n" for name in ("pages", "chat")]
    path.write_text("name: a\nsources:\n" + "".join(sources))
    with pytest.raises(InputError) as lost:
        check_config(path)
    (line,) = lost.value.details
    assert "c.yaml:3:39  sources.pages.path = 'pages'   no channels.json, users.json or day file: not a Slack export" in line


def test_tokens_never_come_back_in_a_message(tmp_path: Path) -> None:
    shown = "\n".join(problems(GOOD + "slack: {token: xoxb-1234567890-abc, key: ghp_abcdef}\n", tmp_path))
    assert "xoxb" not in shown and "ghp_" not in shown


def test_large_files_and_alias_bombs_are_refused(tmp_path: Path) -> None:
    assert "larger than" in problems(GOOD + "#" * (1 << 20), tmp_path)[0]
    multiplied = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 8)
    )
    assert "values" in problems(GOOD + multiplied, tmp_path)[0]
    bomb = "a: &a [x]\n" + "".join(f"b{i}: [*a, *a, *a]\n" for i in range(40))
    assert "aliases" in problems(bomb, tmp_path)[0]


def test_secrets_come_from_environment_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "0123456789abcdef")
    (tmp_path / "key").write_text("fedcba9876543210\n")
    assert read_secret("env:A_KEY", tmp_path) == b"0123456789abcdef"
    assert read_secret("file:key", tmp_path) == b"fedcba9876543210"
    monkeypatch.setenv("A_KEY", "short")
    for place in ("env:NOT_SET", "file:nothing", "env:A_KEY"):
        with pytest.raises(SecretError) as missing:
            read_secret(place, tmp_path)
        assert missing.value.exit_code == 2 and "short" not in missing.value.what.replace("shorter", "")


def test_names_that_only_operators_know_are_checked_beside_all_else(tmp_path: Path) -> None:
    text = GOOD + (
        "language: {keep: [en, klingon]}\n"
        "pii: {kinds: [EMAIL_ADRESS]}\n"
        "acts: {expect: {question: [0, 1]}}\n"
        "quality: {preset: gohper}\n"
        "dedupe: {threshold: 3}\n"
    )
    assert problems(text, tmp_path) == [
        "c.yaml:3:23  language.keep.1 = 'klingon'   'klingon' is no language that the model knows",
        "c.yaml:4:15  pii.kinds.0 = 'EMAIL_ADRESS'   unknown; did you mean 'EMAIL_ADDRESS'?",
        "c.yaml:5:17  acts.expect.question = 'question'   unknown; did you mean 'questions'?",
        "c.yaml:6:11  quality.preset = 'gohper'   unknown; did you mean 'gopher'?",
        "c.yaml:7:10  dedupe.threshold = 3   must be at most 1",
    ]


def test_a_key_of_another_kind_of_source_is_an_error(tmp_path: Path) -> None:
    text = GOOD.replace("kind: jsonl,", "kind: jsonl, encoding: cp1252,")
    found = "`encoding` says nothing about jsonl, only about text and csv"
    assert [line.split("   ")[-1] for line in problems(text, tmp_path)] == [found]


def test_more_bands_than_a_signature_holds_are_refused_where_they_stand(tmp_path: Path) -> None:
    (problem,) = problems(GOOD + "dedupe: {near: true, bands: [63, 66]}\n", tmp_path)
    assert problem.startswith("c.yaml:3:") and "dedupe.bands" in problem
    assert "bands × rows must not exceed 4094" in problem


def test_the_plan_shows_the_curve_of_bands_that_the_threshold_chose(tmp_path: Path) -> None:
    from dataforge.flows.plan import _curve

    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "dedupe: {bands: auto, threshold: 0.75}\n")
    curve = _curve(load_config(path))
    assert curve is not None and curve["bands"] * curve["rows"] <= 126
    assert list(curve["chance"]) == ["0.5", "0.6", "0.7", "0.75", "0.8", "0.9"]
    assert curve["chance"]["0.75"] >= 0.98 > curve["chance"]["0.5"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (GOOD + "dedupe: &d {n: 3}\nclean: {<<: *d}\n", "merge keys"),
        (GOOD + 'out: "a\\0b"\n', "NUL"),
        (GOOD + 'out: "a\\ud83d"\n', "half of a character"),
        (GOOD + "pack: {sequence_length: 0x" + "f" * 5000 + "}\n", "pack.sequence_length"),
        (GOOD + "dedupe: {n: 1000000000}\n", "must be at most 1000"),
    ],
    ids=["merge key", "NUL", "half a character", "many digits", "long shingles"],
)
def test_odd_values_are_config_errors(text: str, part: str, tmp_path: Path) -> None:
    assert part in "\n".join(problems(text, tmp_path))


def test_a_character_that_json_wrote_as_two_is_one(tmp_path: Path) -> None:
    (tmp_path / "dataforge.yaml").write_text(GOOD.replace("x.jsonl", '"\\ud83d\\ude00.jsonl"'))
    assert load_config(tmp_path).sources[0].path == "😀.jsonl"


def test_a_check_names_missing_files_beside_all_else(tmp_path: Path) -> None:
    """Exit code 3 if nothing but files is missing: the config itself is right then."""
    (tmp_path / "x.jsonl").write_text("{}\n")
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "quality: {model: m}\nsplit: {decontaminate: 'ev/*.jsonl'}\n")
    lost = ["quality.model = 'm'   no such file or folder", "split.decontaminate = 'ev/*.jsonl'   no such file or folder"]
    with pytest.raises(InputError) as missing:
        check_config(path)
    assert missing.value.exit_code == 3 and [line.split("  ", 1)[1] for line in missing.value.details] == lost
    path.write_text(path.read_text().replace("x.jsonl", "y.jsonl") + "pack: 5\n")
    with pytest.raises(ConfigError) as wrong:
        check_config(path)
    assert [line.split("  ", 1)[1] for line in wrong.value.details] == [
        "sources.s.path = 'y.jsonl'   no such file or folder",
        *lost,
        "pack = 5   must be a mapping of keys to values",
    ]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ("pii: {rules: '~no.such.user/x'}\n", 3, "names the home of an unknown user"),
        ("pii: {rules: .}\n", 2, "is a folder"),
        ("pii: {rules: 'https://example.org/x'}\n", 2, "must be a file of this machine"),
        ("quality: {model: '~no.such.user/x'}\n", 3, "names the home of an unknown user"),
    ],
    ids=["home", "folder", "address", "model"],
)
def test_a_path_that_can_be_none_is_said_at_its_key(more: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    (tmp_path / "c.yaml").write_text(GOOD + more)
    with pytest.raises((ConfigError, InputError)) as raised:
        check_config(tmp_path / "c.yaml")
    assert raised.value.exit_code == code and said in "".join(raised.value.details)


@pytest.mark.parametrize("kind", ["[text]", "{a: b}"])
def test_a_kind_of_another_type_is_a_problem_of_the_config(kind: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"name: a\nsources:\n  - {{name: h, kind: {kind}, path: .}}\n")
    with pytest.raises(ConfigError) as raised:
        check_config(tmp_path / "c.yaml")
    assert "sources.h.kind" in "".join(raised.value.details)


def test_every_key_of_publish_reaches_what_publishes(tmp_path: Path) -> None:
    from dataclasses import asdict

    given = "{splits: {train: 1.0}, arrow: true, content_defined_chunking: true, pretty_name: a, description: b,"
    (tmp_path / "in.jsonl").write_text('{"text": "x"}')
    text = "name: small\nsources: [{name: s, kind: jsonl, path: in.jsonl}]\n"
    (tmp_path / "dataforge.yaml").write_text(f"{text}publish: {given} licence: c, citation: d}}\n")
    config = load_config(tmp_path / "dataforge.yaml")
    wanted = config.publish.model_dump() | {"splits": (("train", 1.0),)}
    assert wanted.items() <= asdict(publication(config)).items()
