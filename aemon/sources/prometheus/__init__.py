"""PromQL range queries as records: Prometheus, VictoriaMetrics, Thanos, Mimir."""
