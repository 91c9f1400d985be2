"""AWS clients, one per service, region and container, made at first use; and the translation of
what AWS answers into this platform's errors.

botocore instead of boto3: the resource layer and the transfer manager are a quarter of the
import time and nothing here uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from functions.payments.errors import TransientError

_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "ExecutionLimitExceeded",
    }
)
_UNAVAILABLE = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "InternalError",
        "InternalException",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        "OperationAborted",
        "ReplicatedWriteConflictException",
        "TransactionConflictException",
        "KMS.KMSInternalException",
        "KMS.ThrottlingException",
    }
)

# A task of the workflow has 6 to 8 s, in which it may call twice: so one call gets about 2 s.
_CONNECT_SECONDS = 1
_READ_SECONDS = 1.5
_ATTEMPTS = 2
# As many as threads use a client at most; connections are made as they are needed.
_CONNECTIONS = 32


@cache
def client(service: str, region: str) -> Any:
    """The client of a service in a region; the endpoint follows AWS_ENDPOINT_URL."""
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        tcp_keepalive=True,
        max_pool_connections=_CONNECTIONS,
    )
    return _session().create_client(service, region_name=region, config=config)


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()


@contextmanager
def translated(*, throttled: type[TransientError], unavailable: type[TransientError]) -> Iterator[None]:
    """Raise this platform's transient errors in place of AWS's; let every other error pass."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    try:
        yield
    except ClientError as error:
        code = error_code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLED:
            raise throttled(f"{error.operation_name}: {code}") from error
        if code in _UNAVAILABLE or status >= 500:
            raise unavailable(f"{error.operation_name}: {code}") from error
        raise
    except (ConnectionError, HTTPClientError) as error:  # no connection, or no answer in time
        raise unavailable(type(error).__name__) from error


def error_code(error: Exception) -> str:
    """The code AWS gave to an error."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
