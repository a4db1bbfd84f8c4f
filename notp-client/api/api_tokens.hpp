// Bearer tokens of policy enforcement points, as a file of hashes.
//
//   # a comment
//   till sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//
// A name may occur on several lines, so that a token can be replaced without an interruption.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"

namespace notp::api {

// Immutable; shared between threads.
class ApiTokens {
 public:
  ApiTokens() = default;
  // kConfig with a line for each mistake.
  static Result<ApiTokens> parse(std::string_view text);
  // As parse(), from a file that is readable only by its owner: kConfig when its mode allows more
  // than 0600 (0640 if it belongs to another user and to a group of this process), and when it
  // cannot be read.
  static Result<ApiTokens> load(const std::filesystem::path& file);

  // Returns the name of the token; empty: unknown token. Takes equally long for every token of a
  // length.
  std::string_view find(std::string_view token) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    Hash hash;
  };
  std::vector<Entry> entries_;
};

// 1 to kApiTokenNameBytesMax of [A-Za-z0-9._-]. kUsage.
Result<void> check_token_name(std::string_view name);

// A new secret of 256 bits as text: "notp_" and 64 hexadecimal digits.
std::string make_token();

// Compares in a time that depends only on the lengths.
bool equal_secrets(std::string_view a, std::string_view b);

// Reads a one-line secret from a file that only its owner can read. kConfig as above.
Result<std::string> read_secret(const std::filesystem::path& file);
// Reads the secret in the file, or creates the file with a new one (mode 0600) if it is missing.
// Several processes that create it at the same time all get the same secret. kIo, and the errors of
// read_secret().
Result<std::string> read_or_make_secret(const std::filesystem::path& file);

}  // namespace notp::api
