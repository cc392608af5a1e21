"""Every manifest in the documents is one that the models take whole, and that assay would carry out."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from assay.api import KINDS, Assignment, ModelDeployment, ValidatorPolicy
from assay.desired.scoring_job import scoring_job
from assay.desired.triton import refused_arguments, workload
from assay.scoring.dataset import read_dataset
from assay.triton.address import parse_address
from assignments import assignment_object
from documents import manifests, our_manifests

OURS = [pytest.param(document, id=identity) for identity, document in our_manifests()]
MODELS = {kind.DEFINITION.kind: kind for kind in KINDS}


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(document, id=identity) for identity, document in our_manifests() if document["kind"] == kind]


def unread(written: Any, read: Any, path: str) -> Iterator[str]:
    """What stands in a manifest and did not survive being read: a field of another name, or in another place."""
    if isinstance(written, Mapping):
        for key, value in written.items():
            if not isinstance(read, Mapping) or key not in read:
                yield f"{path}.{key}"
            else:
                yield from unread(value, read[key], f"{path}.{key}")
    elif isinstance(written, list):
        for index, (one, other) in enumerate(zip(written, read, strict=True)):
            yield from unread(one, other, f"{path}[{index}]")
    elif written != read:
        yield f"{path}: {written!r} was read as {read!r}"


def test_the_documents_have_manifests_of_every_kind_that_users_write() -> None:
    assert {document["kind"] for _, document in our_manifests()} >= {"Subnet", "ModelDeployment", "ValidatorPolicy"}


@pytest.mark.parametrize("document", OURS)
def test_a_manifest_is_read_whole(document: dict[str, Any]) -> None:
    read = MODELS[document["kind"]].parse(document).to_wire()
    assert list(unread(document["spec"], read["spec"], "spec")) == []


@pytest.mark.parametrize("document", of_kind("ModelDeployment"))
def test_a_miner_of_the_documents_would_be_carried_out(document: dict[str, Any]) -> None:
    deployment = ModelDeployment.parse(document)
    if deployment.spec.triton is not None:
        assert refused_arguments(deployment.spec.triton) == []
        assert workload(deployment, image="registry.example.com/triton:1", defaulted=True)["kind"] == "Deployment"
    if deployment.spec.endpoint is not None:
        assert parse_address(deployment.spec.endpoint.url).port > 0


@pytest.mark.parametrize("document", of_kind("ValidatorPolicy"))
def test_a_validator_of_the_documents_would_be_carried_out(document: dict[str, Any]) -> None:
    policy = ValidatorPolicy.parse(document)
    task = Assignment.model_validate(assignment_object(miners=["grpc://miner.example:8001"]))
    job = scoring_job(policy, task, image="registry.example.com/assay:1", active_deadline_s=60, ttl_s=600)
    assert job["kind"] == "Job"


def test_the_datasets_of_the_documents_can_be_read(tmp_path: Path) -> None:
    found = [
        text
        for _, document in manifests()
        if document["kind"] == "ConfigMap"
        for key, text in document["data"].items()
        if key.endswith(".jsonl")
    ]
    assert found
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(text, encoding="utf-8")
        challenges = read_dataset(path, 1024, ("seed",))
        assert len(challenges) == len(text.strip().splitlines())
