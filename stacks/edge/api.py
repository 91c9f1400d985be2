"""The region's REST API: three routes in front of one function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cdktf import DefaultTokenResolver, StringConcat, TerraformResource, TerraformResourceLifecycle, Tokenization
from cdktf_cdktf_provider_aws.api_gateway_deployment import ApiGatewayDeployment
from cdktf_cdktf_provider_aws.api_gateway_gateway_response import ApiGatewayGatewayResponse
from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from cdktf_cdktf_provider_aws.api_gateway_method import ApiGatewayMethod
from cdktf_cdktf_provider_aws.api_gateway_method_settings import (
    ApiGatewayMethodSettings,
    ApiGatewayMethodSettingsSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_model import ApiGatewayModel
from cdktf_cdktf_provider_aws.api_gateway_request_validator import ApiGatewayRequestValidator
from cdktf_cdktf_provider_aws.api_gateway_resource import ApiGatewayResource
from cdktf_cdktf_provider_aws.api_gateway_rest_api import ApiGatewayRestApi, ApiGatewayRestApiEndpointConfiguration
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage, ApiGatewayStageAccessLogSettings
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from functions.payments_api import API_BASE_PATH
from shared.site import Site
from stacks.compute.contract import ComputeOutputs
from stacks.edge.account import ApiGatewayLogging
from stacks.edge.schemas import PAYMENT_REQUEST, REFUSALS

STAGE = API_BASE_PATH

ACCESS_LOG_FORMAT = {
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "path": "$context.resourcePath",
    "status": "$context.status",
    "latencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
    "sourceIp": "$context.identity.sourceIp",
    "error": "$context.error.messageString",
}


@dataclass(frozen=True)
class Route:
    """One method of one path.

    ``required`` names the request parameters without which API Gateway answers 400, as it writes them
    (``method.request.header.Idempotency-Key``). ``authorization`` is NONE or AWS_IAM (signature version 4).
    """

    method: str
    path: str
    body: bool = False
    required: tuple[str, ...] = ()
    authorization: str = "NONE"


SUBMIT = Route("POST", "payments", body=True, required=("method.request.header.Idempotency-Key",))
HEALTH = Route("GET", "health")
ROUTES = (
    SUBMIT,
    Route("GET", "payments/{payment_id}", required=("method.request.path.payment_id",)),
    # Personal data: only in the region that keeps it (PAY-22), and only to a principal of the account.
    Route(
        "GET",
        "payments/{payment_id}/payer",
        required=("method.request.path.payment_id",),
        authorization="AWS_IAM",
    ),
    HEALTH,
)


class PaymentApi(Construct):
    """A regional REST API (PAY-08): validated requests, access logs, throttling, tracing.

    The function answers within API Gateway's 29 s because it only accepts a payment; the workflow does the work.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        compute: ComputeOutputs,
        logging: ApiGatewayLogging,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id)
        self.name = site.name("payments")
        self.stage_name = STAGE
        self._function = compute
        self.api = ApiGatewayRestApi(
            self,
            "api",
            name=self.name,
            description=f"Payments in {site.region}",
            endpoint_configuration=ApiGatewayRestApiEndpointConfiguration(types=["REGIONAL"]),
            # The region's own host stays open: health checks and direct tests of one region have no other way in.
            disable_execute_api_endpoint=False,
        )
        self._model = ApiGatewayModel(
            self,
            "payment-request",
            rest_api_id=self.api.id,
            name="PaymentRequest",
            content_type="application/json",
            schema=json.dumps(PAYMENT_REQUEST),
        )
        self._validator = ApiGatewayRequestValidator(
            self,
            "validator",
            rest_api_id=self.api.id,
            name=site.name("validate-all"),
            validate_request_body=True,
            validate_request_parameters=True,
        )
        self._resources: dict[str, ApiGatewayResource] = {}
        methods = [part for route in ROUTES for part in self._route(route)]
        refusals = [
            ApiGatewayGatewayResponse(
                self,
                f"refusal-{refusal.type.replace('_', '-').lower()}",
                rest_api_id=self.api.id,
                response_type=refusal.type,
                status_code=refusal.status,
                response_templates={"application/json": refusal.template},
            )
            for refusal in REFUSALS
        ]
        snapshot = [self.api, self._model, self._validator, *self._resources.values(), *methods, *refusals]
        LambdaPermission(
            self,
            "invoke",
            statement_id="PaymentApi",
            action="lambda:InvokeFunction",
            function_name=compute.api_function_name,
            principal="apigateway.amazonaws.com",
            source_arn=f"{self.api.execution_arn}/*",
        )
        deployment = ApiGatewayDeployment(
            self,
            "deployment",
            rest_api_id=self.api.id,
            # A deployment is a snapshot: without a trigger, a changed API would stay unpublished.
            triggers={"definition": self._fingerprint(snapshot), "function": compute.api_function_arn},
            depends_on=snapshot,
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        self.stage = self._stage(site, deployment, logging, key_arn)
        self._limits(site)
        self.url = site.execute_api_url(self.api.id, STAGE)
        # Where AWS serves the stage in every environment; what the health check asks.
        self.host = f"{self.api.id}.execute-api.{site.region}.amazonaws.com"

    def _resource(self, path: str) -> ApiGatewayResource:
        if path not in self._resources:
            parent, _, leaf = path.rpartition("/")
            self._resources[path] = ApiGatewayResource(
                self,
                f"resource-{path.replace('/', '-').replace('{', '').replace('}', '')}",
                rest_api_id=self.api.id,
                parent_id=self._resource(parent).id if parent else self.api.root_resource_id,
                path_part=leaf,
            )
        return self._resources[path]

    def _route(self, route: Route) -> list[TerraformResource]:
        resource = self._resource(route.path)
        id = f"{route.method}-{resource.node.id.removeprefix('resource-')}".lower()
        method = ApiGatewayMethod(
            self,
            id,
            rest_api_id=self.api.id,
            resource_id=resource.id,
            http_method=route.method,
            authorization=route.authorization,
            request_validator_id=self._validator.id,
            request_models={"application/json": self._model.name} if route.body else None,
            request_parameters=dict.fromkeys(route.required, True) or None,
        )
        integration = ApiGatewayIntegration(
            self,
            f"{id}-function",
            rest_api_id=self.api.id,
            resource_id=resource.id,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=self._function.api_function_invoke_arn,
        )
        return [method, integration]

    def _stage(
        self, site: Site, deployment: ApiGatewayDeployment, logging: ApiGatewayLogging, key_arn: str
    ) -> ApiGatewayStage:
        logs = CloudwatchLogGroup(
            self,
            "access-logs",
            name=f"/aws/apigateway/{self.name}",
            retention_in_days=site.settings.logs.retention_days,
            kms_key_id=key_arn,
        )
        return ApiGatewayStage(
            self,
            "stage",
            rest_api_id=self.api.id,
            deployment_id=deployment.id,
            stage_name=STAGE,
            xray_tracing_enabled=True,
            access_log_settings=ApiGatewayStageAccessLogSettings(
                destination_arn=logs.arn, format=json.dumps(ACCESS_LOG_FORMAT)
            ),
            depends_on=[logging.account],
        )

    def _limits(self, site: Site) -> None:
        """Usage limits as the stage has them: new payments less than the rest (docs/decisions/edge-usage-limits.md).

        API Gateway counts each method for itself, so a flood of payments never takes `/health` its share.
        """
        api = site.settings.api
        every = self._settings(
            "throttling",
            "*/*",
            rate=api.rate_limit * api.reads_per_payment,
            burst=api.burst_limit * api.reads_per_payment,
        )
        self._settings(
            "throttling-payments",
            # A method of a nested path would have to be escaped (`~1`), which the emulator doesn't read back.
            f"{SUBMIT.path}/{SUBMIT.method}",
            rate=api.rate_limit,
            burst=api.burst_limit,
            # Two updates of one stage at the same time are a ConflictException.
            after=[every],
        )

    def _settings(
        self, id: str, path: str, *, rate: int, burst: int, after: Sequence[TerraformResource] = ()
    ) -> ApiGatewayMethodSettings:
        return ApiGatewayMethodSettings(
            self,
            id,
            rest_api_id=self.api.id,
            stage_name=self.stage.stage_name,
            method_path=path,
            settings=ApiGatewayMethodSettingsSettings(
                metrics_enabled=True,
                logging_level="ERROR",
                data_trace_enabled=False,
                throttling_rate_limit=rate,
                throttling_burst_limit=burst,
            ),
            depends_on=list(after) or None,
        )

    def _fingerprint(self, snapshot: Sequence[TerraformResource]) -> str:
        """Changes with everything that a deployment takes its snapshot of: the resources as Terraform gets them."""
        definition = Tokenization.resolve(
            [resource.to_terraform() for resource in snapshot],
            scope=self,
            resolver=DefaultTokenResolver(StringConcat()),
            preparing=False,
        )
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
