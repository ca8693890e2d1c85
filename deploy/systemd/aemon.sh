#!/bin/sh
# /usr/local/bin/aemon: what the README and the alerts tell root to type, as the service's user and
# with its configuration.
exec runuser -u aemon -- \
  env AEMON_CONFIG="${AEMON_CONFIG:-/etc/aemon/aemon.yaml}" /opt/aemon/bin/aemon "$@"
