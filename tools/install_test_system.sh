#!/bin/sh
# Install what the tests need beyond Python packages; quiet, and quick where all of it is there already.
# One line a need: the file or command that shows it is there, and Debian's package.
set -eu
needs='
/usr/lib/postgresql/*/bin/postgres postgresql
chromium chromium
/usr/share/fonts/truetype/liberation fonts-liberation
'
missing=
set -f
while read -r sign package; do
  [ -n "$sign" ] || continue
  set +f
  # shellcheck disable=SC2086
  if ! ls $sign >/dev/null 2>&1 && ! command -v "$sign" >/dev/null 2>&1; then missing="$missing $package"; fi
  set -f
done <<EOF
$needs
EOF
if [ -z "$missing" ]; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "the tests need:$missing (names of Debian's packages)" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
echo "installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
