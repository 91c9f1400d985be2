"""Parliament over every policy document of the stacks, and what AWS says of the actions in them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rollout.scanners.checkov import ScanError
from rollout.scanners.policies import Policy

ABOVE_LOW = ("MEDIUM", "HIGH", "CRITICAL")

# Findings that are the analyser's own: (issue, where it is found) -> why.
ACCEPTED = {
    ("RESOURCE_MISMATCH", "aws_kms_key"): (
        "An alias is made and moved with a permission on the alias and one on the key, in the key's own policy "
        "(KMS Developer Guide, 'Controlling access to aliases'); the analyser wants both in one statement."
    ),
}


@dataclass(frozen=True)
class Remark:
    """One finding about one document."""

    where: str
    issue: str
    severity: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity} {self.issue} {self.detail}"


@dataclass(frozen=True)
class Analysis:
    """What the analyser says of the documents.

    Attributes
    ----------
    documents
        How many were read.
    remarks, accepted
        Findings that count, and those of :data:`ACCEPTED`.
    resource_types
        Action -> the types of resources that it can be restricted to; empty for none. AWS's Service Authorization
        Reference as the analyser brings it; an action that is not there does not exist.
    """

    documents: int
    remarks: list[Remark]
    accepted: list[Remark]
    resource_types: Mapping[str, list[str]]

    @property
    def above_low(self) -> list[Remark]:
        return [remark for remark in self.remarks if remark.severity in ABOVE_LOW]


def analyse(policies: Iterable[Policy], python: Path) -> Analysis:
    """Every document once; the same text in many places is one document.

    Raises
    ------
    ScanError
        When the analyser fails.
    """
    distinct = {json.dumps(policy.explicit, sort_keys=True): policy for policy in policies}
    actions = sorted(
        {action for policy in distinct.values() for one in policy.statements for action in actions_of(one)}
    )
    given = {
        "policies": [{"where": policy.where, "document": policy.explicit} for policy in distinct.values()],
        "actions": actions,
    }
    script = Path(__file__).with_name("parliament_audit.py")
    done = subprocess.run([python, "-P", script], input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ScanError(f"parliament failed: {done.stderr.strip()[-500:]}")
    answer = json.loads(done.stdout)
    types = {policy.where: policy.type for policy in distinct.values()}
    remarks = [Remark(**one) for one in answer["findings"]]
    accepted = [one for one in remarks if (one.issue, types[one.where]) in ACCEPTED]
    return Analysis(
        documents=len(distinct),
        remarks=[one for one in remarks if one not in accepted],
        accepted=accepted,
        resource_types={
            action: [type.removesuffix("*") for type in named if type] for action, named in answer["resources"].items()
        },
    )


def actions_of(statement: Mapping[str, object]) -> list[str]:
    """The actions of a statement, which IAM lets one write as a text or a list."""
    return listed(statement["Action"])


def listed(value: object) -> list[str]:
    """What IAM lets one write as a text or a list."""
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
