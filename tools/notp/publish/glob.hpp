// Patterns of file names as Git's ignore files have them.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

namespace notp {

// '*', '?', sets ("[a-z]", "[!x]", "[[:digit:]]"), '\' before a character that stands for itself,
// and "**" between slashes for any number of folders. Bytes, case counts. Matching takes time in
// proportion to pattern times text, whatever they are.
class Glob {
 public:
  // Never fails: a pattern that is not well-formed (a set or an escape without an end) matches
  // nothing.
  explicit Glob(std::string_view pattern);
  // `work` grows by the steps that it took.
  bool matches(std::string_view text, uint64_t& work) const;

 private:
  enum class Kind : uint8_t {
    kByte,
    kSet,
    kStar,     // any text without '/'
    kDeep,     // any text
    kSkipTwo,  // the two tokens behind it may be left out
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

}  // namespace notp
