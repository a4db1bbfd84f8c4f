// YAML 1.2 (https://yaml.org/spec/1.2.2/) as far as it is JSON with other punctuation.
#pragma once

#include <string_view>

#include "common/json.hpp"

namespace notp {

// Parses one document into JSON values. An empty text is null. kMessage with line and column, and
// kLimit over kYamlBytesMax.
//
// Several readers meet the same file: this one, and OPA's, which follows YAML 1.1. Whatever they
// could read differently is refused instead of guessed:
//   - anchors, aliases and merge keys (also the road to exponential documents), tags outside of the
//     core schema (§10.3), several documents, a name twice in one mapping, depth over
//     kJsonDepthMax;
//   - plain scalars that are a string to 1.2 and something else to 1.1, or the other way round:
//   yes,
//     no, on, off, y, n, 0123, 0o17, 0b1, 1_000, -0x1f. Quoted they are strings everywhere;
//   - .inf and .nan, integers beyond 64 bits: JSON cannot carry them.
// A mapping key is a string, or a plain decimal integer, which becomes its text as JSON needs it.
Result<json::value> parse_yaml(std::string_view text);

}  // namespace notp
