#!/bin/sh
# /usr/local/bin/aemon: runs the commands of the README and of the alerts as the user of the
# service and with its configuration.
exec runuser -u aemon -- \
  env AEMON_CONFIG="${AEMON_CONFIG:-/etc/aemon/aemon.yaml}" /opt/aemon/bin/aemon "$@"
