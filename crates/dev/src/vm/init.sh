#!/bin/busybox sh
# The first program of the virtual machine (initramfs): the host's root, read-only by 9p,
# under an overlay in memory; then the second half of this file as PID 1 of that root.
B=/bin/busybox
if [ "$1" != inside ]; then
  $B mount -t proc p /proc
  $B mount -t devtmpfs d /dev
  for m in $($B cat /m/list); do $B insmod /m/$m || echo "vm: cannot load $m"; done
  P=trans=virtio,version=9p2000.L,msize=512000
  $B mount -t 9p -o $P,ro,cache=loose root /r &&
  $B mount -t tmpfs t /o && $B mkdir /o/u /o/w &&
  $B mount -t overlay -o lowerdir=/r,upperdir=/o/u,workdir=/o/w o /n || { echo "vm: cannot mount the host's root"; exit 1; }
  $B mount --move /proc /n/proc
  $B mount --move /dev /n/dev
  $B mount -t sysfs s /n/sys
  $B mount -t tmpfs t /n/run
  $B mkdir -p /n/lib/modules /n/run/vm
  $B mount -t 9p -o $P,ro,cache=loose modules /n/lib/modules
  $B mount -t 9p -o $P exchange /n/run/vm
  $B cp $B /n/run/busybox
  $B cp /init /n/run/init
  exec $B switch_root /n /run/busybox sh /run/init inside
fi
B=/run/busybox
$B mkdir -p /dev/pts /dev/shm /run/lock
$B mount -t devpts d /dev/pts
$B mount -t tmpfs t /dev/shm
$B mount -t cgroup2 c /sys/fs/cgroup
[ -e /run/vm/private-tmp ] && $B mount -t tmpfs -o mode=1777 t /tmp
$B hostname netloom-vm
$B ip link set lo up
$B stty -F /dev/ttyS0 -onlcr
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
modprobe -a tun overlay virtio_net 2>/dev/null
/bin/bash /run/vm/command >/dev/ttyS0 2>&1 </dev/null
echo $? >/run/vm/status.new
$B mv /run/vm/status.new /run/vm/status
# The port of QEMU's debug exit device: the machine ends here.
$B printf '\0' | $B dd of=/dev/port bs=1 seek=1281 2>/dev/null
$B poweroff -f
