"""What becomes of a capability that is switched off in a running environment."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from shared.config import load
from tests.integration.conftest import Deployment


def bucket_exists(full: Deployment, region: str, name: str) -> bool:
    try:
        full.client("s3", region).head_bucket(Bucket=name)
    except ClientError:
        return False
    return True


def test_assets_that_are_switched_off_are_gone_after_retiring(full: Deployment) -> None:
    """LAY-04, OPT-03: stacks that the configuration no longer has are refused, and destroyed only with `--retire`;
    what the other stacks had of it goes with them, though there are objects in the buckets."""
    buckets = {region: full.output("edge", region, "assets_bucket_name") for region in full.regions}
    for region, bucket in buckets.items():
        full.client("s3", region).put_object(Bucket=bucket, Key="left-behind.txt", Body=b"x")
    text = full.config.read_text()
    full.config.write_text(re.sub(r"^assets\.enabled = true$", "assets.enabled = false", text, flags=re.MULTILINE))
    full.environment = load(full.config)
    refused = full.run("rollout")
    assert refused.returncode == 1
    assert "edge-links-us-east-1" in refused.stderr
    assert "tripoint rollout --retire" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert all(bucket_exists(full, region, bucket) for region, bucket in buckets.items())
    retired = full.run("rollout", "--retire")
    assert retired.returncode == 0, retired.stdout[-6000:] + retired.stderr[-3000:]
    assert not any(bucket_exists(full, region, bucket) for region, bucket in buckets.items())
    assert not full.client("cloudfront", "us-east-1").list_distributions()["DistributionList"].get("Items")
    assert not [name for name in full.outputs if "assets" in name or "edge-links" in name]
    assert full.run("diff").returncode == 0
