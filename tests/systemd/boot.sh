#!/bin/bash
# Boots systemd as process 1 of namespaces of its own, over a copy-on-write view of this machine's
# files, and without the right to touch its kernel; nothing of the machine is changed. The network is
# the machine's, so that callers outside reach what runs here.
#
# boot.sh CGROUP WORK SHARED CODE PACKAGES PYTHON VERSION
#   CGROUP    a folder in the cgroup2 tree, made for this machine
#   WORK      an empty folder, for mounts
#   SHARED    a folder that is /srv there
#   CODE      the release, /opt/code there
#   PACKAGES  the site-packages folder that has its libraries, /opt/packages there
#   PYTHON    the interpreter's prefix, /opt/python there
#   VERSION   the interpreter's, such as 3.11
set -euo pipefail
if [ $# -eq 7 ]; then
    echo $$ >"$1/cgroup.procs"
    exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup \
        setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-sys_rawio "$0" "$@" inside
fi
work=$2 shared=$3 code=$4 packages=$5 python=$6 version=$7
root=$work/root

mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
for place in srv opt/code opt/packages opt/python opt/txmesh/.venv; do
    mkdir -p "$root/$place"
done
mount --bind "$shared" "$root/srv"
for pair in "$code:code" "$packages:packages" "$python:python"; do
    mount --bind "${pair%:*}" "$root/opt/${pair##*:}"
    mount -o remount,bind,ro "$root/opt/${pair##*:}"
done

# The release's environment, where deploy/systemd expects it: no unit sees what lies under /home or
# /root, as interpreter and checkout may.
venv=$root/opt/txmesh/.venv
mkdir -p "$venv/bin" "$venv/lib/python$version/site-packages"
ln -s "/opt/python/bin/python$version" "$venv/bin/python"
printf 'home = /opt/python/bin\n' >"$venv/pyvenv.cfg"
printf '/opt/code\n/opt/packages\n' >"$venv/lib/python$version/site-packages/release.pth"
printf '#!/opt/txmesh/.venv/bin/python\nfrom twisted.scripts.twistd import run\nrun()\n' \
    >"$venv/bin/twistd"
printf '#!/opt/txmesh/.venv/bin/python\nfrom services.ops import main\nmain()\n' \
    >"$venv/bin/txmesh"
chmod 755 "$venv/bin/twistd" "$venv/bin/txmesh"

# The kernel is the machine's own, and so are its settings and devices: nobody writes to them. (With
# devices that are read-only, systemd waits for none of them either.)
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/var/log"

# Of the machine's own units none begins, but what keeps the log and what every boot does.
rm -rf "$root/etc/systemd/system" "$root/var/lib/txmesh" "$root/etc/fstab"
mkdir -p "$root/etc/systemd/system"
cat >"$root/etc/systemd/system/tests.target" <<TARGET
[Unit]
Requires=systemd-journald.service
After=systemd-journald.service
AllowIsolate=yes
TARGET

# An interpreter that has its library beside it looks where it was built, which units may not see.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n' \
    >"$root/etc/systemd/system.conf.d/interpreter.conf"

mkdir "$root/before"
cd "$root"
pivot_root . before
umount -l /before
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    /lib/systemd/systemd --system --unit=tests.target --show-status=false --log-target=journal
