"""The web tier's compute, put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from constructs import Construct

from functions.catalogue import Env
from functions.catalogue import Grant as Verb
from shared.site import Site
from stacks.compute.code import FunctionCodes
from stacks.compute.contract import WebComputeOutputs
from stacks.compute.functions import PaymentFunctions
from stacks.compute.web.instances import WebInstances, WebTemplate
from stacks.compute.web.registration import TargetRegistration
from stacks.compute.web.target_group import WebTargets
from stacks.network.contract import ApplicationTierOutputs, NetworkOutputs

APPLICATION = Path(__file__).with_name("app.py")


class WebTier(Construct):
    """The target group, the instances in the private subnets, and the function that keeps the two together."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        network: NetworkOutputs,
        application: ApplicationTierOutputs,
        codes: FunctionCodes,
        functions: PaymentFunctions,
        key_arn: str,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id)
        name = site.name("web")
        targets = WebTargets(self, "targets", site=site, vpc_id=network.vpc_id)
        # Before the group is there: its first instance waits for the function. AWS makes up the part after the name.
        functions.know(
            values={Env.AUTO_SCALING_GROUP: name, Env.TARGET_GROUP_ARN: targets.arn},
            resources={
                Verb.WEB_DESCRIBE: "*",
                Verb.WEB_INSTANCES: site.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}"),
                Verb.WEB_TARGETS: targets.arn,
            },
        )
        registration = TargetRegistration(
            self, "registration", site=site, function=functions.add("register_targets"), group_name=name
        )
        template = WebTemplate(
            self,
            "template",
            site=site,
            application=codes.put("web", APPLICATION),
            security_group_id=application.application_security_group_id,
            key_arn=key_arn,
            tags=tags,
        )
        instances = WebInstances(
            self,
            "instances",
            site=site,
            name=name,
            template=template,
            subnet_ids=network.private_subnet_ids,
            tags=tags,
            after=registration.ready,
        )
        self.outputs = WebComputeOutputs(
            web_target_group_arn=targets.arn,
            web_target_group_dimension=targets.group.arn_suffix,
            web_auto_scaling_group_name=instances.group.name,
            web_launch_template_id=template.template.id,
            register_targets_function_name=functions.made["register_targets"].name,
        )
