"""How kopf is set.

Owns every deviation from kopf's defaults, each with its reason. It must never enable anything by which kopf writes. The
numbers H1 to H14 are the hazards in docs/adr/0020-kopf-watches-it-does-not-reconcile.md.
"""

import kopf

from assay.handlers.storage import NullDiffBase, NullProgress


def build() -> kopf.OperatorSettings:
    """Fresh settings; kopf changes the ones it is given."""
    s = kopf.OperatorSettings()
    s.peering.standalone = True  # a Lease elects the leader: peering pauses all replicas of equal priority (H12)
    s.scanning.disabled = True  # no watches of namespaces and CRDs: fewer rights, and our CRDs are awaited before
    s.posting.enabled = False  # Events are written by assay.kube.recorder, which deduplicates
    s.persistence.diffbase_storage = NullDiffBase()  # annotations can be forged (H11)
    s.persistence.progress_storage = NullProgress()
    s.watching.server_timeout = 300
    s.watching.client_timeout = 330
    s.watching.inactivity_timeout = 70.0  # the server sends a bookmark a minute (H13)
    s.watching.chunk_size = 500
    s.networking.request_timeout = 30.0
    s.networking.connect_timeout = 5.0
    # kopf's own go up to 21 s, too long to wait after an outage; it repeats these, for every kind, as long as one
    # lasts.
    s.networking.error_backoffs = (1, 2, 4, 8)
    s.queueing.worker_limit = None  # a limit can deadlock (H3)
    s.queueing.exit_timeout = 0.2  # workers only pass events on: at the end there is nothing to wait 2 s for
    s.process.ultimate_exiting_timeout = None  # else kopf kills the process when it ends unasked (H8)
    return s
