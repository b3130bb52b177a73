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

# npm_install FOLDER [npm argument...]: the folder's locked dependencies, from whatever registry npm is set up for; by
# default without optional ones and peers.
npm_install() {
  local folder=$1 stamp="$1/node_modules/.installed"
  shift
  [[ -f "$stamp" && "$stamp" -nt "$folder/package-lock.json" && "$stamp" -nt "$folder/package.json" ]] && return 0
  (($# > 0)) || set -- --omit=optional --omit=peer
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error "$@") ||
    die "npm ci failed in $folder: what it locks could not be installed"
  touch "$stamp"
}

# The console, as static files: controlplane/console/dist, newer than all that it is made of.
console=$root/controlplane/console
build_console() {
  npm_install "$console" --include=optional --include=dev  # its build tools' native parts are optional dependencies
  local built=$console/dist/index.html
  if [[ -f "$built" && -z "$(find "$console" -newer "$built" -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -print -quit)" ]]; then
    return 0
  fi
  (cd "$console" && npm run --silent build) || die "the console could not be built; see above"
}
