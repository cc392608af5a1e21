"""The validators' scorers, played by the test where kwok completes Jobs without running anything.

Owns the reports: one for every Job that starts, made from the assignment that the Job would mount, filed under the
token of the validator's own scoring identity. So all that admission and the operator hold against a report holds here.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Mapping
from typing import Any

import urllib3

from installed_chart import Answer, Installation, path_of
from live_watch import Object, Watch

FULL = 65535


def report_for(text: str, weights: Mapping[str, int], *, quality_ppm: int = 999871) -> dict[str, Any]:
    """The report on an assignment: each miner's weight by its name, the full one for those not named."""
    assignment = json.loads(text)
    own = assignment["report"]
    scores = [
        {
            "uid": miner["uid"],
            "weight": weights.get(miner["name"], FULL),
            "samples": assignment["challenge"]["samplesPerMiner"],
            "qualityPpm": quality_ppm if weights.get(miner["name"], FULL) else 0,
        }
        for miner in assignment["miners"]
    ]
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ScoreReport",
        "metadata": {"name": own["name"], "namespace": own["namespace"], "ownerReferences": [own["ownerReference"]]},
        "spec": {
            "subnet": assignment["subnet"],
            "epoch": assignment["epoch"],
            "validator": {key: assignment["validator"][key] for key in ("name", "uid")},
            "assignmentDigest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
            "scores": scores,
            "startedAt": "2026-11-24T12:00:00Z",
            "finishedAt": "2026-11-24T12:00:01Z",
        },
    }


class Scorers:
    """Works off every Job of a namespace. Use it as a context.

    `weights` are by miner; `silent` names validators that do not report.
    """

    def __init__(self, server: Installation, namespace: str, weights: Mapping[str, int] | None = None) -> None:
        self.weights = dict(weights or {})
        self.silent: set[str] = set()
        self.refused: list[Answer] = []
        self.filed: list[str] = []
        self.failures: list[str] = []
        self._server = server
        self._namespace = namespace
        self._tokens: dict[str, str] = {}
        self._due: queue.Queue[Object | None] = queue.Queue()
        self._jobs = Watch(server, f"/apis/batch/v1/namespaces/{namespace}/jobs", self._noticed)
        self._thread = threading.Thread(target=self._work, name=f"scorers {namespace}", daemon=True)

    def __enter__(self) -> Scorers:
        self._thread.start()
        self._jobs.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._jobs.__exit__()
        self._due.put(None)
        self._thread.join(10)

    def token(self, validator: str, *, fresh: bool = False) -> str:
        """A token of a validator's scoring identity; a fresh one for another identity of the name."""
        if fresh or validator not in self._tokens:
            self._tokens[validator] = self._server.token(self._namespace, f"{validator}-scorer")
        return self._tokens[validator]

    def assignment(self, name: str) -> str:
        """The bytes of an assignment as a Job mounts them."""
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{name}"
        return str(self._server.must("GET", path)["data"]["assignment.json"])

    def file(self, report: dict[str, Any]) -> Answer:
        """File a report under its validator's identity."""
        validator, path = report["spec"]["validator"]["name"], path_of("scorereports", self._namespace)
        answer = self._server.request("POST", path, report, token=self.token(validator))
        if answer.status == 401:
            answer = self._server.request("POST", path, report, token=self.token(validator, fresh=True))
        return answer

    def _noticed(self, kind: str, job: Object) -> None:
        if kind == "ADDED":
            self._due.put(job)

    def _work(self) -> None:
        while (job := self._due.get()) is not None:
            if job["metadata"]["labels"]["assay.dev/name"] in self.silent:
                continue
            self._work_off(job["metadata"]["name"])

    def _work_off(self, job: str) -> None:
        """File the report, trying once more after a failure, as a Job with a backoffLimit of 1 does."""
        for attempt in range(2):
            try:
                answer = self.file(report_for(self.assignment(job), self.weights))
            except (AssertionError, urllib3.exceptions.HTTPError) as error:
                self.failures.append(f"{job}, attempt {attempt + 1}: {error!r}")
                continue
            if answer.status == 201:
                self.filed.append(job)
            elif answer.status != 409:
                self.refused.append(answer)
            return
