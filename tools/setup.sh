# Shared by the shell programs in tools/; sourced, never run.
#
# Sets notp_root (the repository), notp_cache (where things built once are kept) and
# notp_go_wanted (the oldest Go that builds the policy engine), and defines
#   say TEXT            a progress line on stderr
#   fail TEXT           an error line on stderr, then exit 1
#   version_at_least HAVE WANT
#   require_go WANT     puts a Go on PATH that is, or fetches by itself, at least WANT
#                       returns 1 when there is none, with the newest found in notp_found
#   build_go MODULE PACKAGE OUTPUT [cgo]
#                       builds a program of a Go module, static but for cgo; fails with what is missing
#   pinned_version FOLDER MODULE
#                       prints the version of a Go module that FOLDER/go.mod pins
#   pinned_folder NAME VERSION FILE...
#                       prints the folder of the cache for what these files decide
# shellcheck shell=bash

notp_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
notp_cache=${NOTP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/notp}
notp_go_wanted=$(awk '$1 == "go" {print $2}' "$notp_root/common/rego/worker/go.mod")
notp_found=none

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Debian puts its versioned Go in /usr/lib/go-*, upstream's archive unpacks to /usr/local/go; neither
# is on PATH by itself.
require_go() {
  local want=$1 have candidate
  notp_found=none
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    [ -x "$candidate" ] || continue
    have=$(cd / && GOTOOLCHAIN=local "$candidate" env GOVERSION 2>/dev/null) || continue
    have=${have#go}
    notp_found=$have
    if ! version_at_least "$have" "$want"; then
      # From 1.21 on, go fetches the toolchain that go.mod names, as a module that go.sum's database
      # vouches for. Someone who forbade that in the environment meant it.
      version_at_least "$have" 1.21 && [ "${GOTOOLCHAIN:-auto}" != local ] || continue
      export GOTOOLCHAIN=auto
    fi
    PATH=$(dirname "$candidate"):$PATH
    return 0
  done
  return 1
}

# -buildvcs=false: otherwise the program would claim our commit as its library's.
# CGO_ENABLED=0: a static binary that also runs in the network namespaces and containers of tests. With
# cgo the compiler is the one that builds the rest.
build_go() {
  local module=$1 package=$2 output=$3 cgo=0 building
  [ "${4:-}" != cgo ] || cgo=1
  require_go "$notp_go_wanted" ||
    fail "Go $notp_go_wanted or newer is needed to build ${output##*/} (newest found: $notp_found);" \
      "run tools/install-dependencies"
  mkdir -p "$(dirname "$output")"
  building=$(mktemp -d "$(dirname "$output")/.building.XXXXXX")
  if ! (cd "$module" && CGO_ENABLED=$cgo CC=clang-19 go build -mod=readonly -trimpath -buildvcs=false \
      -ldflags '-s -w' -o "$building/program" "$package") >&2; then
    rm -rf "$building"
    fail "${output##*/} does not build; the lines above say why (is the Go module proxy reachable?)"
  fi
  mv -f "$building/program" "$output"
  rm -rf "$building"
}

pinned_version() {
  local version
  version=$(awk -v module="$2" '$1 == module {print $2} $1 == "require" && $2 == module {print $3}' "$1/go.mod")
  [ -n "$version" ] || fail "${1#"$notp_root"/}/go.mod does not require $2; restore the file"
  printf '%s\n' "$version"
}

# The recipe that asks, and this file, decide what is built, too.
pinned_folder() {
  local name=$1 version=$2 inputs
  shift 2
  inputs=$(cat "$@" "$0" "$notp_root/tools/setup.sh" | sha256sum)
  printf '%s/%s/%s-%s\n' "$notp_cache" "$name" "$version" "${inputs:0:16}"
}
