"""What a throw-away machine is made of, as shell scripts: see machine.py."""

# Within the namespace /mnt is nobody else's. `cat` ends, and the namespace with it, when the tests
# let go of its input, be it because they were killed.
HOLD = """
set -e
mount -t tmpfs -o mode=755,size=4g machine /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay machine -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
echo held
exec cat >/dev/null
"""

IN_TREE = """
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mount --rbind /sys /mnt/root/sys
exec chroot /mnt/root "$@"
"""

# What a container's runtime prepares for a systemd that is to be PID 1.
BOOT = """
set -e
cd /mnt/root
mkdir -p .old
mount -t proc -o nosuid,noexec,nodev proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro,nosuid,noexec,nodev sysfs sys
mount -t cgroup2 -o nosuid,noexec,nodev cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
mkdir dev/pts dev/shm
: >dev/console
for device in null zero full random urandom tty; do
  : >dev/$device
  mount --bind /dev/$device dev/$device
done
mount -t devpts -o newinstance,mode=620,ptmxmode=666,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${name%:*} dev/${name#*:}; done
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
ip link set lo up
pivot_root . .old
exec chroot . /bin/sh -c 'umount -l /.old; exec env -i container=unshare \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  /lib/systemd/systemd --system --show-status=false'
"""
