"""The web page and the HTTP API of a library; needs the extra ``web``."""

from searchkit.web.app import create_app
from searchkit.web.serve import serve
from searchkit.web.settings import ServeSettings, is_loopback
from searchkit.web.tokens import hash_token, make_token, read_token_hash, save_token_hash

__all__ = [
    "ServeSettings",
    "create_app",
    "hash_token",
    "is_loopback",
    "make_token",
    "read_token_hash",
    "save_token_hash",
    "serve",
]
