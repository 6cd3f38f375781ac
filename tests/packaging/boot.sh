#!/bin/bash
# Boots systemd as process 1 of namespaces of its own, on a copy of this host's files that nobody keeps, with clusterd's
# units as they are packaged; runs inside.sh there. To be run by `unshare`; FOLDER receives `out`.
#   boot.sh FOLDER REPOSITORY
set -euo pipefail
folder=$1 repo=$2 here=$(dirname "$(readlink -f "$0")")
mount --make-rprivate /
mkdir -p "$folder/layers"
mount -t tmpfs tmpfs "$folder/layers"
cd "$folder/layers"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root
root=$PWD/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir "$root/tmp/shared" "$root/tmp/repo"
mount --bind "$folder" "$root/tmp/shared"
mount --rbind "$repo" "$root/tmp/repo"
# A checkout below /tmp has to be found there as well.
mkdir -p "$root$repo"
mount --rbind "$repo" "$root$repo"
mount -o remount,bind,ro "$root$repo"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
	mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
	mkdir "$root/sys/fs/cgroup/systemd"
	mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
ip link set lo up

cp "$repo"/packaging/systemd/*.service "$root/etc/systemd/system/"
cp "$repo"/packaging/sysusers.d/*.conf "$root/usr/lib/sysusers.d/"
cp "$repo"/packaging/tmpfiles.d/*.conf "$root/usr/lib/tmpfiles.d/"
for service in router agent undoer web; do
	printf '#!/bin/sh\nexec env PYTHONPATH=/tmp/repo PYTHONDONTWRITEBYTECODE=1 %s -m watchers %s "$@"\n' \
		"$repo/.venv/bin/python" "$service" >"$root/usr/bin/clusterd-$service"
	chmod 755 "$root/usr/bin/clusterd-$service"
	mkdir -p "$root/etc/systemd/system/clusterd-$service.service.d"
	# The services find this checkout below /tmp, which their units replace: it is put there again.
	printf '[Service]\nBindReadOnlyPaths=%s /tmp/repo\n' "$repo" >"$root/etc/systemd/system/clusterd-$service.service.d/test.conf"
done
printf '[Service]\nWatchdogSec=3s\n' >"$root/etc/systemd/system/clusterd-router.service.d/quick.conf"
mkdir -p "$root/etc/clusterd"
printf 'endpoints = ["http://127.0.0.1:2379"]\nrouter = "r1"\ndata_plane = "dry_run"\n' >"$root/etc/clusterd/clusterd.toml"
cat >"$root/etc/systemd/system/test-etcd.service" <<-END
	[Unit]
	DefaultDependencies=no
	[Service]
	Type=notify
	# not below /tmp, which systemd empties when the first service wants sysinit.target: etcd ends 30 s later
	ExecStart=$(command -v etcd) --data-dir /var/lib/etcd-of-the-test
	Restart=always
END
cat >"$root/etc/systemd/system/test.service" <<-END
	[Unit]
	DefaultDependencies=no
	After=test-etcd.service
	Requires=test-etcd.service
	[Service]
	Type=oneshot
	StandardOutput=file:/tmp/shared/out
	StandardError=inherit
	Environment=PYTHON=$repo/.venv/bin/python
	ExecStart=/bin/bash $here/inside.sh
	ExecStopPost=/bin/systemctl exit 0 --force
END
printf '[Unit]\nDefaultDependencies=no\nRequires=test.service\n' >"$root/etc/systemd/system/test.target"
cd "$root"
mkdir -p former
pivot_root . former
umount -l /former
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=test.target
