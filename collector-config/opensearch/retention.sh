#!/usr/bin/env bash
# Delete the indices of days that are older than DAYS from OpenSearch. Run it once a day.
#
#   bash retention.sh http://127.0.0.1:9200 30
set -euo pipefail
store=${1:-http://127.0.0.1:9200}
oldest=$(date -u -d "${2:-30} days ago" +%F)

curl -sS --fail "$store/_cat/indices/*jaeger-span-*,*jaeger-service-*?h=index" | while read -r index; do
  day=${index: -10}
  if [[ $day < $oldest ]]; then
    curl -sS --fail -X DELETE "$store/$index" > /dev/null
    echo "deleted $index"
  fi
done
