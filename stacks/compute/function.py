"""One Lambda function with a role and a log group of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from cdktf_cdktf_provider_aws.lambda_function import (
    LambdaFunction,
    LambdaFunctionEnvironment,
    LambdaFunctionLoggingConfig,
    LambdaFunctionTracingConfig,
    LambdaFunctionVpcConfig,
)
from constructs import Construct

from shared.grants import Grant, attach_to_vpc, decrypt_with_key, use_key, write_logs
from shared.logs import log_group
from shared.role import service_role
from shared.site import Site
from shared.suppressions import suppress
from stacks.compute.code import FunctionCode
from stacks.network.contract import NetworkOutputs

# What stores or sends under the key of the bucket, queue or topic, in the caller's name.
ENCRYPTED = frozenset({"s3:PutObject", "sns:Publish", "sqs:SendMessage"})


class PaymentFunction(Construct):
    """A zip in the private subnets: memory, timeout and reserved concurrency from the configuration (PAY-03).

    Without ``network`` it runs outside of the VPC. It encrypts with the region's key only if it sends or stores what
    the key encrypts.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        name: str,
        description: str,
        handler: str,
        code: FunctionCode,
        environment: Mapping[str, str],
        grants: Sequence[Grant],
        network: NetworkOutputs | None,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.functions
        thing = name.replace("_", "-")
        self.name = site.name(thing)
        logs = log_group(self, "logs", site=site, name=f"/aws/lambda/{self.name}", key_arn=key_arn)
        role = service_role(
            self,
            site=site,
            thing=thing,
            service="lambda.amazonaws.com",
            does="function",
            grants=[
                write_logs(logs.arn),
                use_key(key_arn) if _encrypts(grants) else decrypt_with_key(key_arn),
                *(attach_to_vpc(partial(site.arn, "ec2")) if network else []),
                *grants,
            ],
        )
        self.function = LambdaFunction(
            self,
            "function",
            function_name=self.name,
            description=description,
            role=role.arn,
            runtime=settings.runtime,
            handler=handler,
            s3_bucket=code.bucket,
            s3_key=code.key,
            source_code_hash=code.hash,
            memory_size=settings.memory_mb,
            timeout=settings.timeout_s,
            reserved_concurrent_executions=settings.concurrency_of(name),
            kms_key_arn=key_arn,
            environment=LambdaFunctionEnvironment(variables=dict(environment)),
            vpc_config=LambdaFunctionVpcConfig(
                subnet_ids=network.private_subnet_ids,
                security_group_ids=[network.functions_security_group_id],
            )
            if network
            else None,
            tracing_config=LambdaFunctionTracingConfig(mode="Active"),
            logging_config=LambdaFunctionLoggingConfig(log_format="JSON", log_group=logs.name),
            # Without its policy a function in a VPC cannot be created.
            depends_on=[role.granted],
        )
        suppress(
            self.function, "CKV_AWS_116", "Who invokes it keeps what failed: the workflow, the stream's or rule's queue"
        )
        suppress(
            self.function, "CKV_AWS_272", "The one who deploys builds the zip and pins its hash; no signer in between"
        )
        if network is None:
            suppress(self.function, "CKV_AWS_117", "It only calls AWS APIs, which the VPC has no endpoints for")

    @property
    def arn(self) -> str:
        return str(self.function.arn)


def _encrypts(grants: Sequence[Grant]) -> bool:
    """Whether the function needs data keys of the region's key and has no grant for them yet. Tables need none: an
    access decrypts the table's own key (KMS developer guide, "How Amazon DynamoDB uses AWS KMS")."""
    actions = {action for grant in grants for action in grant.actions}
    return "kms:GenerateDataKey" not in actions and bool(actions & ENCRYPTED)
