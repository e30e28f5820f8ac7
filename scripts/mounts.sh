# Sourced by the scripts beside it.

# root_obstacle: says so where the root folder is no mount point. In a chroot it seldom is one, and then nobody can
# mount things anew for a process, as `ip netns` and systemd-nspawn do.
root_obstacle() {
  if ! awk '$5 == "/" { found = 1 } END { exit !found }' /proc/self/mountinfo; then
    echo "the root folder is no mount point, as in a chroot"
  fi
}
