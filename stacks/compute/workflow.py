"""The payment workflow's state machine."""

from __future__ import annotations

from collections.abc import Mapping

from cdktf_cdktf_provider_aws.sfn_state_machine import (
    SfnStateMachine,
    SfnStateMachineLoggingConfiguration,
    SfnStateMachineTracingConfiguration,
)
from constructs import Construct

from functions.workflow import render
from shared.grants import Grant, invoke, send_traces
from shared.logs import log_group
from shared.role import service_role
from shared.site import PARTITION, Site
from shared.suppressions import suppress
from stacks.compute.function import PaymentFunction


class PaymentWorkflow(Construct):
    """Validate, authorize, capture, receipt, complete: `functions/workflow/payment.asl.json` (PAY-04)."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, steps: Mapping[str, PaymentFunction], key_arn: str
    ) -> None:
        super().__init__(scope, id)
        self.name = site.name("payment")
        logs = log_group(self, "logs", site=site, name=f"/aws/vendedlogs/states/{self.name}", key_arn=key_arn)
        role = service_role(
            self,
            site=site,
            thing="workflow",
            service="states.amazonaws.com",
            source_arn=site.arn("states", f"stateMachine:{self.name}"),
            does="workflow",
            grants=[invoke([step.arn for step in steps.values()]), send_traces(), _deliver_logs()],
        )
        self.machine = SfnStateMachine(
            self,
            "machine",
            name=self.name,
            type=site.settings.workflow.type,
            role_arn=role.arn,
            definition=render({"partition": PARTITION, **{f"{name}_arn": step.arn for name, step in steps.items()}}),
            logging_configuration=SfnStateMachineLoggingConfiguration(
                # Payment data stays out of the logs; what happened is in them.
                include_execution_data=False,
                level="ALL" if site.settings.workflow.type == "EXPRESS" else "ERROR",
                log_destination=f"{logs.arn}:*",
            ),
            tracing_configuration=SfnStateMachineTracingConfiguration(enabled=True),
            depends_on=[role.granted],
        )
        suppress(
            self.machine, "CKV_AWS_285", "Payment data stays out of the logs (PAY-22); errors and states are in them"
        )

    @property
    def arn(self) -> str:
        return str(self.machine.arn)


def _deliver_logs() -> Grant:
    """What Step Functions needs for logging; CloudWatch Logs has no resource-level permission for log deliveries
    (Step Functions developer guide, "Logging using CloudWatch Logs")."""
    return Grant(
        "DeliverLogs",
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        ("*",),
    )
