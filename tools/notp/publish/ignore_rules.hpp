// A .notpignore file: which files of a folder are not part of the model, in the syntax of
// gitignore(5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "tools/notp/publish/glob.hpp"

namespace notp::cli {

inline constexpr std::string_view kIgnoreRulesPath = ".notpignore";
inline constexpr size_t kIgnoreBytesMax = 64 << 10;
inline constexpr size_t kIgnorePatternsMax = 1000;
inline constexpr size_t kIgnorePatternBytesMax = 1024;
// Limit of matching steps, for all paths and all patterns: some seconds.
inline constexpr uint64_t kIgnoreWorkMax = 2'000'000'000;

// Rules in order: the last match decides. Case-sensitive. Not thread-safe.
class IgnoreRules {
 public:
  IgnoreRules() = default;
  // kInvalidModel over a limit.
  static Result<IgnoreRules> parse(std::string_view text);

  // Returns the line, from 1, of the rule that ignores this path; 0: it is not ignored. `path` is
  // relative, without a trailing '/'. The caller checks the folders above it: the content of an
  // ignored folder is ignored, and no rule can undo that. kInvalidModel once the object has used
  // kIgnoreWorkMax.
  Result<uint32_t> line_ignoring(std::string_view path, bool is_folder);

 private:
  struct Rule {
    uint32_t line = 0;
    bool takes_back = false;    // "!…"
    bool folders_only = false;  // "…/"
    bool names_only = false;    // without a '/': at any depth
    std::string front;          // the path's prefix before the first wildcard
    bool is_literal = false;    // the prefix is the whole pattern
    Glob rest{""};
  };
  static Rule read_rule(std::string_view pattern, uint32_t line);
  bool matches(const Rule& rule, std::string_view path, bool is_folder);

  std::vector<Rule> rules_;
  uint64_t work_ = 0;
};

}  // namespace notp::cli
