#!/bin/sh
# Process 1 of the lab machine, started by the kernel from the host's root file
# system, which is mounted over virtiofs.  It puts a tmpfs on top, so that the
# host keeps its files, and runs the job the host left in the shared folder.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
	case $word in lab.share=*) SHARE=${word#lab.share=} ;; esac
done
. "$SHARE/job.conf" # TREE, CWD, MODULES
mark() { read -r up _ </proc/uptime; echo "$1 $up" >>"$SHARE/trace"; }
mark init
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe -d "$TREE" overlay
mount -t tmpfs -o mode=0755 lab /mnt
mkdir /mnt/upper /mnt/work /mnt/root
R=/mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work lab $R
mkdir -p $R/lib/modules "$R$SHARE"
for d in proc sys dev; do mount --move /$d $R/$d; done
mount -t tmpfs -o mode=0755 run $R/run
mkdir $R/dev/shm $R/dev/pts
mount -t tmpfs -o mode=1777 shm $R/dev/shm
mount -t devpts -o mode=0620,ptmxmode=0666 devpts $R/dev/pts
mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
ln -s /proc/self/fd $R/dev/fd # devtmpfs has none of these, and nft -f - needs the second
ln -s fd/0 $R/dev/stdin
ln -s fd/1 $R/dev/stdout
ln -s fd/2 $R/dev/stderr
mount --bind "$TREE/lib/modules" $R/lib/modules
mount --bind "$SHARE" "$R$SHARE" # the one place from which writes reach the host
cd $R && mkdir -p mnt/host && pivot_root . mnt/host && cd / && umount -l /mnt/host
hostname lab
ip link set lo up
modprobe -a $MODULES
OUT=/dev/console
for port in /sys/class/virtio-ports/*; do
	[ "$(cat "$port/name")" = lab.out ] && OUT=/dev/${port##*/}
done
mark command
cd "$CWD" && sh "$SHARE/job.sh" </dev/null >"$OUT" 2>&1
rc=$?
mark end
echo $rc >"$SHARE/rc"
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
