// A .notpignore file: what of a folder is no part of the model, in the syntax of gitignore(5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "tools/notp/publish/glob.hpp"

namespace notp {

inline constexpr std::string_view kIgnoreRulesPath = ".notpignore";
inline constexpr size_t kIgnoreBytesMax = 64 << 10;
inline constexpr size_t kIgnorePatternsMax = 1000;
inline constexpr size_t kIgnorePatternBytesMax = 1024;
// Steps of matching, of all paths against all patterns: some seconds.
inline constexpr uint64_t kIgnoreWorkMax = 2'000'000'000;

// Rules in their order: the last one that matches decides. Case counts. Not thread-safe.
class IgnoreRules {
 public:
  IgnoreRules() = default;
  // kInvalidModel over a limit.
  static Result<IgnoreRules> parse(std::string_view text);

  // The line, from 1, of the rule by which this path is ignored; 0: it is not. `path` is relative,
  // without a '/' at its end. Folders above it are the caller's: what is in an ignored one is
  // ignored, and no rule takes it back. kInvalidModel once all of it took kIgnoreWorkMax.
  Result<uint32_t> line_ignoring(std::string_view path, bool is_folder);

 private:
  struct Rule {
    uint32_t line = 0;
    bool takes_back = false;    // "!…"
    bool folders_only = false;  // "…/"
    bool names_only = false;    // without a '/': at any depth
    std::string front;          // what a path begins with before the first wildcard
    bool is_literal = false;    // the front is all of it
    Glob rest{""};
  };
  static Rule read_rule(std::string_view pattern, uint32_t line);
  bool matches(const Rule& rule, std::string_view path, bool is_folder);

  std::vector<Rule> rules_;
  uint64_t work_ = 0;
};

}  // namespace notp
