// YAML 1.2 (https://yaml.org/spec/1.2.2/), restricted to what JSON can express.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp {

// Parses one document into JSON values. An empty text is null. kMessage with line and column, and
// kLimit over kYamlBytesMax.
//
// Several readers read the same file: this one, and OPA's, which follows YAML 1.1. Input that they
// could read differently is refused:
//   - anchors, aliases and merge keys (which also allow exponential documents), tags outside of the
//     core schema (§10.3), several documents, a name twice in one mapping, depth over
//     kJsonDepthMax;
//   - plain scalars that are a string to 1.2 and another type to 1.1, or the other way round:
//     yes, no, on, off, y, n, 0123, 0o17, 0b1, 1_000, -0x1f. When quoted they are strings;
//   - .inf and .nan, integers beyond 64 bits: JSON cannot express them.
// A mapping key is a string, or a plain decimal integer, which becomes its text as JSON requires.
Result<json::value> parse_yaml(std::string_view text);

struct YamlFault {
  TextPosition position;
  std::string message;
};
inline constexpr size_t kYamlFaultsMax = 100;
// Returns all faults for which parse_yaml() refuses a text, in its order and at most
// kYamlFaultsMax: parse_yaml() names only the first. Text after a syntax error is not checked.
std::vector<YamlFault> find_yaml_faults(std::string_view text);

}  // namespace notp
