"""API Gateway's own role for logs, a setting of the account in each region."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.api_gateway_account import ApiGatewayAccount
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from shared.grants import Grant, policy, trust
from shared.site import Site


class ApiGatewayLogging(Construct):
    """Lets API Gateway write logs in this region; without it no stage may have access logs."""

    def __init__(self, scope: Construct, id: str, *, site: Site) -> None:
        super().__init__(scope, id)
        role = IamRole(
            self,
            "role",
            name=site.role_name("apigateway-logs"),
            assume_role_policy=trust("apigateway.amazonaws.com", site.account_id),
        )
        granted = IamRolePolicy(
            self,
            "policy",
            role=role.id,
            name="write-logs",
            policy=policy(
                [
                    Grant(
                        "WriteApiLogs",
                        (
                            "logs:CreateLogGroup",
                            "logs:CreateLogStream",
                            "logs:DescribeLogGroups",
                            "logs:DescribeLogStreams",
                            "logs:FilterLogEvents",
                            "logs:GetLogEvents",
                            "logs:PutLogEvents",
                        ),
                        (
                            site.arn("logs", "log-group:API-Gateway-Execution-Logs_*"),
                            site.arn("logs", f"log-group:/aws/apigateway/{site.name('payments')}:*"),
                        ),
                    )
                ]
            ),
        )
        self.account = ApiGatewayAccount(
            self, "account", cloudwatch_role_arn=role.arn, reset_on_delete=True, depends_on=[granted]
        )
