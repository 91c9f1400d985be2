"""Replication of a bucket between regions.

Each region replicates what was written in it to every other region; S3 never replicates a replica again, so two
directions make no loop. S3 treats multi-Region KMS keys as single-Region ones: each end has its own key, and every
destination its own replica key (S3 user guide, "Replicating encrypted objects").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cdktf_cdktf_provider_aws.s3_bucket_replication_configuration import (
    S3BucketReplicationConfigurationA,
    S3BucketReplicationConfigurationRule,
    S3BucketReplicationConfigurationRuleDeleteMarkerReplication,
    S3BucketReplicationConfigurationRuleDestination,
    S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration,
    S3BucketReplicationConfigurationRuleDestinationMetrics,
    S3BucketReplicationConfigurationRuleDestinationMetricsEventThreshold,
    S3BucketReplicationConfigurationRuleDestinationReplicationTime,
    S3BucketReplicationConfigurationRuleDestinationReplicationTimeTime,
    S3BucketReplicationConfigurationRuleFilter,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteria,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects,
)
from constructs import Construct

from shared.grants import Grant
from shared.role import service_role
from shared.site import Site

# S3 Replication Time Control: 99.9 % of objects within 15 minutes, the only value S3 takes.
REPLICATION_MINUTES = 15


@dataclass(frozen=True)
class ReplicatedBucket:
    """One region's end of it: the bucket and the key that encrypts it."""

    name: str
    arn: str
    key_arn: str


class BucketReplication(Construct):
    """One region's bucket to all others: KMS on both ends, delete markers, metrics, a 15-minute time limit (PAY-11).

    The rule to a region is called ``to-<region>``; its metrics carry that name as ``RuleId``. ``thing`` is what the
    bucket is named after.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        thing: str,
        source: ReplicatedBucket,
        destinations: Mapping[str, ReplicatedBucket],
    ) -> None:
        super().__init__(scope, id)
        role = service_role(
            self,
            site=site,
            thing=f"{thing}-replication",
            service="s3.amazonaws.com",
            source_arn=site.bucket_arn(thing),
            does="replicate",
            grants=[
                *_read(site, thing, source),
                *(grant for region in destinations for grant in _write(region, destinations[region])),
            ],
        )
        S3BucketReplicationConfigurationA(
            self,
            "rules",
            bucket=source.name,
            role=role.arn,
            rule=[
                _rule(priority, region, destination)
                for priority, (region, destination) in enumerate(destinations.items(), start=1)
            ],
            depends_on=[role.granted],
        )


def _rule(priority: int, region: str, destination: ReplicatedBucket) -> S3BucketReplicationConfigurationRule:
    return S3BucketReplicationConfigurationRule(
        id=f"to-{region}",
        priority=priority,
        status="Enabled",
        # Everything: delete markers are not replicated by a rule that filters on tags.
        filter=S3BucketReplicationConfigurationRuleFilter(prefix=""),
        delete_marker_replication=S3BucketReplicationConfigurationRuleDeleteMarkerReplication(status="Enabled"),
        source_selection_criteria=S3BucketReplicationConfigurationRuleSourceSelectionCriteria(
            sse_kms_encrypted_objects=S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects(
                status="Enabled"
            )
        ),
        destination=S3BucketReplicationConfigurationRuleDestination(
            bucket=destination.arn,
            encryption_configuration=S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration(
                replica_kms_key_id=destination.key_arn
            ),
            metrics=S3BucketReplicationConfigurationRuleDestinationMetrics(
                status="Enabled",
                event_threshold=S3BucketReplicationConfigurationRuleDestinationMetricsEventThreshold(
                    minutes=REPLICATION_MINUTES
                ),
            ),
            replication_time=S3BucketReplicationConfigurationRuleDestinationReplicationTime(
                status="Enabled",
                time=S3BucketReplicationConfigurationRuleDestinationReplicationTimeTime(minutes=REPLICATION_MINUTES),
            ),
        ),
    )


def _read(site: Site, thing: str, source: ReplicatedBucket) -> list[Grant]:
    return [
        Grant(
            "ReadReplicationRules",
            ("s3:GetReplicationConfiguration", "s3:ListBucket"),
            (source.arn,),
        ),
        Grant(
            f"Read{thing.title()}",
            # Nothing here has tags: without the permissions for them S3 replicates the objects all the same
            # (S3 user guide, "Setting up permissions for live replication").
            ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl"),
            (f"{source.arn}/*",),
        ),
        Grant(f"Decrypt{thing.title()}", ("kms:Decrypt",), (source.key_arn,), _via_s3(site.region)),
    ]


def _write(region: str, destination: ReplicatedBucket) -> list[Grant]:
    name = region.replace("-", "")
    return [
        Grant(
            f"WriteReplicas{name}",
            ("s3:ReplicateObject", "s3:ReplicateDelete"),
            (f"{destination.arn}/*",),
        ),
        Grant(f"EncryptReplicas{name}", ("kms:Encrypt",), (destination.key_arn,), _via_s3(region)),
    ]


def _via_s3(region: str) -> dict[str, dict[str, str]]:
    return {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
