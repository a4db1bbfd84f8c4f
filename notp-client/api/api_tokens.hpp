// Bearer tokens of policy enforcement points, as a file of hashes.
//
//   # a comment
//   till sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//
// A name may stand in several lines: that is how a token is replaced without an interruption.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"

namespace notp {

// Immutable; shared between threads.
class ApiTokens {
 public:
  ApiTokens() = default;
  // kConfig with a line for each mistake.
  static Result<ApiTokens> parse(std::string_view text);
  // The same, of a file that nobody else can read: kConfig when its mode allows more than 0600, or
  // than 0640 where it belongs to another user and to a group of this process, and when it cannot
  // be read.
  static Result<ApiTokens> load(const std::filesystem::path& file);

  // Whose token it is; empty: nobody's. Takes equally long for every token of a length.
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

// Compares in a time that depends on the lengths alone.
bool equal_secrets(std::string_view a, std::string_view b);

// Reads a secret of one line from a file that only its owner can read. kConfig as above.
Result<std::string> read_secret(const std::filesystem::path& file);
// The secret in the file, which is made with a new one (mode 0600) when it is not there. Of several
// processes that make it at once all get the same. kIo, and the errors of read_secret().
Result<std::string> read_or_make_secret(const std::filesystem::path& file);

}  // namespace notp
