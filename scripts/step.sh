# Sourced by the scripts beside it: says each step on stderr, one line, with how long it took.

# Milliseconds since some fixed instant; `date` has no fractions everywhere (macOS, busybox).
now_ms() {
  node -p 'Math.round(performance.timeOrigin + performance.now())'
}

# step LABEL COMMAND...: runs the command quietly; shows its output only when it fails.
# Its output stays in $STEP_LOG where that is set.
step() {
  local label=$1 log started elapsed status=0
  shift
  log=${STEP_LOG:-$(mktemp)}
  started=$(now_ms)
  if [ -t 2 ]; then printf '%s ...' "$label" >&2; fi
  "$@" >"$log" 2>&1 </dev/null || status=$?
  elapsed=$(($(now_ms) - started))
  if [ -t 2 ]; then printf '\r' >&2; fi
  if [ "$status" -eq 0 ]; then
    printf '%s: %d.%d s\n' "$label" $((elapsed / 1000)) $((elapsed % 1000 / 100)) >&2
  else
    printf '%s: failed after %d s\n' "$label" $((elapsed / 1000)) >&2
    # The cause may stand first (npm) or last (compilers).
    { head -n 20 "$log"; tail -n +21 "$log" | tail -n 30; } | sed 's/^/    /' >&2
  fi
  if [ -z "${STEP_LOG:-}" ]; then rm -f "$log"; fi
  return "$status"
}
