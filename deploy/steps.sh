# What deploy/run and deploy/test share; sourced. Needs `root` (the checkout) set.
# shellcheck shell=bash
: "${root:?the folder of the checkout}"

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
warn() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { warn "$@"; exit 1; }

# As many compilers at once as cores and memory (about 1.5 GB each) bear.
build_jobs() {
  local cores memory_gb
  cores=$(nproc)
  memory_gb=$(awk '/MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo)
  ((memory_gb < 1)) && memory_gb=1
  echo $((cores < memory_gb ? cores : memory_gb))
}

# configure_and_build PRESET [TARGET...]: every target when none is named, with `configure_flags` besides the preset's
# own. Ninja shows how far it is.
configure_flags=()
configure_and_build() {
  local preset=$1
  shift
  (cd "$root" && cmake --preset "$preset" -Wno-dev "${configure_flags[@]}" | tail -n 3) || die "configuring preset $preset failed"
  local targets=()
  (($# > 0)) && targets=(--target "$@")
  cmake --build "$root/build/$preset" -j "$(build_jobs)" "${targets[@]}" || die "building preset $preset failed"
}

# npm_install FOLDER: the folder's locked dependencies, from whatever registry npm is set up for.
npm_install() {
  local stamp="$1/node_modules/.installed"
  [[ -f "$stamp" && "$stamp" -nt "$1/package-lock.json" && "$stamp" -nt "$1/package.json" ]] && return 0
  (cd "$1" && npm ci --omit=optional --omit=peer --no-audit --no-fund --loglevel=error) ||
    die "npm ci failed in $1: what it locks could not be installed"
  touch "$stamp"
}
