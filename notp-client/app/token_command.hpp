// `notp-client token`: creates and removes tokens of policy enforcement points.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace notp::client {

struct TokenCommandOptions {
  std::string name;
  std::filesystem::path out;     // receives the token, mode 0600; must not exist
  std::filesystem::path tokens;  // the file of hashes, `api_token` of the configuration
  std::string url;               // of the agent, for the example; empty: a generic one
};

// Writes a new token and adds its hash. Other tokens of the name stay, so that it can be replaced
// without an interruption. Returns a message for a person without the secret. kUsage for an invalid
// name; kConflict when `out` exists; kConfig when `tokens` cannot be read; kIo.
Result<std::string> make_pep_token(const TokenCommandOptions& options);

// Removes all tokens of the name from the file. kNotFound when there is none.
Result<std::string> remove_pep_tokens(const TokenCommandOptions& options);

}  // namespace notp::client
