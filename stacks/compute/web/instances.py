"""The instances: what each is, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInitialLifecycleHook,
    AutoscalingGroupInstanceMaintenancePolicy,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupTag,
)
from cdktf_cdktf_provider_aws.autoscaling_policy import (
    AutoscalingPolicy,
    AutoscalingPolicyTargetTrackingConfiguration,
    AutoscalingPolicyTargetTrackingConfigurationPredefinedMetricSpecification,
)
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateIamInstanceProfile,
    LaunchTemplateMetadataOptions,
    LaunchTemplateMonitoring,
    LaunchTemplateTagSpecifications,
)
from constructs import Construct

from functions.catalogue import LAUNCH_HOOK, TERMINATE_HOOK
from shared.grants import Grant
from shared.role import service_role
from shared.site import Site
from stacks.compute.code import StoredFile
from stacks.compute.web.target_group import HEALTHY_AFTER, UNHEALTHY_AFTER
from stacks.compute.web.user_data import user_data
from stacks.network.tiers import APPLICATION_PORT

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
ROOT_DEVICE = "/dev/xvda"
DAY_S = 86_400
# From a launch to a healthy target; what takes longer is given up.
LAUNCH_S = 600
# The function looks each minute: two looks after the last request has ended.
LOOKS_S = 120
TAGGED = ("instance", "volume", "network-interface")


class WebTemplate(Construct):
    """What an instance is: the newest Amazon Linux 2023, no key pair, metadata by session only, an encrypted volume.

    EC2 Auto Scaling looks the image up at each launch (docs/decisions/web-images.md). Its role fetches the application
    and does nothing else.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        application: StoredFile,
        security_group_id: str,
        key_arn: str,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.web
        role = service_role(
            self,
            site=site,
            thing="web",
            service="ec2.amazonaws.com",
            does="fetch-application",
            grants=[
                Grant("FetchApplication", ("s3:GetObject",), (f"{site.bucket_arn('code')}/{application.key}",)),
                Grant(
                    "DecryptApplication",
                    ("kms:Decrypt",),
                    (key_arn,),
                    {"StringEquals": {"kms:ViaService": f"s3.{site.region}.amazonaws.com"}},
                ),
            ],
        )
        profile = IamInstanceProfile(self, "profile", name=site.role_name("web"), role=role.name)
        self.template = LaunchTemplate(
            self,
            "template",
            name=site.name("web"),
            description="An instance of the web tier",
            update_default_version=True,
            image_id=f"resolve:ssm:{IMAGE.format(architecture=settings.architecture)}",
            instance_type=settings.instance_type,
            iam_instance_profile=LaunchTemplateIamInstanceProfile(arn=profile.arn),
            vpc_security_group_ids=[security_group_id],
            metadata_options=LaunchTemplateMetadataOptions(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            # Scaling by CPU wants a value each minute.
            monitoring=LaunchTemplateMonitoring(enabled=True),
            block_device_mappings=[
                LaunchTemplateBlockDeviceMappings(
                    device_name=ROOT_DEVICE,
                    ebs=LaunchTemplateBlockDeviceMappingsEbs(
                        volume_type="gp3",
                        volume_size=settings.volume_gb,
                        encrypted="true",
                        kms_key_id=key_arn,
                        delete_on_termination="true",
                    ),
                )
            ],
            # default_tags end at the template: what it launches is tagged by it.
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags={**tags, "Name": site.name("web")})
                for kind in TAGGED
            ],
            user_data=user_data(
                region=site.region,
                bucket=site.bucket_name("code"),
                key=application.key,
                sha256=application.sha256,
                port=APPLICATION_PORT,
            ),
            depends_on=[role.granted, application.stored],
        )


class WebInstances(Construct):
    """How many there are, by CPU; another template rolls through, one instance more before one less.

    An instance is in service when its target is healthy and goes when its target has drained: both hooks wait for
    `register_targets`. It goes after ``max_instance_age_days`` at the latest, for a newer image.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        name: str,
        template: WebTemplate,
        subnet_ids: Sequence[str],
        tags: Mapping[str, str],
        after: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.web
        self.group = AutoscalingGroup(
            self,
            "group",
            name=name,
            min_size=settings.min_instances,
            max_size=settings.max_instances,
            vpc_zone_identifier=list(subnet_ids),
            launch_template=AutoscalingGroupLaunchTemplate(
                id=template.template.id, version=f"${{{template.template.fqn}.latest_version}}"
            ),
            # The load balancer's verdict comes by `register_targets`; it holds from then on.
            health_check_type="EC2",
            health_check_grace_period=settings.health_interval_s * (HEALTHY_AFTER + UNHEALTHY_AFTER),
            default_instance_warmup=settings.health_interval_s * HEALTHY_AFTER,
            max_instance_lifetime=settings.max_instance_age_days * DAY_S,
            instance_maintenance_policy=AutoscalingGroupInstanceMaintenancePolicy(
                min_healthy_percentage=100, max_healthy_percentage=200
            ),
            instance_refresh=AutoscalingGroupInstanceRefresh(
                strategy="Rolling",
                preferences=AutoscalingGroupInstanceRefreshPreferences(
                    min_healthy_percentage=100, max_healthy_percentage=200
                ),
            ),
            initial_lifecycle_hook=[
                AutoscalingGroupInitialLifecycleHook(
                    name=LAUNCH_HOOK,
                    lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
                    heartbeat_timeout=LAUNCH_S,
                    default_result="ABANDON",
                ),
                AutoscalingGroupInitialLifecycleHook(
                    name=TERMINATE_HOOK,
                    lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
                    heartbeat_timeout=settings.deregistration_delay_s + LOOKS_S,
                    default_result="CONTINUE",
                ),
            ],
            # default_tags don't reach Auto Scaling groups.
            tag=[
                AutoscalingGroupTag(key=key, value=value, propagate_at_launch=False)
                for key, value in {**tags, "Name": name}.items()
            ],
            depends_on=list(after),
        )
        AutoscalingPolicy(
            self,
            "cpu",
            name="cpu",
            autoscaling_group_name=self.group.name,
            policy_type="TargetTrackingScaling",
            target_tracking_configuration=AutoscalingPolicyTargetTrackingConfiguration(
                predefined_metric_specification=AutoscalingPolicyTargetTrackingConfigurationPredefinedMetricSpecification(
                    predefined_metric_type="ASGAverageCPUUtilization"
                ),
                target_value=settings.cpu_target_percent,
            ),
        )
