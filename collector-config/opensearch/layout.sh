#!/usr/bin/env bash
# Install the layout of the spans' indices in OpenSearch, before Jaeger's first start; again is harmless.
#
#   bash layout.sh http://127.0.0.1:9200
#
# A span's document has the id of its span. Thus a span that is written twice, because one of the tiers was not sure of
# the first time, is stored once. Jaeger's own template, which maps the fields, is merged with this one.
set -euo pipefail
store=${1:-http://127.0.0.1:9200}

put() { # PATH BODY
  curl -sS --fail-with-body --retry 30 --retry-connrefused --retry-delay 2 -X PUT "$store/$1" \
    -H 'Content-Type: application/json' -d "$2"
  echo
}

put _ingest/pipeline/lmspan-span-id '{
  "description": "the id of a document is the id of its span",
  "processors": [{"script": {"source": "ctx._id = ctx.traceID + \"-\" + ctx.spanID"}}]
}'
put _template/lmspan-spans '{
  "index_patterns": ["*jaeger-span-*"],
  "order": 10,
  "settings": {
    "index.default_pipeline": "lmspan-span-id",
    "index.refresh_interval": "5s",
    "index.codec": "best_compression",
    "index.mapping.nested_objects.limit": 100000
  }
}'
