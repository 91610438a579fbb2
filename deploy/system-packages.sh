#!/bin/sh
# What the tests need beyond Python, on Debian. As root it is installed; otherwise it is named.
set -eu

missing=""
need() { # need PACKAGE COMMAND...
    package=$1
    shift
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 && return 0
    done
    missing="$missing $package"
}
need chromium chromium
need curl curl

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need these Debian packages:$missing" >&2
    echo "Install them with:  sudo apt-get install$missing" >&2
    exit 1
fi
