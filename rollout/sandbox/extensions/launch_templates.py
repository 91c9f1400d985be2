"""A launch template's volumes keep the KMS key that they are encrypted with.

Upstream: `kms_key_id` of a block device is accepted and forgotten, so it differs in every plan.

AWS: LaunchTemplateEbsBlockDevice, `KmsKeyId` (EC2 API reference).

Patched: `_parse_lt_data`, `_lt_data_xml`.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    instances = module("services.ec2")

    def parse(original: Any, params: Any, prefix: str = "LaunchTemplateData") -> Any:
        data = original(params, prefix)
        for number, device in enumerate(data.get("BlockDeviceMappings", []), 1):
            key = instances._p(params, f"{prefix}.BlockDeviceMapping.{number}.Ebs.KmsKeyId")
            if key:
                device.setdefault("Ebs", {})["KmsKeyId"] = key
        return data

    def written(original: Any, data: Any) -> str:
        volumes = [device["Ebs"] for device in data.get("BlockDeviceMappings", []) if "Ebs" in device]
        first, *rest = original(data).split("</ebs>")
        keys = [f"<kmsKeyId>{escape(ebs['KmsKeyId'])}</kmsKeyId>" if "KmsKeyId" in ebs else "" for ebs in volumes]
        return str(first) + "".join(f"{key}</ebs>{text}" for key, text in zip(keys, rest, strict=True))

    wrap(instances, "_parse_lt_data", parse)
    wrap(instances, "_lt_data_xml", written)
