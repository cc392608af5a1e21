"""(spec, facts) -> complete child manifests. Pure."""
