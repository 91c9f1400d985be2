"""The questions that an incident starts with, as text. `?` are Athena's execution parameters.

Each names the partitions that it reads; the trail's last week unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.site import Site
from stacks.observability.audit.tables import access_logs, flow_logs

WEEK = "day >= date_format(current_date - interval '7' day, '%Y/%m/%d')"
WHO = "useridentity.arn AS who, sourceipaddress, useragent"


@dataclass(frozen=True)
class Query:
    """One named query."""

    thing: str
    says: str
    text: str


def queries(site: Site) -> list[Query]:
    """What can be asked in this environment."""
    found = [_receipt(site), _denied(), _personal_data(site), _requests(site)]
    return [*found, _rejected(site)] if site.settings.flow_logs.enabled else found


def _receipt(site: Site) -> Query:
    buckets = ", ".join(f"'{site.at(region).bucket_name('receipts')}'" for region in site.environment.regions)
    return Query(
        "who-read-this-receipt",
        "Parameter: the payment's id, in quotes. Every read and write of its receipt in any region, replication aside.",
        f"""SELECT eventtime, awsregion, eventname, errorcode, {WHO}
FROM trail
WHERE {WEEK}
  AND eventsource = 's3.amazonaws.com'
  AND json_extract_scalar(requestparameters, '$.bucketName') IN ({buckets})
  AND strpos(json_extract_scalar(requestparameters, '$.key'), ?) > 0
ORDER BY eventtime""",
    )


def _denied() -> Query:
    return Query(
        "what-was-denied",
        "Who was denied what, how often and when last.",
        f"""SELECT useridentity.arn AS who, eventsource, eventname, errorcode, awsregion,
       count(*) AS times, max(eventtime) AS last, arbitrary(errormessage) AS says
FROM trail
WHERE {WEEK}
  AND (errorcode LIKE 'AccessDenied%' OR errorcode LIKE '%UnauthorizedOperation')
GROUP BY 1, 2, 3, 4, 5
ORDER BY times DESC""",
    )


def _personal_data(site: Site) -> Query:
    return Query(
        "who-used-personal-data",
        "Every role and user that read or wrote the vault of any region, how often and when last.",
        f"""SELECT coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn) AS who,
       awsregion, eventname, count(*) AS times, max(eventtime) AS last
FROM trail
WHERE {WEEK}
  AND eventsource = 'dynamodb.amazonaws.com'
  AND any_match(resources, one -> one.arn LIKE '%:table/{site.name("vault")}')
GROUP BY 1, 2, 3
ORDER BY times DESC""",
    )


def _requests(site: Site) -> Query:
    return Query(
        "requests-for-this-receipt",
        "Parameter, once per region: the payment's id, in quotes. From S3's access logs: anonymous requests too.",
        _of_all_regions(
            site,
            lambda at: (
                f"""SELECT '{at.region}' AS region, requestdatetime, requester, remoteip, operation, httpstatus, key
FROM {access_logs(at).name}
WHERE logged = 'receipts' AND strpos(key, ?) > 0"""
            ),
        ),
    )


def _rejected(site: Site) -> Query:
    return Query(
        "rejected-traffic",
        "What the security groups rejected today, by addresses and port.",
        _of_all_regions(
            site,
            lambda at: (
                f"""SELECT '{at.region}' AS region, srcaddr, dstaddr, dstport, sum(packets) AS packets
FROM {flow_logs(at).name}
WHERE year = cast(year(current_date) AS varchar) AND month = month(current_date) AND day = day(current_date)
  AND action = 'REJECT'
GROUP BY 1, 2, 3, 4"""
            ),
        ),
    )


def _of_all_regions(site: Site, select: Callable[[Site], str]) -> str:
    return "\nUNION ALL\n".join(select(site.at(region)) for region in site.environment.regions)
