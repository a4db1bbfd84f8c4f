// Patterns of file names as in Git's ignore files.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

namespace notp::cli {

// Supports '*', '?', sets ("[a-z]", "[!x]", "[[:digit:]]"), '\' as an escape, and "**" between
// slashes for any number of folders. Works on bytes, case-sensitive. Matching takes time
// proportional to pattern times text in the worst case.
class Glob {
 public:
  // Never fails: a malformed pattern (a set or an escape without an end) matches nothing.
  explicit Glob(std::string_view pattern);
  // Adds the number of steps taken to `work`.
  bool matches(std::string_view text, uint64_t& work) const;

 private:
  enum class Kind : uint8_t {
    kByte,
    kSet,
    kStar,     // any text without '/'
    kDeep,     // any text
    kSkipTwo,  // the next two tokens may be skipped
  };
  struct Token {
    Kind kind = Kind::kByte;
    uint8_t byte = 0;
    uint32_t set = 0;
  };
  using Set = std::bitset<256>;

  void add_stars(std::string_view pattern, size_t& at);
  void add_byte(char c) { tokens_.push_back({Kind::kByte, static_cast<uint8_t>(c), 0}); }
  void add_set(Set set);
  bool takes(const Token& token, uint8_t byte) const;

  std::vector<Token> tokens_;
  std::vector<Set> sets_;
  bool is_valid_ = true;
};

}  // namespace notp::cli
