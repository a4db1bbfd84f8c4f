// JWK Sets (RFC 7517) as a model may carry them: public keys alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json.hpp"

namespace notp {

// Is `path` the place of a JWK Set, keys/<issuer>/data.json?
bool is_key_set_path(std::string_view path);

struct KeyFinding {
  std::string rule;     // "keys-private", "keys-format"
  std::string message;  // names the key by its index and `kid`, and the member; never its value
};

// What is wrong with a document as a JWK Set; empty when it is one without private members.
std::vector<KeyFinding> check_key_set(const json::value& document);

}  // namespace notp
