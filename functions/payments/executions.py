"""Starting the payment workflow in Step Functions."""

from __future__ import annotations

import json
from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import WorkflowThrottledError, WorkflowUnavailableError
from functions.payments.model import Payment


class Workflow(Protocol):
    """What the logic asks of the workflow."""

    def start(self, payment: Payment) -> None:
        """Begin to work on a payment; harmless when that has begun already."""
        ...


class StepFunctionsWorkflow:
    """A state machine of this region, STANDARD or EXPRESS.

    The execution is named after the payment. A STANDARD machine takes a name once, so a second
    start does nothing. An EXPRESS machine runs again, which the steps are made for.
    """

    def __init__(self, client: Any, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, payment: Payment) -> None:
        """See `Workflow.start`."""
        try:
            with aws.translated(throttled=WorkflowThrottledError, unavailable=WorkflowUnavailableError):
                self._client.start_execution(
                    stateMachineArn=self._state_machine_arn,
                    name=payment.payment_id,
                    input=json.dumps(payment.to_document()),
                )
        except self._client.exceptions.ExecutionAlreadyExists:
            return
