"""The sessions table of this region.

| attribute | type | |
|---|---|---|
| `session_id` | S | partition key |
| `instance` | S | another one with every creation |
| `data` | M of S | |
| `expires_at` | N | epoch seconds: the table's TTL attribute |

DynamoDB deletes an expired item within days, not at once ("Using time to live (TTL)"), so every reader
and every condition looks at `expires_at` itself: what has expired is absent.

Conditions hold in this region only; the table is an eventually consistent global table. Two regions can
create a session of the same id at the same time: the last writer's stays, and the other holder learns
it from its next `touch` or `save`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from functions.payments import aws
from functions.sessions.errors import SessionsUnavailableError
from functions.sessions.model import Opened, Session

# An ended session lies so far back that readers with a slow clock see its end too. Not further: TTL leaves alone
# what has expired more than five years ago.
_LONG_OVER_S = 3600

_NAMES = {"#instance": "instance", "#data": "data", "#expires_at": "expires_at"}


class Sessions(Protocol):
    """What the logic asks of sessions."""

    def create(self, session_id: str, *, data: Mapping[str, str], lifetime_s: int, at: int) -> Opened:
        """Make a session of an id unless one lives; else the one that does."""
        ...

    def read(self, session_id: str, *, at: int) -> Session | None:
        """The live session of an id."""
        ...

    def touch(self, session: Session, *, lifetime_s: int, at: int) -> Session | None:
        """Let a session live so long from now, if it still lives; never shorter than it would anyway."""
        ...

    def save(self, session: Session, *, data: Mapping[str, str], lifetime_s: int, at: int) -> Session | None:
        """Replace the data of a session and let it live so long from now, if it still lives."""
        ...

    def expire(self, session: Session, *, at: int) -> None:
        """End a session for every reader; one that has ended, or is another's by now, is left alone."""
        ...


class DynamoSessions:
    """Sessions in DynamoDB."""

    def __init__(self, client: Any, table: str, *, make_instance: Callable[[], str] | None = None) -> None:
        self._client = client
        self._table = table
        self._make_instance = make_instance or _random

    def create(self, session_id: str, *, data: Mapping[str, str], lifetime_s: int, at: int) -> Opened:
        """See `Sessions.create`. An expired item that DynamoDB has not deleted yet is overwritten."""
        session = Session(session_id, self._make_instance(), at + lifetime_s, dict(data))
        living = self._unless_refused(
            self._client.put_item,
            Item=_to_item(session),
            ConditionExpression="attribute_not_exists(session_id) OR expires_at <= :at",
            ExpressionAttributeValues={":at": _number(at)},
        )
        return Opened(session, True) if living is None else Opened(_from_item(living), False)

    def read(self, session_id: str, *, at: int) -> Session | None:
        """See `Sessions.read`."""
        with _translated():
            answer = self._client.get_item(
                TableName=self._table, Key={"session_id": {"S": session_id}}, ConsistentRead=True
            )
        item = answer.get("Item")
        session = _from_item(item) if item else None
        return session if session and session.is_live(at) else None

    def touch(self, session: Session, *, lifetime_s: int, at: int) -> Session | None:
        """See `Sessions.touch`."""
        until = at + lifetime_s
        found = self._change(session, at, "SET #expires_at = :until", {":until": until}, " AND #expires_at <= :until")
        if found is None:
            return Session(session.session_id, session.instance, until, session.data)
        present = _from_item(found) if found else None
        lives_longer = present and present.instance == session.instance and present.is_live(at)
        return present if lives_longer else None

    def save(self, session: Session, *, data: Mapping[str, str], lifetime_s: int, at: int) -> Session | None:
        """See `Sessions.save`."""
        after = Session(session.session_id, session.instance, at + lifetime_s, dict(data))
        values = {":until": after.expires_at, ":data": _to_item(after)["data"]}
        found = self._change(session, at, "SET #data = :data, #expires_at = :until", values)
        return after if found is None else None

    def expire(self, session: Session, *, at: int) -> None:
        """See `Sessions.expire`. TTL deletes the item later."""
        self._change(session, at, "SET #expires_at = :until", {":until": at - _LONG_OVER_S})

    def _change(
        self, session: Session, at: int, update: str, values: Mapping[str, Any], condition: str = ""
    ) -> Mapping[str, Any] | None:
        """Change this very session while it lives; else the item that is there, empty if none."""
        used = update + condition
        return self._unless_refused(
            self._client.update_item,
            Key={"session_id": {"S": session.session_id}},
            UpdateExpression=update,
            ConditionExpression=f"#instance = :instance AND #expires_at > :at{condition}",
            ExpressionAttributeNames={
                name: attribute
                for name, attribute in _NAMES.items()
                if name in used or name in ("#instance", "#expires_at")
            },
            ExpressionAttributeValues={
                ":instance": {"S": session.instance},
                ":at": _number(at),
                **{name: _number(value) if isinstance(value, int) else value for name, value in values.items()},
            },
        )

    def _unless_refused(self, write: Any, **request: Any) -> Mapping[str, Any] | None:
        # The refused write returns the item it met: no second trip, and no gap between them.
        try:
            with _translated():
                write(TableName=self._table, ReturnValuesOnConditionCheckFailure="ALL_OLD", **request)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return dict(error.response.get("Item") or {})
        return None


def _random() -> str:
    import uuid  # asks for the platform, 3 ms; botocore needs it with the first client

    return uuid.uuid4().hex


def _to_item(session: Session) -> dict[str, dict[str, Any]]:
    return {
        "session_id": {"S": session.session_id},
        "instance": {"S": session.instance},
        "data": {"M": {name: {"S": value} for name, value in session.data.items()}},
        "expires_at": _number(session.expires_at),
    }


def _from_item(item: Mapping[str, Any]) -> Session:
    return Session(
        session_id=item["session_id"]["S"],
        instance=item["instance"]["S"],
        expires_at=int(item["expires_at"]["N"]),
        data={name: value["S"] for name, value in item["data"]["M"].items()},
    )


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _translated() -> Any:
    return aws.translated(throttled=SessionsUnavailableError, unavailable=SessionsUnavailableError)
