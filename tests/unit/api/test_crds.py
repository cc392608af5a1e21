"""The CRDs in crds/: rendered from the models, complete, bounded, and in words that help."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.api import KINDS, Resource
from assay.api.crd import manifest_of, render
from assay.cli import crds

ROOT = Path(__file__).resolve().parents[3]
NAMES = [kind.DEFINITION.kind for kind in KINDS]


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value in a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def schema_nodes(kind: type[Resource]) -> list[tuple[str, dict[str, Any]]]:
    root = manifest_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = (root["properties"][part] for part in ("spec", "status"))
    return [node for part, name in zip(parts, ("spec", "status"), strict=True) for node in nodes(part, name)]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_file_in_crds_is_what_the_models_render(kind: type[Resource]) -> None:
    committed = (ROOT / "crds" / f"{kind.DEFINITION.plural}.yaml").read_text(encoding="utf-8")
    assert committed == render(kind), "run `python -m assay crds --out crds/`"


def test_crds_holds_one_file_per_kind_and_nothing_else() -> None:
    assert sorted(path.name for path in (ROOT / "crds").iterdir()) == sorted(
        f"{k.DEFINITION.plural}.yaml" for k in KINDS
    )


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_text_is_the_manifest(kind: type[Resource]) -> None:
    assert yaml.safe_load(render(kind)) == manifest_of(kind)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_every_field_is_described(kind: type[Resource]) -> None:
    fields = [(path, node) for path, node in schema_nodes(kind) if not path.endswith(("]", "}"))]
    assert [path for path, node in fields if not node.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_every_list_says_how_appliers_share_it(kind: type[Resource]) -> None:
    lists = [(path, node) for path, node in schema_nodes(kind) if node["type"] == "array"]
    assert [path for path, node in lists if "x-kubernetes-list-type" not in node] == []


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_every_rule_has_a_message_that_names_a_remedy_or_the_form(kind: type[Resource]) -> None:
    rules = [rule for _, node in schema_nodes(kind) for rule in node.get("x-kubernetes-validations", ())]
    messages = {rule["message"] for rule in rules}
    assert all(len(message) < 300 and "\n" not in message for message in messages)
    assert [message for message in messages if not {";", ":", ","} & set(message)] == []


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_spec_has_no_opaque_part_but_pod_templates(kind: type[Resource]) -> None:
    opaque = [path for path, node in schema_nodes(kind) if node.get("x-kubernetes-preserve-unknown-fields")]
    assert [path for path in opaque if not path.endswith((".podTemplate.metadata", ".podTemplate.spec"))] == []


def test_the_command_writes_the_files(tmp_path: Path) -> None:
    crds.run(tmp_path / "out")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        f"{kind.DEFINITION.plural}.yaml": render(kind) for kind in KINDS
    }


def test_the_command_prints_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    crds.run(None)
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [manifest_of(kind) for kind in KINDS]


def test_the_command_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(crds.typer.Exit):
        crds.run(blocked / "out")
    assert "cannot write there: Not a directory; name a folder that you may write to" in capsys.readouterr().err
