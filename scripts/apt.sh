# Sourced by the scripts beside it, after step.sh: installs packages of Debian for tests.

# debian_packages PACKAGE...: installs those that are missing. Where that cannot be (no apt, not root, not found),
# it says why on stdout and fails.
debian_packages() {
  local package missing=() ask
  for package in "$@"; do
    if ! dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed$'; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  if ! command -v apt-get >/dev/null; then echo "no apt-get for ${missing[*]}"; return 1; fi
  if [ "$(id -u)" -ne 0 ]; then echo "not root, who installs ${missing[*]}"; return 1; fi
  ask="DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --option DPkg::Lock::Timeout=300"
  # An index that is there already saves the time of a new one, as long as it is good enough.
  if ! step "apt-get install ${missing[*]}" bash -c \
    "$ask install --no-install-recommends ${missing[*]} || { $ask update && $ask install --no-install-recommends ${missing[*]}; }"; then
    echo "apt-get cannot install ${missing[*]}"
    return 1
  fi
}
