"""As many connections as come at once, and each is closed by its client, never by the server.

Upstream: the server closes a connection that was idle for 75 s. A request that comes at that moment may be carried out
and yet get no answer (hypercorn closes what has just become busy again). Go's AWS SDK keeps idle connections for 90 s
and asks again after such an end, so that a CreateTable meets its own table: "already exists". And of a burst of new
connections, as of many Terraforms that start together, all beyond hypercorn's backlog of 100 may be reset.

AWS: services close idle connections too, and never one with a request that they carry out.

Patched: the server's `keep_alive_timeout`, whoever sets it, and its `backlog`. Clients of a sandbox are few, and end.
"""

from __future__ import annotations

from rollout.sandbox.emulator import module

_NEVER_S = 365 * 24 * 3600.0
_BACKLOG = 1024


def apply() -> None:
    config = module("app")._HypercornConfig
    config.backlog = _BACKLOG
    config.keep_alive_timeout = property(lambda self: _NEVER_S, lambda self, seconds: None)
