// JWK Sets (RFC 7517) as a model may carry them: public keys alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp {

// Is `path` the place of a JWK Set, keys/<issuer>/data.json?
bool is_key_set_path(std::string_view path);

struct KeyFinding {
  std::string rule;     // "keys-private", "keys-format"
  std::string message;  // names the key by its index and `kid`, and the member; never its value
};

// What is wrong with a document as a JWK Set without private members. Whether its keys can be used
// is for the engine to say.
std::vector<KeyFinding> check_key_set(const json::value& document);

// A place for a key set that lies elsewhere below "keys/": "keys/login-realms-orders/data.json" for
// "keys/login/realms/orders/data.json". The name of a file counts unless it is that of any key set
// ("data", "jwks", "keys"). Empty when `path` is not below "keys/".
std::string key_set_place(std::string_view path);

}  // namespace notp
