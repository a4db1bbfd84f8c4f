// Names and order of Git's refs, as a server lists them. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::cli {

inline constexpr size_t kRefNameBytesMax = 255;
inline constexpr size_t kRefsMax = 100'000;           // that a server may list
inline constexpr size_t kRefsBytesMax = 32ULL << 20;  // of that list

struct UpstreamRef {
  std::string name;    // full
  std::string id;      // of the object, hexadecimal
  std::string peeled;  // of the object that an annotated tag leads to in the end, else empty
};

// A branch or tag, "main" or "team/main": git-check-ref-format(1), printable ASCII only, and no
// part begins with '-'. kConfig says what is wrong.
Result<void> check_ref_name(std::string_view name);

// Reads the output of `git ls-remote`. Refs whose names check_ref_name() refuses are left out.
// kMessage, kLimit.
Result<std::vector<UpstreamRef>> parse_refs(ByteView output);

// The highest version among the tags of a pattern (Glob, without "refs/tags/").
//
// The version is what follows the pattern's text before its first wildcard and before the digits
// and dots at that text's end, without a leading "v": "2.10.0" in policy-v2.10.0 for "policy-v*"
// and for "policy-*". Versions are numbers separated by dots, at most eight; 1.2 is 1.2.0, and
// numbers may have leading zeros, as dates do. A pre-release follows after '-' and comes before its
// release (Semantic Versioning 2.0.0 §11); it is a candidate only if the pattern has a '-' in that
// place, as in "v*-rc*". What follows after '+' does not count. Other tags are not candidates.
// Equal versions are ordered by the bytes of their names.
//
// kNotFound: no candidate.
Result<UpstreamRef> newest_tag(const std::vector<UpstreamRef>& refs, const std::string& pattern);

}  // namespace notp::cli
