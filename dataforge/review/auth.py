"""Accounts, one-time links, passphrases, sessions, and a limit on guessing.

Tokens have 256 random bits; the database holds only their sha256, so that a copy of it opens no session. The cookie is
signed with a secret made when the database was made. Passphrases are argon2id. There is no built-in password.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass

import sqlalchemy as sa

from dataforge.review import tables as t
from dataforge.review.database import Database
from dataforge.review.problems import Conflict, Invalid, NotFound, TooMany, Unauthenticated
from dataforge.review.statement import Statement

ROLES = ("annotator", "lead")
LINK_S, SESSION_S = 72 * 3600.0, 12 * 3600.0
WINDOW_S, TRIES_OF_NAME, TRIES_OF_ADDRESS = 900.0, 8, 40
MIN_PASSPHRASE, MAX_PASSPHRASE = 12, 256
_NAME = re.compile(r"[\w.@-]{1,64}", re.UNICODE)
_hashing = threading.BoundedSemaphore(2)  # argon2 is slow on purpose: guessing must not take all threads


@dataclass(frozen=True)
class User:
    id: int
    name: str
    role: str

    @property
    def is_lead(self) -> bool:
        return self.role == "lead"


def _sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def add_user(database: Database, name: str, role: str = "annotator") -> str:
    """Makes an account, or opens a removed one again with this role; gives the token of a one-time link."""
    if not _NAME.fullmatch(name):
        raise Invalid("a name has 1 to 64 letters, digits, or . _ @ -")
    _check_role(role)
    with database.write() as c:
        now = database.now()
        found = c.execute(sa.select(t.account).where(t.account.c.name == name)).first()
        if found and found.active:  # a role is never changed by the way
            hint = "another link: `review user CONFIG link NAME`; another role: `review user CONFIG role NAME ROLE`"
            raise Conflict(f"there is an account of that name already, role {found.role}", kind="name-taken", hint=hint)
        if found:
            c.execute(t.account.update().where(t.account.c.id == found.id).values(role=role, active=True))
            user_id = found.id
        else:
            values = {"name": name, "role": role, "active": True, "created_at": now}
            user_id = c.execute(t.account.insert().values(**values).returning(t.account.c.id)).scalar_one()
        _audit(c, now, None, "user.added", name)
        return _new_link(c, user_id, now)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"role must be one of {', '.join(ROLES)}")


def set_role(database: Database, name: str, role: str, by: int | None = None) -> None:
    """What an active account may do; holds for its running sessions from their next request on."""
    _check_role(role)
    with database.write() as c:
        active = (t.account.c.name == name) & t.account.c.active
        if c.execute(t.account.update().where(active).values(role=role)).rowcount == 0:
            raise NotFound("there is no such active account")
        _audit(c, database.now(), by, f"user.role.{role}", name)


def new_link(database: Database, name: str) -> str:
    """Another one-time link for an account; unused older ones end."""
    with database.write() as c:
        found = c.execute(sa.select(t.account).where(t.account.c.name == name, t.account.c.active)).first()
        if found is None:
            raise NotFound("there is no such active account")
        return _new_link(c, found.id, database.now())


def _new_link(c: sa.Connection, user_id: int, now: float) -> str:
    c.execute(t.login_link.delete().where(t.login_link.c.user_id == user_id))
    token = secrets.token_urlsafe(32)
    c.execute(t.login_link.insert().values(token_hash=_sha(token), user_id=user_id, expires_at=now + LINK_S))
    return token


def deactivate(database: Database, name: str) -> None:
    """No more login, sessions end at once; answers stay."""
    with database.write() as c:
        found = c.execute(sa.select(t.account).where(t.account.c.name == name)).first()
        if found is None:
            raise NotFound("there is no such account")
        c.execute(t.account.update().where(t.account.c.id == found.id).values(active=False))
        c.execute(t.session.delete().where(t.session.c.user_id == found.id))
        c.execute(t.login_link.delete().where(t.login_link.c.user_id == found.id))
        _audit(c, database.now(), None, "user.deactivated", name)


def users(database: Database) -> list[dict[str, object]]:
    with database.read() as c:
        rows = c.execute(sa.select(t.account).order_by(t.account.c.name)).all()
    return [
        {"name": r.name, "role": r.role, "active": bool(r.active), "passphrase": r.pass_hash is not None} for r in rows
    ]


def _audit(c: sa.Connection, now: float, user_id: int | None, action: str, thing: str) -> None:
    c.execute(t.audit.insert().values(at=now, user_id=user_id, action=action, object=thing))


def login_with_link(database: Database, token: str, address: str) -> str:
    """Session token. A link works once."""
    _limit(database, [f"address {address}"], [TRIES_OF_ADDRESS])
    with database.write() as c:
        now = database.now()
        used = (
            (t.login_link.c.token_hash == _sha(token))
            & t.login_link.c.used_at.is_(None)
            & (t.login_link.c.expires_at > now)
        )
        row = c.execute(t.login_link.update().where(used).values(used_at=now).returning(t.login_link.c.user_id)).first()
        session = _new_session(c, row.user_id, now) if row and _is_active(c, row.user_id) else None
    if session is None:
        _failed(database, [f"address {address}"])
        raise Unauthenticated("this link is not valid any more; ask for a new one", kind="login-failed")
    return session


def login(database: Database, name: str, passphrase: str, address: str) -> str:
    """Session token. The answer does not tell whether the name or the passphrase was wrong."""
    keys = [f"name {name[:64]} {address}", f"address {address}"]
    _limit(database, keys, [TRIES_OF_NAME, TRIES_OF_ADDRESS])
    with database.read() as c:
        row = c.execute(sa.select(t.account).where(t.account.c.name == name, t.account.c.active)).first()
    if not _verify(row.pass_hash if row else None, passphrase) or row is None:
        _failed(database, keys)
        raise Unauthenticated("name or passphrase is wrong", kind="login-failed")
    with database.write() as c:
        return _new_session(c, row.id, database.now())


def _verify(stored: str | None, passphrase: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerifyMismatchError

    hasher = PasswordHasher()
    with _hashing:
        if stored is None or len(passphrase) > MAX_PASSPHRASE:
            hasher.hash("the same work for names that do not exist")
            return False
        try:
            return bool(hasher.verify(stored, passphrase))
        except (VerifyMismatchError, InvalidHashError):
            return False


def set_passphrase(database: Database, user_id: int, passphrase: str) -> None:
    from argon2 import PasswordHasher

    if not MIN_PASSPHRASE <= len(passphrase) <= MAX_PASSPHRASE:
        raise Invalid(f"a passphrase has {MIN_PASSPHRASE} to {MAX_PASSPHRASE} characters")
    with _hashing:
        hashed = PasswordHasher().hash(passphrase)
    with database.write() as c:
        c.execute(t.account.update().where(t.account.c.id == user_id).values(pass_hash=hashed))
        _audit(c, database.now(), user_id, "passphrase.set", f"account {user_id}")


def _new_session(c: sa.Connection, user_id: int, now: float) -> str:
    token = secrets.token_urlsafe(32)
    c.execute(t.session.delete().where(t.session.c.expires_at <= now))
    c.execute(
        t.session.insert().values(id_hash=_sha(token), user_id=user_id, created_at=now, expires_at=now + SESSION_S)
    )
    _audit(c, now, user_id, "login", f"account {user_id}")
    return token


def _is_active(c: sa.Connection, user_id: int) -> bool:
    return bool(c.scalar(sa.select(t.account.c.active).where(t.account.c.id == user_id)))


WHO = Statement("""
select a.id, a.name, a.role from session s join account a on a.id = s.user_id
 where s.id_hash = :id_hash and s.expires_at > :now and a.active = :active""")
NAMED = Statement("select id, name, role from account where name = :name and active = :active")


def user_of(c: sa.Connection, database: Database, token: str) -> User | None:
    """Who has that session, if it has not ended."""
    row = WHO.first(c, {"id_hash": _sha(token), "now": database.now(), "active": True})
    return User(row.id, row.name, row.role) if row else None


def user_named(c: sa.Connection, name: str) -> User | None:
    """The active account of that name, for a proxy that has checked who it is."""
    row = NAMED.first(c, {"name": name, "active": True})
    return User(row.id, row.name, row.role) if row else None


def logout(database: Database, token: str) -> None:
    with database.write() as c:
        c.execute(t.session.delete().where(t.session.c.id_hash == _sha(token)))


def cookie_secret(database: Database) -> bytes:
    with database.read() as c:
        return bytes.fromhex(str(c.scalar(sa.select(t.setting.c.value).where(t.setting.c.key == "cookie_secret"))))


def signed(secret: bytes, token: str) -> str:
    return f"{token}.{hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()}"


def unsigned(secret: bytes, cookie: str) -> str | None:
    """The token of a cookie that we signed; None for any other, without asking the database."""
    token, _, mark = cookie.partition(".")
    good = hmac.new(secret, token.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return token if hmac.compare_digest(good.encode(), mark.encode("utf-8", "replace")) else None


def _limit(database: Database, keys: list[str], most: list[int]) -> None:
    with database.read() as c:
        since = database.now() - WINDOW_S
        for key, tries in zip(keys, most, strict=True):
            select = (
                sa.select(sa.func.count()).select_from(t.attempt).where(t.attempt.c.key == key, t.attempt.c.at > since)
            )
            if int(c.scalar(select) or 0) >= tries:
                raise TooMany("too many failed logins; try again in 15 minutes", extra={"retry_after": int(WINDOW_S)})


def _failed(database: Database, keys: list[str]) -> None:
    with database.write() as c:
        now = database.now()
        c.execute(t.attempt.delete().where(t.attempt.c.at < now - WINDOW_S))
        c.execute(t.attempt.insert(), [{"key": key, "at": now} for key in keys])
        _audit(c, now, None, "login.failed", keys[0].split(" ", 1)[0])
