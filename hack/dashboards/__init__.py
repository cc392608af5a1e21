"""The Grafana dashboards of the chart, as code. `hack/generate_dashboards.py` writes them out as JSON."""
