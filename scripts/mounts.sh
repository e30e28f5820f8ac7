# Sourced by the scripts beside it.

# own_root: whether the root folder is a mount point. In a chroot it seldom is, and then nobody can mount things anew
# for a process, as `ip netns` and systemd-nspawn do.
own_root() {
  awk '$5 == "/" { found = 1 } END { exit !found }' /proc/self/mountinfo
}
