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

    A STANDARD machine takes a name once, so a second start does nothing. An EXPRESS machine runs
    again, which the steps are made for.
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
                    name=execution_name(payment),
                    input=json.dumps(payment.to_document()),
                )
        except self._client.exceptions.ExecutionAlreadyExists:
            return


def execution_name(payment: Payment) -> str:
    """The name of a payment's execution in its present home: its id, in a later home with the
    epoch, and with the number of the new start if there was one.

    A STANDARD machine would not start a second execution of the same name, and one can have run
    here before: where two regions have accepted one key at the same time, the one that lost ran an
    execution that ended as moved; and what other regions have left behind comes back.
    """
    again = f"-r{payment.resumed}" if payment.resumed else ""
    return payment.payment_id + (f"-{payment.epoch}" if payment.epoch > 1 else "") + again
