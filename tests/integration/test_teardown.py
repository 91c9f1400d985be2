"""The end of the deployment; the last test of the suite."""

from __future__ import annotations

from shared.site import Site
from tests.integration.conftest import Deployment


def test_destroy_leaves_nothing_of_the_environment(deployment: Deployment) -> None:
    """PAY-16: everything can be destroyed; LAY-04: in reverse order."""
    run = deployment.run("destroy", "--yes")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    suffix = deployment.environment.suffix
    for region in deployment.regions:
        left = [
            *deployment.client("dynamodb", region).list_tables()["TableNames"],
            *(bucket["Name"] for bucket in deployment.client("s3", region).list_buckets()["Buckets"]),
            *(
                function["FunctionName"]
                for function in deployment.client("lambda", region).list_functions()["Functions"]
            ),
            *(m["name"] for m in deployment.client("stepfunctions", region).list_state_machines()["stateMachines"]),
            *(bus["Name"] for bus in deployment.client("events", region).list_event_buses()["EventBuses"]),
            *(role["RoleName"] for role in deployment.client("iam", region).list_roles()["Roles"]),
            *deployment.client("sqs", region).list_queues().get("QueueUrls", []),
            *(topic["TopicArn"] for topic in deployment.client("sns", region).list_topics()["Topics"]),
            *(group["logGroupName"] for group in deployment.client("logs", region).describe_log_groups()["logGroups"]),
            *(api["name"] for api in deployment.client("apigateway", region).get_rest_apis()["items"]),
            *(c["DBClusterIdentifier"] for c in deployment.client("rds", region).describe_db_clusters()["DBClusters"]),
            *(
                b["LoadBalancerName"]
                for b in deployment.client("elbv2", region).describe_load_balancers()["LoadBalancers"]
            ),
            *(
                group["AutoScalingGroupName"]
                for group in deployment.client("autoscaling", region).describe_auto_scaling_groups()[
                    "AutoScalingGroups"
                ]
            ),
            *(trail["Name"] for trail in deployment.client("cloudtrail", region).describe_trails()["trailList"]),
            *(table["Name"] for table in deployment.client("glue", region).get_databases()["DatabaseList"]),
            *(found["Name"] for found in deployment.client("athena", region).list_work_groups()["WorkGroups"]),
        ]
        assert not [name for name in left if name.endswith(suffix) or f"{suffix}-" in name], region
        assert Site(deployment.environment, region).state_bucket not in left
    assert deployment.outputs == {}
