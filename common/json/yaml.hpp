// YAML 1.2 (https://yaml.org/spec/1.2.2/) as far as it is JSON with other punctuation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

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
//     yes, no, on, off, y, n, 0123, 0o17, 0b1, 1_000, -0x1f. Quoted they are strings everywhere;
//   - .inf and .nan, integers beyond 64 bits: JSON cannot carry them.
// A mapping key is a string, or a plain decimal integer, which becomes its text as JSON needs it.
Result<json::value> parse_yaml(std::string_view text);

struct YamlFault {
  TextPosition position;
  std::string message;
};
inline constexpr size_t kYamlFaultsMax = 100;
// Everything that parse_yaml() refuses in a text, in its order and at most kYamlFaultsMax: it names
// the first alone. What stands behind text that is not YAML is not looked at.
std::vector<YamlFault> find_yaml_faults(std::string_view text);

}  // namespace notp
