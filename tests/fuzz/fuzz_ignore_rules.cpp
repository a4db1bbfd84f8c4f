// An ignore file and a path, separated by the first NUL. The line that decides belongs to the file;
// adding a rule for all names ignores the path, and a later rule that takes all names back does
// not.
#include <algorithm>

#include "common/assert.hpp"
#include "tools/notp/publish/ignore_rules.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace notp;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t middle = input.find('\0');
  if (middle == std::string_view::npos) return 0;
  const std::string text(input.substr(0, middle));
  const std::string_view path = input.substr(middle + 1);
  const auto line_of = [&](const std::string& rules, bool is_folder) -> uint32_t {
    auto parsed = cli::IgnoreRules::parse(rules);
    if (!parsed) return 0;
    const auto line = parsed->line_ignoring(path, is_folder);
    return line ? *line : 0;
  };
  const auto lines = static_cast<uint32_t>(std::ranges::count(text, '\n') + 1);
  NOTP_ASSERT(line_of(text, false) <= lines, "a line that the file does not have");
  NOTP_ASSERT(line_of(text, true) <= lines, "a line that the file does not have");
  const std::string all = text + "\n*\n";
  auto parsed = cli::IgnoreRules::parse(all);
  if (!parsed || path.size() > cli::kIgnorePatternBytesMax) return 0;
  NOTP_ASSERT(line_of(all, false) == lines + 1, "a rule for every name that does not match");
  NOTP_ASSERT(line_of(all + "!*\n", false) == 0, "a rule that is not taken back");
  return 0;
}
