"""Where a pod finds its model repository: an OCI image, a volume or a ConfigMap, always mounted read-only.

Image and volume hold a repository in Triton's own layout, `<model>/config.pbtxt` and `<model>/<version>/...`, at their
root or below `subPath`. A ConfigMap has no directories: its key `config.pbtxt` is the model's configuration, and all
its keys are files of the one version.
"""

from typing import Any, Final

from assay.api import ClaimedModel, ModelSource

VOLUME: Final = "model"
MODELS_DIRECTORY: Final = "/models"
CONFIGURATION_KEY: Final = "config.pbtxt"


def model_volume(source: ModelSource) -> dict[str, Any]:
    """The volume that holds the model."""
    if source.image is not None:
        return {
            "name": VOLUME,
            "image": {"reference": source.image.reference, "pullPolicy": source.image.pull_policy},
        }
    if source.persistent_volume_claim is not None:
        claim = {"claimName": source.persistent_volume_claim.claim_name, "readOnly": True}
        return {"name": VOLUME, "persistentVolumeClaim": claim}
    if source.config_map is not None:
        return {"name": VOLUME, "configMap": {"name": source.config_map.name}}
    raise ValueError("spec.triton.source: empty; set exactly one of image, persistentVolumeClaim and configMap")


def model_mounts(model: ClaimedModel, source: ModelSource) -> list[dict[str, Any]]:
    """Where that volume is mounted, so that the model repository stands at `MODELS_DIRECTORY`."""
    if source.config_map is None:
        return [{"name": VOLUME, "mountPath": MODELS_DIRECTORY, "readOnly": True}]
    directory = f"{MODELS_DIRECTORY}/{model.name}"
    return [
        {
            "name": VOLUME,
            "mountPath": f"{directory}/{CONFIGURATION_KEY}",
            "subPath": CONFIGURATION_KEY,
            "readOnly": True,
        },
        {"name": VOLUME, "mountPath": f"{directory}/{model.version}", "readOnly": True},
    ]


def sub_path(source: ModelSource) -> str:
    """The repository's directory in the volume; empty for its root."""
    if source.image is not None:
        return source.image.sub_path
    return source.persistent_volume_claim.sub_path if source.persistent_volume_claim is not None else ""
