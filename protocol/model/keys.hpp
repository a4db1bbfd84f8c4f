// JWK Sets (RFC 7517) in a model: they may hold public keys only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp::model {

// Whether `path` is the place of a JWK Set, keys/<issuer>/data.json.
bool is_key_set_path(std::string_view path);

struct KeyFinding {
  std::string rule;     // "keys-private", "keys-format"
  std::string message;  // names the key by its index and `kid`, and the member; never its value
};

// Returns the rules of a JWK Set without private members that a document breaks. Whether its keys
// are usable is checked by the engine.
std::vector<KeyFinding> check_key_set(const json::value& document);

// Suggests a place for a key set that lies elsewhere below "keys/":
// "keys/login-realms-orders/data.json" for "keys/login/realms/orders/data.json". The file name is
// used unless it is a common one for key sets ("data", "jwks", "keys"). Empty when `path` is not
// below "keys/".
std::string key_set_place(std::string_view path);

}  // namespace notp::model
