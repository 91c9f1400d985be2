"""API Gateway's own role for logs, a setting of the account in each region."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.api_gateway_account import ApiGatewayAccount
from constructs import Construct

from shared.grants import Grant
from shared.role import service_role
from shared.site import Site


class ApiGatewayLogging(Construct):
    """Lets API Gateway write logs in this region; without it no stage may have access logs."""

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        role = service_role(
            self,
            site=site,
            thing="apigateway-logs",
            service="apigateway.amazonaws.com",
            does="write-logs",
            grants=[
                Grant(
                    "WriteApiLogs",
                    (
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:FilterLogEvents",
                        "logs:GetLogEvents",
                        "logs:PutLogEvents",
                    ),
                    (
                        site.arn("logs", "log-group:API-Gateway-Execution-Logs_*"),
                        site.arn("logs", f"log-group:/aws/apigateway/{site.name('payments')}:*"),
                    ),
                ),
                # CloudWatch Logs has no resource-level permission for it.
                Grant("FindLogGroups", ("logs:DescribeLogGroups",), ("*",)),
            ],
        )
        self.account = ApiGatewayAccount(
            self, "account", cloudwatch_role_arn=role.arn, reset_on_delete=True, depends_on=[role.granted]
        )
