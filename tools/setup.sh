# Shared by the shell programs in tools/; sourced, never run.
#
# Sets notp_root (the repository), notp_cache (where things built once are kept) and
# notp_cargo_wanted (the oldest cargo that builds the policy engine), and defines
#   say TEXT            a progress line on stderr
#   fail TEXT           an error line on stderr, then exit 1
#   version_at_least HAVE WANT
#   require_go WANT     puts a Go on PATH that is, or fetches by itself, at least WANT
#   require_cargo WANT  puts a cargo on PATH that is at least WANT
# The two require_ functions return 1 when there is none, with the newest found in notp_found.
# shellcheck shell=bash

notp_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
notp_cache=${NOTP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/notp}
notp_cargo_wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$notp_root/common/rego/engine/Cargo.toml")
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

# Cargo from rustup comes first on most PATHs; Debian's current one is /usr/bin/cargo.
require_cargo() {
  local want=$1 have candidate
  notp_found=none
  for candidate in "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
    [ -x "$candidate" ] || continue
    have=$("$candidate" --version 2>/dev/null | awk '{print $2}') || continue
    [ -n "$have" ] || continue
    notp_found=$have
    if version_at_least "$have" "$want"; then
      PATH=$(dirname "$candidate"):$PATH
      return 0
    fi
  done
  return 1
}
