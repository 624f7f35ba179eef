#!/usr/bin/env bash
# Real OpenZFS (Debian's zfs-dkms) in a virtual machine, from nothing but apt and debootstrap: for machines whose kernel
# has no ZFS and takes no modules. Emulated (no /dev/kvm needed), so everything in it is 20 to 30 times slower.
#
#   vm.sh build                       kernel, initrd and root image into $W; every stage leaves a stamp and runs once
#   vm.sh run DIR [cpus] [MiB] [s]    boots a guest, mounts DIR read-only at /job, runs /job/run.sh, powers off.
#                                     Prints what run.sh printed and ends with its status; the console is $W/NAME.console.log
#
# Needs root on Debian 12 (amd64). W: where it is kept (about 3 GiB, default ~/.cache/openzfs-vm). NAME: of this run.
# DISK_MB: size of each of the two blank disks, /dev/vdc and /dev/vdd. ACCEL=kvm where that works.
# MIRROR, SECURITY: package sources; by default those that this machine uses.
set -euo pipefail
W=${W:-${XDG_CACHE_HOME:-$HOME/.cache}/openzfs-vm}
SUITE=bookworm
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

say() { printf '[%ss] %s\n' "$SECONDS" "$*" >&2; }
die() { say "$*"; exit 2; }

# --- where packages come from: apt's own lists, both their formats -----------------------------------------------------
apt_uris() {
  { cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *//p' || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb //p' || true
  } | tr ' ' '\n' | { grep '://' || true; } | sort -u
}
find_mirrors() {
  MIRROR=${MIRROR:-$(apt_uris | { grep -E '/debian/?$' || true; } | sed -n 1p)}
  SECURITY=${SECURITY:-$(apt_uris | { grep security || true; } | sed -n 1p)}
  [ -n "$MIRROR" ] || die 'no Debian package source found in /etc/apt; set MIRROR'
}

# --- commands inside a root folder -------------------------------------------------------------------------------------
# A private /dev with the few nodes that packages need. Never the host's: removing the root folder would reach it.
leave_root() { local m; for m in dev sys proc; do if mountpoint -q "$1/$m"; then umount "$1/$m" || umount -l "$1/$m"; fi; done; }
enter_root() {
  leave_root "$1"
  mount -t proc proc "$1/proc"; mount -t sysfs -o ro sys "$1/sys"; mount -t tmpfs dev "$1/dev"
  mknod -m 666 "$1/dev/null" c 1 3; mknod -m 666 "$1/dev/zero" c 1 5; mknod -m 666 "$1/dev/random" c 1 8
  mknod -m 666 "$1/dev/urandom" c 1 9; mknod -m 666 "$1/dev/tty" c 5 0; ln -s /proc/self/fd "$1/dev/fd"
}
in_root() { local root=$1 status=0; shift; enter_root "$root"; chroot "$root" "$@" || status=$?; leave_root "$root"; return $status; }
fresh_from() { leave_root "$1"; rm -rf --one-file-system "$1"; [ -z "${2:-}" ] || cp -a "$2" "$1"; }
install_in() { local root=$1 log=$2; shift 2; in_root "$root" apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; }

# --- stages ------------------------------------------------------------------------------------------------------------
stage() { local name=$1; shift; [ -e "$name.ok" ] && return; "$@"; touch "$name.ok"; say "$name: ready"; }

host_packages() {
  local missing=() package
  for package in qemu-system-x86 qemu-utils seabios debootstrap e2fsprogs cpio; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  apt-get update -qq >host.log 2>&1
  apt-get install -y --no-install-recommends "${missing[@]}" >>host.log 2>&1
}

base_root() {
  fresh_from base
  debootstrap --variant=minbase --components=main,contrib \
    --include=ca-certificates,kmod,udev,iproute2,procps,e2fsprogs,busybox-static,libstdc++6 \
    "$SUITE" base "$MIRROR" >base.log 2>&1
  printf 'deb %s %s main contrib\n' "$MIRROR" "$SUITE" "$MIRROR" "$SUITE-updates" >base/etc/apt/sources.list
  [ -z "$SECURITY" ] || echo "deb $SECURITY $SUITE-security main contrib" >>base/etc/apt/sources.list
  printf '#!/bin/sh\nexit 101\n' >base/usr/sbin/policy-rc.d; chmod +x base/usr/sbin/policy-rc.d
  cp /etc/resolv.conf base/etc/resolv.conf
  in_root base apt-get update -qq
}

# dkms builds for every kernel in /lib/modules; the one that runs here has no headers in there and is left out.
zfs_modules() {
  fresh_from build base
  install_in build kernel.log linux-image-cloud-amd64 linux-headers-cloud-amd64
  say 'compiling the ZFS modules, some minutes'
  install_in build dkms.log dkms zfs-dkms
  compgen -G 'build/lib/modules/*/updates/dkms/zfs.ko' >/dev/null || die "no zfs.ko was built, see $W/dkms.log"
}

guest_root() {
  local kernel
  fresh_from guest base
  install_in guest guest.log zfsutils-linux
  in_root guest apt-get clean
  kernel=$(ls build/lib/modules)
  mkdir -p "guest/lib/modules/$kernel"
  (cd "build/lib/modules/$kernel" && tar cf - --exclude=./build --exclude=./source .) | tar xf - -C "guest/lib/modules/$kernel"
  find "guest/lib/modules/$kernel/updates" -name '*.ko' -exec strip --strip-debug {} + 2>/dev/null || true
  chroot guest depmod "$kernel"
  install -m 755 "$(readlink -f "$(command -v node)")" guest/usr/bin/node
  rm -rf guest/usr/share/{doc,man,locale,info} guest/var/lib/apt/lists/*
  echo zfsguest >guest/etc/hostname; echo '127.0.0.1 localhost zfsguest' >guest/etc/hosts
  : >guest/etc/machine-id; printf '\x0c\xb1\xba\x00' >guest/etc/hostid
  mkdir -p guest/job
  guest_init >guest/sbin/vm-init; chmod 755 guest/sbin/vm-init
}

guest_init() { cat <<'INIT'
#!/bin/bash
# First process of the guest: devices, the zfs module, then /job/run.sh with its output on the second serial line.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
ln -sf /proc/self/fd /dev/fd; ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
hostname zfsguest
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=subsystems --action=add; udevadm trigger --type=devices --action=add; udevadm settle -t 30
ip link set lo up
modprobe -q virtio_blk; modprobe zfs
echo "vm-init: zfs $(cat /sys/module/zfs/version) loaded after $(cut -d' ' -f1 /proc/uptime) s"
status=127
mount -o ro LABEL=job /job && (cd /job && exec ./run.sh) </dev/null >/dev/ttyS1 2>&1; status=$?
printf '\n@@RC=%s\n' "$status" >/dev/ttyS1
sync; zpool export -a 2>/dev/null; sync; sleep 0.2
echo o >/proc/sysrq-trigger; sleep 10
INIT
}

boot_image() {
  local kernel module path size
  kernel=$(ls build/lib/modules)
  cp "build/boot/vmlinuz-$kernel" vmlinuz
  rm -rf initrd.d; mkdir -p initrd.d/{bin,dev,proc,sys,newroot,m}
  cp guest/bin/busybox initrd.d/bin/
  for path in sh mount mknod insmod switch_root sleep mkdir cat; do ln -s busybox "initrd.d/bin/$path"; done
  : >initrd.d/order
  for module in virtio_pci virtio_blk; do
    chroot guest modprobe -S "$kernel" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r path; do
      grep -qx "${path##*/}" initrd.d/order && continue
      echo "${path##*/}" >>initrd.d/order; cp "guest$path" initrd.d/m/
    done
  done
  cat >initrd.d/init <<'INIT'
#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc
while read -r m; do insmod "/m/$m"; done </order
n=0; while [ ! -e /dev/vda ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
mount -t ext4 -o rw,noatime /dev/vda /newroot || exec sh
mount -o move /dev /newroot/dev 2>/dev/null
exec switch_root /newroot /sbin/vm-init
INIT
  chmod 755 initrd.d/init
  (cd initrd.d && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz
  size=$(($(du -sm --one-file-system guest | cut -f1) * 5 / 4 + 256))
  rm -f root.img; truncate -s "${size}M" root.img
  mkfs.ext4 -q -F -O ^has_journal -m 0 -L root -d guest root.img   # filled by mkfs: no loop device needed
}

build() {
  [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && [ "$(uname -m)" = x86_64 ] || die 'needs root on Debian (amd64)'
  find_mirrors
  trap 'for root in base build guest; do leave_root "$W/$root"; done' EXIT
  stage host host_packages
  stage base base_root
  stage modules zfs_modules
  stage guest guest_root
  stage image boot_image
}

# --- a guest -----------------------------------------------------------------------------------------------------------
accel() {
  # /dev/kvm alone is no reason to use it: nested under some hypervisors it is slower than emulation, or does not boot.
  if [ "${ACCEL:-tcg}" = kvm ]; then echo '-accel kvm -cpu host'; else echo '-accel tcg,thread=multi,tb-size=512 -cpu max,la57=off'; fi
}

run() {
  local dir=$1 cpus=${2:-2} memory=${3:-2048} limit=${4:-3600} size status disk
  name=${NAME:-vm$$}   # not local: the trap runs after this function
  size=$(($(du -sm "$dir" | cut -f1) * 5 / 4 + 16))
  trap 'rm -f "$W/$name".{job,pool1,pool2}.img "$W/$name.out"' EXIT
  rm -f "$name".{job,pool1,pool2}.img "$name.out"
  truncate -s "${size}M" "$name.job.img"; mkfs.ext4 -q -F -O ^has_journal -m 0 -L job -d "$dir" "$name.job.img"
  for disk in pool1 pool2; do truncate -s "${DISK_MB:-1024}M" "$name.$disk.img"; done
  # shellcheck disable=SC2046
  timeout -k 5 "$limit" qemu-system-x86_64 -M q35 $(accel) -smp "$cpus" -m "$memory" -nodefaults -nographic -no-reboot \
    -kernel vmlinuz -initrd initrd.gz \
    -append 'console=ttyS0 quiet panic=1 net.ifnames=0 mitigations=off nokaslr random.trust_cpu=on tsc=reliable' \
    -drive file=root.img,format=raw,if=virtio,snapshot=on,cache=unsafe \
    -drive file="$name.job.img",format=raw,if=virtio,readonly=on \
    -drive file="$name.pool1.img",format=raw,if=virtio,cache=unsafe,discard=unmap \
    -drive file="$name.pool2.img",format=raw,if=virtio,cache=unsafe,discard=unmap \
    -device virtio-rng-pci -serial file:"$name.console.log" -serial file:"$name.out" -monitor none </dev/null \
    || say "the guest was ended after $limit s"
  tr -d '\r' <"$name.out" | { grep -av '^@@RC=' || true; }
  status=$(tr -d '\r' <"$name.out" | sed -n 's/^@@RC=\([0-9]*\)$/\1/p' | sed -n '$p')
  say "guest ended with ${status:-no status, see $W/$name.console.log}"
  [ "${status:-1}" != 0 ] || rm -f "$name.console.log"
  return "${status:-125}"
}

command=${1:-}
if [ "$command" = run ]; then
  [ -d "${2:-}" ] || die 'usage: vm.sh run DIR [cpus] [MiB] [seconds]'
  set -- run "$(realpath "$2")" "${@:3}"
fi
mkdir -p "$W"; cd "$W"
case $command in
  build) build ;;
  run) shift; run "$@" ;;
  *) die 'usage: vm.sh build | run DIR [cpus] [MiB] [seconds]' ;;
esac
