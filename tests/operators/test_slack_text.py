"""mrkdwn and blocks give the same clean text; code survives byte for byte; nothing raises and nothing is slow."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataforge.operators.slack_blocks import attachments_to_text, blocks_to_text
from dataforge.operators.slack_text import Style, link, mrkdwn_to_text

STYLE = Style(user=lambda user: f"user_{user.lower()}", channel=lambda channel: "general")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("<@U1> and <@U1|anna>", "@user_u1 and @user_u1"),
        ("<#C1|general>", "#general"),
        ("<!here> <!channel> <!everyone> <!subteam^S1|@ops>", "@here @channel @everyone @group"),
        ("<!date^1700000000^{date}^https://x.org|May 1>", "May 1"),
        ("<https://x.org/a?b=c|docs>", "docs (x.org)"),
        ("<https://www.x.org/a>", "x.org"),
        ("<mailto:a@b.org|a@b.org> <tel:+123>", "a@b.org +123"),
        ("*bold* _it_ ~gone~", "bold it gone"),
        ("snake_case_name 2*3*4 ~/bin __init__", "snake_case_name 2*3*4 ~/bin __init__"),
        ("`*a* :smile: &lt;@U1&gt;`", "`*a* :smile: <@U1>`"),
        ("`<@U1> <tel:28.5|28.5> <https://x.org/a?t=1>`", "`@user_u1 28.5 https://x.org/a`"),
        ("`a &lt; b`", "`a < b`"),
        ("x ```  keep *this* :smile:\n\tas is``` y", "x\n```\n  keep *this* :smile:\n\tas is\n```\ny"),
        (":+1::skin-tone-3: :smile: :our-logo:", "👍 😄 :emoji:"),
        (":acme-party::tada: at 12:30:45, a::foo: `:acme-party:`", ":emoji:🎉 at 12:30:45, a::foo: `:acme-party:`"),
        ("&amp;lt; &lt;b&gt; &amp; &nbsp;", "&lt; <b> & &nbsp;"),
        ("&gt; quoted\nanswer", "> quoted\nanswer"),
        ("• one\n    ◦ two", "- one\n    - two"),
        ("a < b and <unclosed and ``` open", "a < b and <unclosed and ``` open"),
        ("a\u200bb\0c", "abc"),
    ],
)
def test_mrkdwn_becomes_clean_text(raw, clean):
    assert mrkdwn_to_text(raw, STYLE) == clean


def test_markdown_setting_keeps_emphasis():
    style = Style(STYLE.user, STYLE.channel, markdown=True)
    assert mrkdwn_to_text("*bold* _it_ ~gone~", style) == "**bold** _it_ ~~gone~~"


@pytest.mark.parametrize(
    ("mode", "named", "bare"),
    [
        ("domain", "docs (x.org)", "x.org"),
        ("label", "docs", "x.org"),
        ("url", "https://x.org/a?q=1", "https://x.org/a?q=1"),
        ("both", "docs (https://x.org/a?q=1)", "https://x.org/a?q=1"),
    ],
)
def test_links_by_setting_never_hold_tokens_or_passwords(mode, named, bare):
    url = "https://user:pass@x.org/a?q=1&t=xoxe-1-2&access_token=9"
    assert link(url, "docs", mode) == named
    assert link(url, "", mode) == bare


def section(*elements):
    return {"type": "rich_text_section", "elements": list(elements)}


def text(value, **style):
    return {"type": "text", "text": value} | ({"style": style} if style else {})


PAIRS = [
    (
        "hi <@U1> see <https://x.org|docs> :tada:",
        [
            section(
                text("hi "),
                {"type": "user", "user_id": "U1"},
                text(" see "),
                {"type": "link", "url": "https://x.org", "text": "docs"},
                text(" "),
                {"type": "emoji", "name": "tada"},
            )
        ],
    ),
    (
        "run `a &amp;&amp; b` *now*",
        [section(text("run "), text("a && b", code=True), text(" "), text("now", bold=True))],
    ),
    (
        "before\n```x &lt; 1\n  y```\nafter",
        [
            section(text("before")),
            {"type": "rich_text_preformatted", "elements": [text("x < 1\n  y")]},
            section(text("after")),
        ],
    ),
    (
        "• one\n• two\n    ◦ three",
        [
            {
                "type": "rich_text_list",
                "style": "bullet",
                "indent": 0,
                "elements": [section(text("one")), section(text("two"))],
            },
            {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [section(text("three"))]},
        ],
    ),
    (
        "1. one\n2. two",
        [{"type": "rich_text_list", "style": "ordered", "elements": [section(text("one")), section(text("two"))]}],
    ),
    (
        "&gt; quoted\nok <!here>",
        [
            {"type": "rich_text_quote", "elements": [text("quoted")]},
            section(text("ok "), {"type": "broadcast", "range": "here"}),
        ],
    ),
    (
        "in <#C1>: <!subteam^S1> <!date^1^x|May 1>",
        [
            section(
                text("in "),
                {"type": "channel", "channel_id": "C1"},
                text(": "),
                {"type": "usergroup", "usergroup_id": "S1"},
                text(" "),
                {"type": "date", "timestamp": 1, "fallback": "May 1"},
            )
        ],
    ),
]


@pytest.mark.parametrize(("raw", "elements"), PAIRS)
def test_text_and_blocks_of_one_message_give_the_same(raw, elements):
    assert blocks_to_text([{"type": "rich_text", "elements": elements}], STYLE) == mrkdwn_to_text(raw, STYLE)


def test_unknown_elements_keep_their_text_and_are_told():
    told = []
    style = Style(STYLE.user, STYLE.channel, unknown=told.append)
    blocks = [
        {"type": "rich_text", "elements": [section({"type": "hologram", "text": "seen"})]},
        {"type": "poll", "text": {"type": "mrkdwn", "text": "*which?*"}},
    ]
    assert blocks_to_text(blocks, style) == "seen\nwhich?"
    assert told == ["hologram", "poll"]


def test_link_previews_are_not_text():
    preview = {"from_url": "https://x.org", "text": "preview"}
    alert = {"pretext": "Build", "fields": [{"title": "state", "value": "red"}], "fallback": "not this"}
    assert attachments_to_text([preview, alert, {"fallback": "only this"}], STYLE) == "Build\nstate: red\nonly this"


@given(st.text(st.characters(exclude_characters="*_~`:•◦▪▫‣\0\u200b\u2060\ufeff\u00ad", exclude_categories=["Cs"])))
def test_escaping_then_rendering_returns_the_text(plain):
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert mrkdwn_to_text(escaped, STYLE) == plain.strip()


@given(st.text(st.sampled_from("<>`*_~:|@#!&ab \n;")))
def test_any_markup_renders(raw):
    mrkdwn_to_text(raw, STYLE)


@given(st.text(st.characters(exclude_characters="`\0", exclude_categories=["Cs"]), min_size=1))
def test_code_survives_byte_for_byte(code):
    escaped = code.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = code.removeprefix("\n").removesuffix("\n") if code != "\n" else ""
    block = [{"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [text(code)]}]}]
    assert blocks_to_text(block, STYLE) == f"```\n{body}\n```"
    if not set(code) & set("\u200b\u2060\ufeff\u00ad"):
        assert mrkdwn_to_text(f"```{escaped}```", STYLE) == f"```\n{body}\n```"


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "elements", "text", "style", "fields", "name", "unicode", "url"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(st.lists(JSONISH, max_size=3))
def test_any_blocks_render(blocks):
    blocks_to_text([{"type": "rich_text", "elements": blocks}, *blocks], STYLE)
    attachments_to_text(blocks, STYLE)


@pytest.mark.parametrize("unit", ["<", "`", "<a", "*a", "*a ", ":a", "&", "```", "_a_", "`a\n", ":", "•", "<!date^"])
def test_a_megabyte_of_markup_takes_less_than_a_few_seconds(unit):
    started = time.process_time()
    mrkdwn_to_text(unit * (1_000_000 // len(unit)), STYLE)
    assert time.process_time() - started < 4  # 0.1 to 0.8 s measured; a square law would take hours
