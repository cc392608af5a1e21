"""The whole kopf surface - handlers enqueue, and do no more."""
