"""What the YAML parser found wrong, in words for people who write configs and no parsers.

The parser names a place and what its grammar lacked there; here that becomes what usually was done, and what to do.
"""

from __future__ import annotations

import re
from typing import Any

# (what the parser says, what that means, the way out); {line} is where the thing began that is not closed
_WORDS = [
    (r"mapping values are not allowed", "a ':' that belongs to no key", "is the line indented too far, does the line"
     " before lack its ':', or does a text with ': ' need quotes?"),
    (r"could not find expected ':'", "a key without ':'", "write `key: value`; a text of several lines begins with `|`"),
    (r"found character '\\t'|found a tab", "a tab where the line is indented", "indent by spaces"),
    (r"found character '(.)' that cannot start", "a value cannot begin with '{0}'", "put it in quotes"),
    (r"expected ',' or '\]'", "the '[' of line {line} is not closed, or a ',' is missing before this", "e.g. [a, b]"),
    (r"expected ',' or '\}'", "the '{{' of line {line} is not closed, or a ',' is missing before this", "e.g. {a: 1, b: 2}"),
    (r"expected the node content", "a value is missing before this", "two ',' in a row, or a bracket that closes too early"),
    (r"found unexpected end of stream", "the quoted text of line {line} has no end", "end it with the quote that began it"),
    (r"unknown escape|expected escape sequence", "a '\\' in double quotes begins an escape", "use single quotes, or \\\\"),
    (r"expected <block end>.*<scalar>", "text after the end of a value", "a text with quotes goes into the other kind"),
    (r"expected <block end>.*'[\]},]'", "a sign that closes or parts what was never opened", "remove it, or use quotes"),
    (r"expected <block end>", "this line is indented unlike the keys it belongs to", "indent the keys of a section alike"),
    (r"sequence entries are not allowed", "a '- ' cannot follow a key on its line", "begin the list on the next line"),
    (r"found undefined alias", "a value cannot begin with '*', unless it names an anchor", "put it in quotes"),
    (r"another document", "a second document begins here", "a config is one: remove the line `---`"),
    (r"expected '<document start>'", "this line is indented less than the first one", "begin all sections in column 1"),
    (r"block scalar|chomping", "nothing may follow `|` or `>` on the line", "begin the text on the next line"),
]  # fmt: skip


def in_words(error: Any) -> tuple[str, str]:
    """(what, hint) of a MarkedYAMLError."""
    said = str(error.problem or "is not YAML")
    began = error.context_mark.line + 1 if error.context_mark else 0
    for pattern, what, hint in _WORDS:
        if found := re.search(pattern, said.replace("\t", "\\t")):
            return f"YAML: {what.format(*found.groups(), line=began)}", hint
    return f"is not YAML: {said}", "write `key: value` lines; see docs/config.md"
