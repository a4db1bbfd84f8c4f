// `notp-client token`: makes and withdraws tokens of policy enforcement points.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace notp {

struct TokenOrder {
  std::string name;
  std::filesystem::path out;     // gets the token, mode 0600; must not be there
  std::filesystem::path tokens;  // the file of hashes, `api_token` of the configuration
  std::string url;               // of the agent, for the example; empty: a general one
};

// Writes a new token and adds its hash. Other tokens of the name stay, so that it can be replaced
// without an interruption. What it returns is for a person, and holds nothing secret. kUsage for a
// bad name; kConflict when `out` is there; kConfig when `tokens` cannot be read; kIo.
Result<std::string> make_pep_token(const TokenOrder& order);

// Takes all tokens of the name out of the file. kNotFound when there is none.
Result<std::string> remove_pep_tokens(const TokenOrder& order);

}  // namespace notp
