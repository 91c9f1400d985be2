"""The AWS that an environment lives in: the sandbox, or an account. Nobody else makes a boto3 client."""

from __future__ import annotations

import os
import threading
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rollout.sandbox.manager import isolated_environment, sandbox_environment
from shared.config import Environment
from shared.errors import TripointError


class TargetError(TripointError):
    """The AWS account cannot be reached, or is another one than the configuration says."""


class Target:
    """How to reach the AWS of one environment, for this process and for the ones it starts."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        """A client of a service in a region. For a sandbox it can't reach anything but the sandbox."""
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._create(service, region)
            return self._clients[key]

    def child_environment(self) -> dict[str, str]:
        """The environment of a child process: never a real credential beside a sandbox."""
        endpoint = self._environment.target.endpoint
        return isolated_environment(endpoint) if endpoint else dict(os.environ)

    def verify_account(self) -> None:
        """Make sure that the credentials at hand are those of the configured account.

        Raises
        ------
        TargetError
            When they are not, or there are none.
        """
        if self._environment.is_sandbox:
            return
        expected = self._environment.target.account_id
        try:
            found = self.client("sts", self._environment.primary).get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            raise TargetError(f"no access to AWS account {expected}: {one_line(error)}") from error
        if found != expected:
            raise TargetError(
                f"the AWS credentials belong to account {found}; the configuration's target.account_id is {expected}"
            )

    def _create(self, service: str, region: str) -> Any:
        endpoint = self._environment.target.endpoint
        session = botocore.session.Session()
        if endpoint is None:
            return session.create_client(service, region_name=region, config=Config(retries={"mode": "standard"}))
        # A profile or a file of the user's must not even be looked at.
        for name, value in (("profile", None), ("config_file", os.devnull), ("credentials_file", os.devnull)):
            session.session_var_map[name] = (None, None, value, None)
        variables = sandbox_environment(endpoint)
        return session.create_client(
            service,
            region_name=region,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(
                s3={"addressing_style": "path"},
                proxies={},
                connect_timeout=5,
                inject_host_prefix=False,
                retries={"mode": "standard"},
            ),
        )


def one_line(error: BaseException) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
