#!/usr/bin/env python3
"""Writes the chart's CRD templates from `crds/`, the only source; `--check` compares instead and fails on a difference.

    python hack/render_chart_crds.py           # after `python -m assay crds --out crds/`
    python hack/render_chart_crds.py --check

A template is the CRD itself, behind the switch `crds.enabled` and with the metadata that only a release can give: the
keep policy of Helm, the user's annotations and the chart's labels. Nothing of the schema is decided here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "crds"
TARGET = ROOT / "charts" / "assay" / "templates" / "crds"

TEMPLATE = """\
{{{{- /* Rendered from crds/{file} by hack/render_chart_crds.py: change operator/assay/api instead. */ -}}}}
{{{{- if .Values.crds.enabled }}}}
apiVersion: {api_version}
kind: {kind}
metadata:
  name: {name}
  labels:
    {{{{- include "assay.labels" . | nindent 4 }}}}
{annotations}spec:
{spec}{{{{- end }}}}
"""

ANNOTATIONS = """\
  {{- if or .Values.crds.keep .Values.crds.annotations }}
  annotations:
    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.crds.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
"""

ANNOTATIONS_WITH_OWN = """\
  annotations:
{own}    {{{{- if .Values.crds.keep }}}}
    helm.sh/resource-policy: keep
    {{{{- end }}}}
    {{{{- with .Values.crds.annotations }}}}
    {{{{- toYaml . | nindent 4 }}}}
    {{{{- end }}}}
"""


def render_all(source: Path = SOURCE) -> dict[str, str]:
    """Every template by file name. Raises ValueError if a file of `source` is not one CustomResourceDefinition."""
    return {path.name: render(path.name, yaml.safe_load(path.read_text())) for path in sorted(source.glob("*.yaml"))}


def render(file: str, crd: object) -> str:
    """One CRD as a template of the chart."""
    if not isinstance(crd, dict) or crd.get("kind") != "CustomResourceDefinition":
        raise ValueError(
            f"crds/{file}: expected one CustomResourceDefinition; render crds/ anew with `assay crds --out crds/`"
        )
    metadata = crd["metadata"]
    unknown = sorted(set(metadata) - {"name", "annotations"})
    if unknown:
        raise ValueError(f"crds/{file}: metadata.{unknown[0]}: only name and annotations are carried into the chart")
    own = metadata.get("annotations")
    return TEMPLATE.format(
        file=file,
        api_version=crd["apiVersion"],
        kind=crd["kind"],
        name=metadata["name"],
        annotations=ANNOTATIONS_WITH_OWN.format(own=_block(own, indent=4)) if own else ANNOTATIONS,
        spec=_block(crd["spec"], indent=2),
    )


def _block(value: object, indent: int) -> str:
    """`value` as indented YAML in which no text is taken for a template action."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
    text = text.replace("{{", "{{`{{`}}")
    return "".join(f"{' ' * indent}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def differences(rendered: dict[str, str], target: Path = TARGET) -> list[str]:
    """What is not as rendered, one sentence a file."""
    present = {path.name: path.read_text() for path in target.glob("*.yaml")}
    missing = [f"{name}: missing in the chart" for name in sorted(rendered.keys() - present.keys())]
    surplus = [f"{name}: in the chart, but not in crds/" for name in sorted(present.keys() - rendered.keys())]
    changed = [
        f"{name}: differs from crds/"
        for name in sorted(rendered.keys() & present.keys())
        if rendered[name] != present[name]
    ]
    return missing + surplus + changed


def main(argv: list[str]) -> int:
    """Exit status: 0 as asked, 1 on a difference under --check or with nothing to render."""
    parser = argparse.ArgumentParser(description="Render the chart's CRD templates from crds/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the chart's copies differ")
    arguments = parser.parse_args(argv)
    rendered = render_all()
    if not rendered:
        print("crds/ holds no CRD: run `python -m assay crds --out crds/` first", file=sys.stderr)
        return 1
    found = differences(rendered)
    if arguments.check:
        for line in found:
            print(f"charts/assay/templates/crds/{line}; run `python hack/render_chart_crds.py`", file=sys.stderr)
        return 1 if found else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for path in TARGET.glob("*.yaml"):
        if path.name not in rendered:
            path.unlink()
    for name, text in rendered.items():
        (TARGET / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
