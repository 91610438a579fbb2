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
need redis-server redis-server
need redis-sentinel redis-sentinel
need systemd systemd-analyze

# Tests start servers of their own on free ports: what a package brings must not start with it, nor
# at the next boot. Debian asks this file before it starts a service; one of the machine's own stays.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    [ -e "$policy" ] && return 0
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}
disable_services() {
    for service in redis-server redis-sentinel; do
        case $missing in
        *" $service"*)
            if command -v systemctl >/dev/null 2>&1; then
                systemctl --quiet disable "$service" >/dev/null 2>&1 || true
            elif command -v update-rc.d >/dev/null 2>&1; then
                update-rc.d "$service" disable >/dev/null 2>&1 || true
            fi
            ;;
        esac
    done
}

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    forbid_services
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    disable_services
else
    echo "The tests need these Debian packages:$missing" >&2
    echo "Install them with:  sudo apt-get install$missing" >&2
    exit 1
fi
