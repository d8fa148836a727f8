"""What a server may do, for whom, and how much of it; a value that knows no library."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

__all__ = ["ServeSettings", "is_loopback"]


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How a library is served.

    Attributes:
        host: address to listen on.
        port: port to listen on.
        token_hash: what ``searchkit.web.tokens.hash_token`` made of the token; None asks for no token, which
            only a loopback address may.
        allowed_hosts: names that requests may call the server by, besides the loopback names on a loopback
            address; empty for any name elsewhere.
        proxies: addresses of reverse proxies whose word is taken for who asks, and whether by https.
        cors_origins: web origins whose pages may use the API; none by default.
        read_only: refuse tags and index runs.
        max_upload_bytes: limit for the body of a request.
        max_upload_seconds: limit for a sound or video that is searched with.
        max_upload_pixels: limit for a picture that is searched with.
        upload_store_bytes: what all kept uploads may take together; the oldest go first.
        upload_keep_s: how long an upload is kept.
        cache_bytes: what cached thumbnails and waveforms may take together.
        rate_per_s: requests a client may make in a second on average; None for no limit.
        rate_burst: how many of them at once.
        max_depth: how many results a query can be paged through.
        max_batch: samples that requests arriving together are encoded in.
        decode_workers: processes that decode uploads and thumbnails.
        decode_timeout_s: how long they may take for one sample.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token_hash: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    read_only: bool = False
    max_upload_bytes: int = 64 << 20
    max_upload_seconds: float = 600.0
    max_upload_pixels: int = 64_000_000
    upload_store_bytes: int = 1 << 30
    upload_keep_s: float = 7 * 86_400.0
    cache_bytes: int = 2 << 30
    rate_per_s: float | None = None
    rate_burst: int = 300
    max_depth: int = 2000
    max_batch: int = 64
    decode_workers: int = 2
    decode_timeout_s: float = 30.0

    @property
    def hosts(self) -> frozenset[str]:
        """Names that a Host header may hold; empty for any."""
        allowed = frozenset(name.lower() for name in self.allowed_hosts)
        if is_loopback(self.host):
            return allowed | {"localhost", "127.0.0.1", "::1", self.host.lower()}
        return allowed

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach the server: no other address, no proxy, no name elsewhere."""
        return is_loopback(self.host) and not self.proxies and all(map(is_loopback, self.allowed_hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
