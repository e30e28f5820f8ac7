# Sourced by the scripts beside it: how a binary is compiled, whatever for.

# compile NAME FOLDER [BUN_TARGET RUNTIME]: FOLDER/NAME from src/cli/NAME.ts, for this machine where nothing is said.
compile() {
  local name=$1 folder=$2 cross=()
  if [ $# -gt 2 ]; then cross=(--target="$3" --compile-executable-path="$4"); fi
  # --smol: half the memory. The current folder's bunfig.toml and .env are nobody's business.
  node_modules/.bin/bun build "src/cli/$name.ts" --compile --minify --bytecode --format=esm --sourcemap=none \
    --compile-exec-argv="--smol" --no-compile-autoload-bunfig --no-compile-autoload-dotenv \
    "${cross[@]+"${cross[@]}"}" --outfile "$folder/$name"
}
