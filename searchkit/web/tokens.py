"""Tokens and browser sessions: made at random, compared in constant time, kept only as hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from pathlib import Path

from searchkit.durable import write_text
from searchkit.errors import UsageError

__all__ = [
    "TOKEN_FILE",
    "Sessions",
    "TokenCheck",
    "hash_token",
    "make_token",
    "read_token_hash",
    "save_token_hash",
]

TOKEN_FILE = "token.scrypt"
_MIN_CHARS = 12
_SESSION_S = 12 * 3600.0
_MAX_SESSIONS = 1000
# 16 MB and about 50 ms: slow for who has the file and guesses, unnoticed by who has the token.
_COST, _BLOCK, _LANES = 2**14, 8, 1


def make_token() -> str:
    """A new token: 256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token: salt and scrypt digest (RFC 7914), as hexadecimal text.

    Raises:
        UsageError: the token is so short that it could be guessed.
    """
    if len(token) < _MIN_CHARS:
        raise UsageError(
            f"a token needs at least {_MIN_CHARS} characters, got {len(token)}",
            hint="leave --token out and one is made for you",
        )
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_scrypt(token, salt).hex()}"


def read_token_hash(library: Path) -> str | None:
    """The hash that a library's folder keeps, None when it keeps none."""
    path = library / TOKEN_FILE
    return path.read_text(encoding="ascii").strip() if path.exists() else None


def save_token_hash(library: Path, token_hash: str) -> None:
    """Keep a hash in a library's folder, readable by its owner only."""
    path = library / TOKEN_FILE
    write_text(path, token_hash + "\n")
    path.chmod(0o600)


class TokenCheck:
    """Compares tokens with a hash; one that was right once is compared fast from then on."""

    def __init__(self, token_hash: str) -> None:
        salt, _, digest = token_hash.partition("$")
        self._salt, self._digest = bytes.fromhex(salt), bytes.fromhex(digest)
        self._key = secrets.token_bytes(32)
        self._known: bytes | None = None
        self._lock = threading.Lock()

    def __call__(self, token: str) -> bool:
        """Whether this is the token."""
        quick = hmac.digest(self._key, token.encode("utf-8", "surrogateescape"), "sha256")
        if self._known is not None and hmac.compare_digest(quick, self._known):
            return True
        # One guess at a time, so that guessing cannot take all cores.
        with self._lock:
            right = hmac.compare_digest(_scrypt(token, self._salt), self._digest)
        if right:
            self._known = quick
        return right


class Sessions:
    """Browser sessions by the hash of their id; they end after twelve hours, or with the process."""

    def __init__(self) -> None:
        self._ends_s: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def open(self) -> str:
        """A new session's id, for the cookie."""
        session = secrets.token_urlsafe(32)
        now_s = time.monotonic()
        with self._lock:
            self._ends_s = {key: end_s for key, end_s in self._ends_s.items() if end_s > now_s}
            while len(self._ends_s) >= _MAX_SESSIONS:
                self._ends_s.pop(next(iter(self._ends_s)))
            self._ends_s[_digest(session)] = now_s + _SESSION_S
        return session

    def holds(self, session: str) -> bool:
        """Whether a session is open."""
        return self._ends_s.get(_digest(session), 0.0) > time.monotonic()

    def close(self, session: str) -> None:
        """End a session; unknown ones are fine."""
        with self._lock:
            self._ends_s.pop(_digest(session), None)


def _digest(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "surrogateescape")).digest()


def _scrypt(token: str, salt: bytes) -> bytes:
    secret = token.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=64 << 20)
