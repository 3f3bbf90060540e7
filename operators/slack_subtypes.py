"""What becomes of a message by its subtype, as data: kept, or dropped for a reason. Unknown subtypes are quarantined.

Names of reasons are those of `dropped/`; `detail` there is the subtype itself.
"""

from __future__ import annotations

KEPT = frozenset({"", "me_message", "thread_broadcast", "reply_broadcast", "file_share", "file_comment", "bot_message"})

_EVENTS = ("join", "leave", "topic", "purpose", "name", "archive", "unarchive", "posting_permissions")

DROPPED_BY_SUBTYPE: dict[str, str] = {
    **{f"{kind}_{event}": "channel_event" for kind in ("channel", "group") for event in _EVENTS},
    **dict.fromkeys(("channel_canvas_updated", "channel_convert_to_private", "channel_convert_to_public"), "channel_event"),
    **dict.fromkeys(
        (
            "pinned_item",
            "unpinned_item",
            "joiner_notification",
            "joiner_notification_for_inviter",
            "app_conversation_leave",
        ),
        "channel_event",
    ),
    **dict.fromkeys(("bot_add", "bot_remove", "bot_enable", "bot_disable"), "machine"),
    **dict.fromkeys(("reminder_add", "slackbot_response", "huddle_thread", "sh_room_created"), "machine"),
    **dict.fromkeys(("tabbed_canvas_updated", "document_comment_root", "file_mention", "ekm_access_denied"), "machine"),
    **dict.fromkeys(("tombstone", "message_deleted"), "deleted"),
}

RESOLVED_BY_ANYONE = frozenset({"white_check_mark", "heavy_check_mark", "ballot_box_with_check"})
RESOLVED_BY_ASKER = frozenset({"pray", "+1", "thumbsup", "ok_hand", "tada", "raised_hands", "heart"})
DISPUTED = frozenset({"x", "-1", "thumbsdown", "negative_squared_cross_mark"})
