"""Alert rules and dashboards as values; `make dashboards` makes the files of manifests/base/monitoring of them."""
