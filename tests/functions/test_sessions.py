"""Sessions: who may create, change and end one, and what readers see, on a table in memory (moto)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from functions.sessions import container
from functions.sessions.errors import SessionsUnavailableError
from functions.sessions.model import Session, now
from functions.sessions.table import DynamoSessions
from tests.functions.conftest import Cloud

ID = "upload#1"
AT = 1_900_000_000


@pytest.fixture
def sessions(cloud: Cloud) -> DynamoSessions:
    cloud.table("sessions", "session_id")
    return DynamoSessions(cloud.dynamodb, "sessions")


def stored(cloud: Cloud) -> dict[str, Any]:
    found: dict[str, Any] = cloud.dynamodb.get_item(TableName="sessions", Key={"session_id": {"S": ID}})["Item"]
    return found


def opened(sessions: DynamoSessions, at: int = AT, lifetime_s: int = 60, **data: str) -> Session:
    session, created = sessions.create(ID, data=data, lifetime_s=lifetime_s, at=at)
    assert created
    return session


def test_a_session_is_read_as_it_was_created(sessions: DynamoSessions, cloud: Cloud) -> None:
    """PAY-02."""
    session = opened(sessions, user="u-1")
    assert sessions.read(ID, at=AT + 59) == session
    assert session.data == {"user": "u-1"}
    # The table's TTL attribute, in epoch seconds.
    assert stored(cloud)["expires_at"] == {"N": str(AT + 60)}


def test_the_first_to_create_has_it_and_the_others_are_told_whose_it_is(sessions: DynamoSessions) -> None:
    """OPT-06."""
    first = opened(sessions, by="first")
    second = sessions.create(ID, data={"by": "second"}, lifetime_s=60, at=AT + 1)
    assert second == (first, False)


def test_an_expired_session_that_is_not_deleted_yet_counts_as_absent(sessions: DynamoSessions, cloud: Cloud) -> None:
    """PAY-02: TTL deletes within days, readers and conditions don't wait for it."""
    first = opened(sessions)
    assert sessions.read(ID, at=AT + 60) is None
    assert stored(cloud)["instance"] == {"S": first.instance}
    second = opened(sessions, at=AT + 60)
    assert second.instance != first.instance
    assert sessions.read(ID, at=AT + 60) == second


def test_touching_extends_a_live_session_only(sessions: DynamoSessions) -> None:
    session = opened(sessions)
    touched = sessions.touch(session, lifetime_s=60, at=AT + 59)
    assert touched == sessions.read(ID, at=AT + 118) == Session(ID, session.instance, AT + 119)
    assert sessions.touch(session, lifetime_s=60, at=AT + 119) is None
    assert sessions.read(ID, at=AT + 119) is None


def test_touching_never_shortens(sessions: DynamoSessions) -> None:
    session = opened(sessions, lifetime_s=600)
    assert sessions.touch(session, lifetime_s=60, at=AT + 1) == session
    assert sessions.read(ID, at=AT + 599) == session


def test_ending_is_at_once_and_for_slow_clocks_too(sessions: DynamoSessions, cloud: Cloud) -> None:
    session = opened(sessions)
    sessions.expire(session, at=AT + 1)
    assert sessions.read(ID, at=AT - 300) is None
    assert sessions.touch(session, lifetime_s=60, at=AT + 2) is None
    # Still there for TTL, which leaves alone what expired more than five years ago.
    assert AT - 86_400 < int(stored(cloud)["expires_at"]["N"]) < AT
    sessions.expire(session, at=AT + 3)


def test_what_never_was_cannot_be_changed(sessions: DynamoSessions, cloud: Cloud) -> None:
    ghost = Session(ID, "i", AT + 60)
    assert sessions.read(ID, at=AT) is None
    assert sessions.touch(ghost, lifetime_s=60, at=AT) is None
    assert sessions.save(ghost, data={}, lifetime_s=60, at=AT) is None
    sessions.expire(ghost, at=AT)
    assert cloud.dynamodb.scan(TableName="sessions")["Count"] == 0


@pytest.mark.parametrize(
    "late",
    [
        lambda sessions, lost: sessions.touch(lost, lifetime_s=600, at=AT + 62),
        lambda sessions, lost: sessions.save(lost, data={"by": "first"}, lifetime_s=600, at=AT + 62),
        lambda sessions, lost: sessions.expire(lost, at=AT + 62),
    ],
    ids=["touch", "save", "expire"],
)
def test_who_lost_a_session_to_another_changes_nothing_of_it(
    sessions: DynamoSessions, late: Callable[[DynamoSessions, Session], object]
) -> None:
    """OPT-06: whose claim expired in the middle of the work does not disturb who has it now."""
    lost = opened(sessions, by="first")
    present = opened(sessions, at=AT + 61, by="second")
    assert late(sessions, lost) is None
    assert sessions.read(ID, at=AT + 62) == present


def test_saving_replaces_the_data_and_the_lifetime(sessions: DynamoSessions) -> None:
    session = opened(sessions, state="claimed")
    saved = sessions.save(session, data={"summary": "{}"}, lifetime_s=1000, at=AT + 1)
    assert saved == sessions.read(ID, at=AT + 1000) == Session(ID, session.instance, AT + 1001, {"summary": "{}"})
    assert sessions.save(session, data={}, lifetime_s=60, at=AT + 1001) is None


def test_between_two_writes_another_is_noticed(
    sessions: DynamoSessions, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The condition and the write are one: somebody who comes between a read and a write is not overwritten."""
    session = opened(sessions)
    update = cloud.dynamodb.update_item

    def raced(**request: Any) -> Any:
        monkeypatch.undo()
        sessions.expire(session, at=AT + 1)
        opened(sessions, at=AT + 1, by="other")
        return update(**request)

    monkeypatch.setattr(cloud.dynamodb, "update_item", raced)
    assert sessions.save(session, data={"by": "me"}, lifetime_s=60, at=AT + 1) is None
    found = sessions.read(ID, at=AT + 2)
    assert found is not None
    assert found.data == {"by": "other"}


def test_of_two_regions_that_create_at_once_the_loser_learns_it(cloud: Cloud) -> None:
    """PAY-02: conditions hold in a region; the last writer wins the global table, and instances tell who that is."""
    for region in ("us-east-1", "eu-west-1"):
        cloud.table("sessions", "session_id", region)
    here, there = (
        DynamoSessions(cloud.client("dynamodb", region), "sessions") for region in ("us-east-1", "eu-west-1")
    )
    mine, theirs = opened(here, by="here"), opened(there, by="there")
    item = cloud.client("dynamodb", "eu-west-1").get_item(TableName="sessions", Key={"session_id": {"S": ID}})["Item"]
    cloud.client("dynamodb", "us-east-1").put_item(TableName="sessions", Item=item)  # replication, the last writer
    assert here.read(ID, at=AT) == theirs
    assert here.touch(mine, lifetime_s=60, at=AT + 1) is None


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_table_that_is_not_able_is_worth_another_attempt(
    sessions: DynamoSessions, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code}}, "PutItem")

    monkeypatch.setattr(cloud.dynamodb, "put_item", refuse)
    with pytest.raises(SessionsUnavailableError):
        opened(sessions)


@given(st.integers(0, 10), st.integers(0, 10))
def test_a_session_lives_until_its_end_and_not_at_it(before: int, after: int) -> None:
    session = Session(ID, "i", AT)
    assert session.is_live(AT - 1 - before)
    assert not session.is_live(AT + after)


def test_the_container_knows_the_regions_table(cloud: Cloud) -> None:
    cloud.table("sessions", "session_id")
    session, created = container.sessions().create(ID, data={}, lifetime_s=60, at=now())
    assert created
    assert stored(cloud)["instance"] == {"S": session.instance}
