# Sourced by the scripts beside it, after step.sh: installs a published Python package for tests, once per machine.

# venv NAME PACKAGE REQUIREMENTS [--print]: in a folder beside the real servers, named after what is pinned.
# With --print it installs nothing and prints the Python that has the package, if there is one. Where the
# package cannot be installed it is reported as skipped; with CI=true that is a failure.
venv() {
  local name=$1 package=$2 requirements=$3 cache version directory python building reason=""
  cache=${CULVERT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/culvert}
  version=$(sed -n "s/^$package==//p" "$requirements")
  directory=$cache/$package-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)-$(cksum <"$requirements" | cut -d ' ' -f 1)
  python=$directory/bin/python
  case ${4:-} in
    --print) if [ -x "$python" ]; then echo "$python"; fi; return 0 ;;
    '') ;;
    *) echo "usage: scripts/$name [--print]" >&2; return 2 ;;
  esac
  if [ -x "$python" ]; then return 0; fi
  mkdir -p "$cache"
  # Two runs at once would do the work twice; the rename keeps them correct where there is no flock.
  if command -v flock >/dev/null; then
    exec 9>"$cache/$name.lock"
    flock 9
    if [ -x "$python" ]; then return 0; fi
  fi
  if ! command -v python3 >/dev/null; then
    reason="no python3"
  else
    building=$(mktemp -d "$cache/building.XXXXXX")
    # It is run as `python -m`, for the scripts of an environment know the place where it was made.
    if STEP_LOG=$cache/$name.log step "installing $package $version" bash -c \
      "python3 -m venv '$building/out' && '$building/out/bin/python' -m pip install --disable-pip-version-check --no-deps -r '$requirements'"; then
      mv "$building/out" "$directory" 2>/dev/null || [ -d "$directory" ]
    else
      reason="the installation failed, see $cache/$name.log"
    fi
    rm -rf "$building"
  fi
  if [ -n "$reason" ]; then
    echo "skipped: $package ($reason)" >&2
    if [ "${CI:-}" = true ]; then return 1; fi
  fi
}
