"""The resources of assay.dev as frozen models, and their rendering into CRDs. Imports nothing of ours."""
