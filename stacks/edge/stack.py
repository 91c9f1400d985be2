"""The edge layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.compute.contract import ComputeOutputs, ProcessingOutputs, WebComputeOutputs
from stacks.data.contract import DataOutputs
from stacks.edge.account import ApiGatewayLogging
from stacks.edge.api import PAYMENTS, UPLOADS, ApiFunction, PaymentApi
from stacks.edge.assets.distribution import CLOUDFRONT_REGION
from stacks.edge.assets.region import assets_of_other_region, assets_of_primary
from stacks.edge.contract import EDGE, AssetsOutputs, EdgeOutputs, WebZoneOutputs, ZoneOutputs
from stacks.edge.domain import CustomDomain
from stacks.edge.firewall import Firewall
from stacks.edge.merchants import Merchants
from stacks.edge.routing import RegionalRouting
from stacks.edge.web.entrance import WebEntrance
from stacks.network.contract import WebNetworkOutputs


class EdgeStack(LayerStack):
    """Where callers enter a region: the REST API, the one name, and the way DNS leads from it to this region."""

    spec = EDGE

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        data = self.consume(DataOutputs)
        logging = ApiGatewayLogging(self, "logging", site=site)
        functions = self._functions()
        api = PaymentApi(self, "payments", site=site, functions=functions, logging=logging, key_arn=data.key_arn)
        if site.settings.edge.waf:
            Firewall(self, "firewall", site=site, api=api, key_arn=data.key_arn)
        Merchants(self, "merchants", site=site, api=api)
        zone_id = self._zone_id()
        asked_for = self.consume(ZoneOutputs).certificate_arn if site.is_primary else None
        custom = CustomDomain(self, "domain", site=site, api=api, asked_for=asked_for)
        routing = RegionalRouting(self, "routing", site=site, zone_id=zone_id, api=api, custom=custom)
        self.publish(
            EdgeOutputs(
                api_id=api.api.id,
                api_name=api.name,
                api_stage=api.stage_name,
                api_url=api.url,
                domain_name=custom.name,
                custom_url=custom.url,
                regional_domain_name=custom.domain.regional_domain_name,
                certificate_arn=custom.certificate_arn,
                health_check_id=routing.health_check.id,
            )
        )
        if site.settings.assets.enabled:
            self.publish(self._assets(zone_id, access_logs=data.access_logs_bucket_name))

        if site.settings.web.enabled:
            web = WebEntrance(
                self,
                "web",
                site=site,
                zone_id=zone_id,
                asked_for=self.consume(WebZoneOutputs).web_certificate_arn if site.is_primary else None,
                network=self.consume(WebNetworkOutputs),
                compute=self.consume(WebComputeOutputs),
                access_logs=data.access_logs_bucket_name,
            )
            self.publish(web.outputs)

    def _assets(self, zone_id: str, access_logs: str) -> AssetsOutputs:
        scope = Construct(self, "assets")
        if not self.site.is_primary:
            primary = self.consume(AssetsOutputs, self.site.environment.primary)
            return assets_of_other_region(scope, site=self.site, primary=primary, access_logs=access_logs)
        return assets_of_primary(
            scope,
            site=self.site,
            zone_id=zone_id,
            access_logs=access_logs,
            cloudfront_region=self.provider_of(CLOUDFRONT_REGION),
        )

    def _functions(self) -> dict[str, ApiFunction]:
        """What the API's routes lead to, by the catalogue's names."""
        compute = self.consume(ComputeOutputs)
        found = {
            PAYMENTS: ApiFunction(compute.api_function_name, compute.api_function_arn, compute.api_function_invoke_arn)
        }
        if self.site.settings.processing.enabled:
            uploads = self.consume(ProcessingOutputs)
            found[UPLOADS] = ApiFunction(
                uploads.process_function_name, uploads.process_function_arn, uploads.process_function_invoke_arn
            )
        return found

    def _zone_id(self) -> str:
        """The zone's id; of a given zone the configuration knows it, and no region asks the primary's state."""
        environment = self.site.environment
        return environment.domain.hosted_zone_id or self.consume(ZoneOutputs, environment.primary).hosted_zone_id
