#include "tools/notp/publish/ignore_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace notp::cli {
namespace {

std::unexpected<Error> too_much(std::string what) {
  return fail(ErrorCode::kInvalidModel, fmt::format("{}: {}", kIgnoreRulesPath, what));
}

// Removes trailing spaces unless they are escaped by '\'.
std::string_view without_trailing_spaces(std::string_view line) {
  size_t end = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ' ') continue;
    if (line[i] == '\\' && i + 1 < line.size()) ++i;
    end = i + 1;
  }
  return line.substr(0, end);
}

}  // namespace

Result<IgnoreRules> IgnoreRules::parse(std::string_view text) {
  if (text.size() > kIgnoreBytesMax)
    return too_much(fmt::format("{} bytes, {} are allowed", text.size(), kIgnoreBytesMax));
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  IgnoreRules rules;
  for (uint32_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    const bool has_end = line.size() < text.size();
    text.remove_prefix(has_end ? line.size() + 1 : line.size());
    if (line.starts_with('#')) continue;
    if (has_end && line.ends_with('\r')) line.remove_suffix(1);
    line = without_trailing_spaces(line);
    if (line.empty()) continue;
    if (line.size() > kIgnorePatternBytesMax || line.contains('\0'))
      return too_much(fmt::format("line {} is longer than {} bytes, or no text", number,
                                  kIgnorePatternBytesMax));
    if (rules.rules_.size() == kIgnorePatternsMax)
      return too_much(fmt::format("more than {} patterns", kIgnorePatternsMax));
    rules.rules_.push_back(read_rule(line, number));
  }
  return rules;
}

IgnoreRules::Rule IgnoreRules::read_rule(std::string_view pattern, uint32_t line) {
  Rule rule;
  rule.line = line;
  if (pattern.starts_with('!')) {
    rule.takes_back = true;
    pattern.remove_prefix(1);
  }
  if (pattern.ends_with('/')) {
    rule.folders_only = true;
    pattern.remove_suffix(1);
  }
  rule.names_only = !pattern.contains('/');
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  // Like Git, removes the text before the first wildcard before looking for "**".
  const size_t wildcard = std::min(pattern.find_first_of("*?[\\"), pattern.size());
  rule.front = pattern.substr(0, wildcard);
  rule.is_literal = wildcard == pattern.size();
  rule.rest = Glob(pattern.substr(wildcard));
  return rule;
}

bool IgnoreRules::matches(const Rule& rule, std::string_view path, bool is_folder) {
  if (rule.folders_only && !is_folder) return false;
  if (rule.names_only) path.remove_prefix(path.rfind('/') + 1);
  if (!path.starts_with(rule.front)) return false;
  path.remove_prefix(rule.front.size());
  return rule.is_literal ? path.empty() : rule.rest.matches(path, work_);
}

Result<uint32_t> IgnoreRules::line_ignoring(std::string_view path, bool is_folder) {
  work_ += rules_.size();
  for (const Rule& rule : rules_ | std::views::reverse) {
    if (work_ > kIgnoreWorkMax)
      return too_much("matching its patterns takes too long: fewer and simpler ones do");
    if (matches(rule, path, is_folder)) return rule.takes_back ? 0 : rule.line;
  }
  return 0;
}

}  // namespace notp::cli
