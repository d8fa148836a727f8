#!/bin/sh
# Make a virtual environment with Python 3.11 or later: make_venv.sh FOLDER
set -eu
folder=$1
if [ -x "$folder/bin/pip" ]; then exit 0; fi
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
  if command -v "$name" >/dev/null 2>&1 &&
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$name
    break
  fi
done
if [ -z "${python:-}" ]; then
  echo "searchkit needs Python 3.11 or later; on Debian and Ubuntu: apt-get install python3 python3-venv" >&2
  exit 1
fi
if ! "$python" -m venv "$folder" 2>/dev/null; then
  rm -rf "$folder"
  version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  echo "$python has no venv module: installing $version" >&2
  if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
  $sudo apt-get update -qq && $sudo apt-get install -y -qq "$version"
  "$python" -m venv "$folder"
fi
