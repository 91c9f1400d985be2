"""The logs as Athena sees them, in plain data: columns, where partitions lie, how lines are taken apart.

Partitions are projected from the names of their folders ("Use partition projection with Amazon Athena", Athena User
Guide): nothing has to be told of a new day. Where a query would otherwise read every folder there ever was, the
partition is `injected`: Athena refuses a query that does not name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.config import known_regions
from shared.site import Site
from stacks.observability.audit.bucket import TRAIL

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """How files are read: Hive's classes, and what the serde is told."""

    input: str
    output: str
    serde: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """One table: ``folder`` is where it lies, ``partition`` what comes below, with ``${...}`` for partition columns."""

    name: str
    says: str
    folder: str
    partition: str
    columns: Columns
    partitions: Columns
    projection: Mapping[str, str]
    format: Format

    @property
    def parameters(self) -> dict[str, str]:
        """The table's properties, as Glue keeps them."""
        return {
            "EXTERNAL": "TRUE",
            "projection.enabled": "true",
            **{f"projection.{name}": value for name, value in self.projection.items()},
            "storage.location.template": f"{self.folder}{self.partition}",
        }


TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


def tables(site: Site) -> list[Table]:
    """What can be asked about: the trail, each region's access logs, and its flow logs where they are files."""
    sites = [site.at(region) for region in site.environment.regions]
    files = [flow_logs(at) for at in sites] if site.settings.flow_logs.enabled else []
    return [trail(site), *(access_logs(at) for at in sites), *files]


def _in(site: Site, name: str) -> str:
    """The name of a region's table."""
    return f"{name}_{site.region.replace('-', '_')}"


# -- the trail ------------------------------------------------------------------------------------

_SESSION = (
    "struct<attributes:struct<mfaauthenticated:string,creationdate:string>,"
    "sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,"
    "ec2roledelivery:string,"
    "webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>"
)


def trail(site: Site) -> Table:
    """Every event of every region, after "Create a table for CloudTrail logs in Athena using partition projection".

    All regions that there are, not only those of the environment: what happens where nothing is deployed is what one
    wants to see.
    """
    return Table(
        name="trail",
        says="Who did what, in every region: management events; data events of receipts, payments and personal data.",
        folder=f"s3://{site.bucket_name(TRAIL)}/AWSLogs/{site.account_id}/CloudTrail/",
        partition="${region}/${day}",
        columns={
            "eventversion": "string",
            "useridentity": "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,"
            "accesskeyid:string,username:string,onbehalfof:struct<userid:string,identitystorearn:string>,"
            f"sessioncontext:{_SESSION}>",
            "eventtime": "string",
            "eventsource": "string",
            "eventname": "string",
            "awsregion": "string",
            "sourceipaddress": "string",
            "useragent": "string",
            "errorcode": "string",
            "errormessage": "string",
            "requestparameters": "string",
            "responseelements": "string",
            "additionaleventdata": "string",
            "requestid": "string",
            "eventid": "string",
            "readonly": "string",
            "resources": "array<struct<arn:string,accountid:string,type:string>>",
            "eventtype": "string",
            "apiversion": "string",
            "recipientaccountid": "string",
            "serviceeventdetails": "string",
            "sharedeventid": "string",
            "vpcendpointid": "string",
            "vpcendpointaccountid": "string",
            "eventcategory": "string",
            "addendum": "struct<reason:string,updatedfields:string,originalrequestid:string,originaleventid:string>",
            "sessioncredentialfromconsole": "string",
            "edgedevicedetails": "string",
            "tlsdetails": "struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>",
        },
        partitions={"region": "string", "day": "string"},
        projection={
            "region.type": "enum",
            "region.values": ",".join(sorted(known_regions())),
            "day.type": "date",
            "day.format": "yyyy/MM/dd",
            "day.range": f"NOW-{site.settings.audit.retention_days}DAYS,NOW",
            "day.interval": "1",
            "day.interval.unit": "DAYS",
        },
        format=Format(
            "com.amazon.emr.cloudtrail.CloudTrailInputFormat",
            TEXT_OUTPUT,
            "org.apache.hive.hcatalog.data.JsonSerDe",
            {},
        ),
    )


# -- access logs ----------------------------------------------------------------------------------

# "Amazon S3 server access log format" (S3 User Guide): the eight fields at the end were added over the years, and more
# may follow.
ACCESS_LOG = {
    "bucketowner": ("string", r"([^ ]*)"),
    "bucket_name": ("string", r"([^ ]*)"),
    "requestdatetime": ("string", r"\[(.*?)\]"),
    "remoteip": ("string", r"([^ ]*)"),
    "requester": ("string", r"([^ ]*)"),
    "requestid": ("string", r"([^ ]*)"),
    "operation": ("string", r"([^ ]*)"),
    "key": ("string", r"([^ ]*)"),
    "request_uri": ("string", r'("[^"]*"|-)'),
    "httpstatus": ("string", r"(-|[0-9]*)"),
    "errorcode": ("string", r"([^ ]*)"),
    "bytessent": ("string", r"([^ ]*)"),
    "objectsize": ("string", r"([^ ]*)"),
    "totaltime": ("string", r"([^ ]*)"),
    "turnaroundtime": ("string", r"([^ ]*)"),
    "referrer": ("string", r'("[^"]*"|-)'),
    "useragent": ("string", r'("[^"]*"|-)'),
    "versionid": ("string", r"([^ ]*)"),
}
ACCESS_LOG_ADDED = (
    "hostid",
    "sigv",
    "ciphersuite",
    "authtype",
    "endpoint",
    "tlsversion",
    "accesspointarn",
    "aclrequired",
)
ACCESS_LOG_REGEX = (
    " ".join(pattern for _, pattern in ACCESS_LOG.values())
    + "(?: "
    + " ".join("([^ ]*)" for _ in ACCESS_LOG_ADDED)
    + ")?.*$"
)


def access_logs(site: Site) -> Table:
    """The region's S3 server access logs. A folder is one bucket's; S3 partitions them no further as long as the core's
    own logging of receipts does not."""
    return Table(
        name=_in(site, "access_logs"),
        says=f"Every request to a bucket of {site.region}, best effort, some hours late. `logged` is which: receipts, "
        "state, ...",
        folder=f"s3://{site.bucket_name('logs')}/",
        partition="${logged}/",
        columns={
            **{name: kind for name, (kind, _) in ACCESS_LOG.items()},
            **dict.fromkeys(ACCESS_LOG_ADDED, "string"),
        },
        partitions={"logged": "string"},
        projection={"logged.type": "injected"},
        format=Format(
            "org.apache.hadoop.mapred.TextInputFormat",
            TEXT_OUTPUT,
            "org.apache.hadoop.hive.serde2.RegexSerDe",
            {"input.regex": ACCESS_LOG_REGEX, "serialization.format": "1"},
        ),
    )


# -- flow logs ------------------------------------------------------------------------------------


def flow_logs(site: Site) -> Table:
    """The region's VPC flow logs, in the default format; "Flow log files" (VPC User Guide) says where they lie."""
    return Table(
        name=_in(site, "flow_logs"),
        says=f"Every flow of the VPC in {site.region}.",
        folder=f"s3://{site.bucket_name('flow-logs')}/AWSLogs/aws-account-id={site.account_id}/"
        f"aws-service=vpcflowlogs/aws-region={site.region}/",
        partition="year=${year}/month=${month}/day=${day}/hour=${hour}",
        columns={
            "version": "int",
            "account_id": "string",
            "interface_id": "string",
            "srcaddr": "string",
            "dstaddr": "string",
            "srcport": "int",
            "dstport": "int",
            "protocol": "bigint",
            "packets": "bigint",
            "bytes": "bigint",
            "start": "bigint",
            "end": "bigint",
            "action": "string",
            "log_status": "string",
        },
        partitions={"year": "string", "month": "int", "day": "int", "hour": "int"},
        projection={
            "year.type": "injected",
            **_two_digits("month", 1, 12),
            **_two_digits("day", 1, 31),
            **_two_digits("hour", 0, 23),
        },
        format=Format(
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            {"serialization.format": "1"},
        ),
    )


def _two_digits(column: str, first: int, last: int) -> dict[str, str]:
    return {f"{column}.type": "integer", f"{column}.range": f"{first},{last}", f"{column}.digits": "2"}
