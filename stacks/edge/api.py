"""The region's REST API: its routes, each in front of a function."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
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
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from functions.payments_api import API_BASE_PATH, HEADERS
from shared.logs import log_group
from shared.site import Site
from shared.suppressions import suppress
from stacks.edge.account import ApiGatewayLogging
from stacks.edge.schemas import PAYMENT_REQUEST, PROCESS_REQUEST, REFUSALS

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


SIGNED, OPEN = "AWS_IAM", "NONE"
PAYMENTS, UPLOADS = "payments_api", "process_object"


@dataclass(frozen=True)
class ApiFunction:
    """A function that routes lead to."""

    name: str
    arn: str
    invoke_arn: str


@dataclass(frozen=True)
class Route:
    """One method of one path.

    ``required`` names the request parameters without which API Gateway answers 400, as it writes them
    (``method.request.header.Idempotency-Key``). ``authorization`` is AWS_IAM (signature version 4) or NONE.
    ``function`` is the one that answers, by its name in the catalogue; the route is there where that function is. With
    ``model`` the body must be of it.
    """

    method: str
    path: str
    model: str | None = None
    required: tuple[str, ...] = ()
    authorization: str = SIGNED
    function: str = PAYMENTS


PAYMENT, PROCESS = "PaymentRequest", "ProcessRequest"

SUBMIT = Route("POST", "payments", model=PAYMENT, required=("method.request.header.Idempotency-Key",))
# Route 53 cannot sign; it says no more than whether the region is well.
HEALTH = Route("GET", "health", authorization=OPEN)
# For the account's own systems (docs/decisions/process-route-is-signed.md).
PROCESS_UPLOAD = Route("POST", "process", model=PROCESS, function=UPLOADS)
ROUTES = (
    SUBMIT,
    Route("GET", "payments/{payment_id}", required=("method.request.path.payment_id",)),
    # Personal data: only in the region that keeps it (PAY-22).
    Route("GET", "payments/{payment_id}/payer", required=("method.request.path.payment_id",)),
    HEALTH,
    PROCESS_UPLOAD,
)
# What is limited like new payments; the rest gets more.
LIMITED = (SUBMIT, PROCESS_UPLOAD)


class PaymentApi(Construct):
    """A regional REST API (PAY-08): validated requests, access logs, throttling, tracing.

    The payments' function answers within API Gateway's 29 s because it only accepts a payment; the workflow does the
    work. ``functions`` are those that there are, by their names in the catalogue.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        functions: Mapping[str, ApiFunction],
        logging: ApiGatewayLogging,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id)
        self.name = site.name("payments")
        self.stage_name = STAGE
        self._functions = functions
        self._routes = [route for route in ROUTES if route.function in functions]
        self.api = ApiGatewayRestApi(
            self,
            "api",
            name=self.name,
            description=f"Payments in {site.region}",
            endpoint_configuration=ApiGatewayRestApiEndpointConfiguration(types=["REGIONAL"]),
            # The region's own host stays open: health checks and direct tests of one region have no other way in.
            disable_execute_api_endpoint=False,
            # Another API takes the calls before this one goes.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        self._models = {PAYMENT: self._model("payment-request", PAYMENT, PAYMENT_REQUEST)}
        if UPLOADS in functions:
            self._models[PROCESS] = self._model("process-request", PROCESS, PROCESS_REQUEST)
        self._validator = ApiGatewayRequestValidator(
            self,
            "validator",
            rest_api_id=self.api.id,
            name=site.name("validate-all"),
            validate_request_body=True,
            validate_request_parameters=True,
        )
        self._resources: dict[str, ApiGatewayResource] = {}
        methods = [part for route in self._routes for part in self._route(route)]
        refusals = [
            ApiGatewayGatewayResponse(
                self,
                f"refusal-{refusal.type.replace('_', '-').lower()}",
                rest_api_id=self.api.id,
                response_type=refusal.type,
                status_code=refusal.status,
                response_parameters={
                    f"gatewayresponse.header.{name}": f"'{value}'"
                    for name, value in (HEADERS | refusal.headers).items()
                },
                response_templates={"application/json": refusal.template},
            )
            for refusal in REFUSALS
        ]
        parts = [*self._models.values(), self._validator, *self._resources.values()]
        snapshot = [self.api, *parts, *methods, *refusals]
        for name, function in functions.items():
            LambdaPermission(
                self,
                _of(name, "invoke"),
                statement_id="PaymentApi",
                action="lambda:InvokeFunction",
                function_name=function.name,
                principal="apigateway.amazonaws.com",
                source_arn=f"{self.api.execution_arn}/*",
            )
        deployment = ApiGatewayDeployment(
            self,
            "deployment",
            rest_api_id=self.api.id,
            # A deployment is a snapshot: without a trigger, a changed API would stay unpublished.
            triggers={
                "definition": self._fingerprint(snapshot),
                **{_of(name, "function"): function.arn for name, function in functions.items()},
            },
            depends_on=snapshot,
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        self.stage = self._stage(site, deployment, logging, key_arn)
        self._limits(site)
        self.url = site.execute_api_url(self.api.id, STAGE)
        # Where AWS serves the stage in every environment; what the health check asks.
        self.host = f"{self.api.id}.execute-api.{site.region}.amazonaws.com"

    def _model(self, id: str, name: str, schema: Mapping[str, object]) -> ApiGatewayModel:
        return ApiGatewayModel(
            self,
            id,
            rest_api_id=self.api.id,
            name=name,
            content_type="application/json",
            schema=json.dumps(schema),
        )

    @property
    def signed_methods(self) -> list[str]:
        """The ARNs of the methods that merchants call; a path's parameter is anything."""
        return [
            f"{self.api.execution_arn}/{STAGE}/{route.method}/{re.sub('{[^}]*}', '*', route.path)}"
            for route in ROUTES
            if route.authorization == SIGNED and route.function == PAYMENTS
        ]

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
            request_models={"application/json": self._models[route.model].name} if route.model else None,
            request_parameters=dict.fromkeys(route.required, True) or None,
        )
        if route is HEALTH:
            suppress(method, "CKV_AWS_59", "Route 53 signs nothing; it says whether the region works, and no more")
        integration = ApiGatewayIntegration(
            self,
            f"{id}-function",
            rest_api_id=self.api.id,
            resource_id=resource.id,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=self._functions[route.function].invoke_arn,
        )
        return [method, integration]

    def _stage(
        self, site: Site, deployment: ApiGatewayDeployment, logging: ApiGatewayLogging, key_arn: str
    ) -> ApiGatewayStage:
        logs = log_group(self, "access-logs", site=site, name=f"/aws/apigateway/{self.name}", key_arn=key_arn)
        stage = ApiGatewayStage(
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
        suppress(stage, "CKV_AWS_120", "A payment's status must not be an old one")
        suppress(
            stage, "CKV2_AWS_51", "API Gateway shows a client certificate to HTTP backends; behind this are functions"
        )
        if not site.settings.edge.waf:
            suppress(stage, "CKV2_AWS_29", "The firewall is the configuration's choice (edge.waf)")
        return stage

    def _limits(self, site: Site) -> None:
        """Usage limits as the stage has them: new payments less than the rest (docs/decisions/edge-usage-limits.md).

        API Gateway counts each method for itself, so a flood of payments never takes `/health` its share.
        """
        api = site.settings.api
        before = self._settings(
            "throttling",
            "*/*",
            rate=api.rate_limit * api.reads_per_payment,
            burst=api.burst_limit * api.reads_per_payment,
        )
        for route in LIMITED:
            if route not in self._routes:
                continue
            before = self._settings(
                f"throttling-{route.path}",
                # A method of a nested path would have to be escaped (`~1`), which the emulator doesn't read back.
                f"{route.path}/{route.method}",
                rate=api.rate_limit,
                burst=api.burst_limit,
                # Two updates of one stage at the same time are a ConflictException.
                after=[before],
            )

    def _settings(
        self, id: str, path: str, *, rate: int, burst: int, after: Sequence[TerraformResource] = ()
    ) -> ApiGatewayMethodSettings:
        settings = ApiGatewayMethodSettings(
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
        suppress(settings, "CKV_AWS_225", "A payment's status must not be an old one")
        return settings

    def _fingerprint(self, snapshot: Sequence[TerraformResource]) -> str:
        """Changes with everything that a deployment takes its snapshot of: the resources as Terraform gets them."""
        definition = Tokenization.resolve(
            [resource.to_terraform() for resource in snapshot],
            scope=self,
            resolver=DefaultTokenResolver(StringConcat()),
            preparing=False,
        )
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _of(function: str, id: str) -> str:
    """The payments' function came first and has the plain ids."""
    return id if function == PAYMENTS else f"{id}-{function.replace('_', '-')}"
