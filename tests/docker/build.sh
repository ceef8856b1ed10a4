#!/bin/sh
# Builds the Dockerfile's images with no Docker and no registry of images: buildah with chroot
# isolation, over a Debian made by debootstrap and tagged with the name that the Dockerfile gives.
#
#   build.sh base                makes the base, once; kept in .gatehouse/cache
#   build.sh image TARGET        builds gatehouse-TARGET
#   build.sh buildah ARGUMENT…   buildah on the same storage
#   build.sh clean               removes images and containers, keeps the base
set -eu

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
CACHE=$ROOT/.gatehouse/cache
WORK=$ROOT/.gatehouse/docker
SUITE=bookworm
BASE=docker.io/library/debian:12-slim

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
in_storage() { buildah --root "$WORK/storage" --runroot "$WORK/run" "$@"; }

base() {
  mkdir -p "$CACHE" "$WORK"
  if [ ! -f "$CACHE/$SUITE.tar" ]; then
    folder=$(mktemp -d "$WORK/debootstrap.XXXXXX")
    # A kept folder would hold device files and mounts, a tar of it holds files.
    debootstrap --variant=minbase "$SUITE" "$folder" >"$WORK/debootstrap.log" 2>&1 || {
      tail -n 5 "$WORK/debootstrap.log" >&2
      rm -rf "$folder"
      return 1
    }
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
    tar -C "$folder" --one-file-system -cf "$CACHE/$SUITE.tar.new" .
    mv "$CACHE/$SUITE.tar.new" "$CACHE/$SUITE.tar"
    rm -rf "$folder"
  fi
  in_storage inspect --type image "$BASE" >/dev/null 2>&1 && return
  printf 'FROM scratch\nADD %s.tar /\nCMD ["bash"]\n' "$SUITE" >"$WORK/Containerfile"
  in_storage build --quiet --layers=false --tag "$BASE" --file "$WORK/Containerfile" "$CACHE"
}

image() { # TARGET
  set -- --target "$1" --tag "gatehouse-$1"
  # The machine's own trusted certificates, in case a proxy stands between it and the registry.
  trusted=/etc/ssl/certs/ca-certificates.crt
  [ ! -f "$trusted" ] || set -- "$@" --secret "id=ca,src=$trusted" --build-arg CA_FILE=/run/secrets/ca
  in_storage build --pull-never --layers "$@" --file "$ROOT/Dockerfile" "$ROOT"
}

command=$1
shift
case $command in
  base) base ;;
  image) image "$1" ;;
  buildah) in_storage "$@" ;;
  clean) rm -rf "$WORK" ;;
  *) echo "build.sh: no command $command" >&2 && exit 2 ;;
esac
