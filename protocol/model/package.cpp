#include "protocol/model/package.hpp"

#include <algorithm>

#include "common/json/json.hpp"

namespace notp::model {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// OPA's scanner knows no other white space, and a comment ends at a line feed alone.
constexpr std::string_view kBlanks = " \t\r\n";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class PackageReader {
 public:
  explicit PackageReader(std::string_view text) : rest_(text) {}

  std::optional<DataPath> read() {
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    skip_blanks();
    if (name() != "package" || !at_blank()) return std::nullopt;
    skip_blanks();
    DataPath path{std::string(name())};
    // OPA takes a single '_' in front for a variable without a name.
    if (path.front().empty() || path.front() == "_") return std::nullopt;
    while (!at_end() && !at_blank()) {
      auto segment = next_segment();
      if (!segment) return std::nullopt;
      path.push_back(*std::move(segment));
    }
    return path;
  }

 private:
  bool at_end() const { return rest_.empty(); }
  bool at_blank() const {
    return !rest_.empty() && (rest_.front() == '#' || kBlanks.contains(rest_.front()));
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_blanks() {
    while (at_blank()) {
      if (rest_.front() == '#')
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      else
        rest_.remove_prefix(1);
    }
  }

  // Empty when there is none. OPA's names go on with other digits of Unicode: what follows a name
  // here must be an end, a blank, '.' or '['.
  std::string_view name() {
    size_t end = 0;
    while (end < rest_.size() && (is_letter(rest_[end]) || (end > 0 && is_digit(rest_[end]))))
      ++end;
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }

  std::optional<std::string> next_segment() {
    if (take('.')) {
      const std::string_view segment = name();
      if (segment.empty()) return std::nullopt;
      return std::string(segment);
    }
    if (!take('[')) return std::nullopt;
    skip_blanks();
    auto segment = rest_.starts_with('`') ? raw_text() : quoted_text();
    skip_blanks();
    if (!take(']')) return std::nullopt;
    return segment;
  }

  std::optional<std::string> raw_text() {
    const size_t end = rest_.find('`', 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return out;
  }

  std::optional<std::string> quoted_text() {
    if (!rest_.starts_with('"')) return std::nullopt;
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"' && rest_[end] != '\n')
      end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size() || rest_[end] != '"') return std::nullopt;
    const std::string_view literal = rest_.substr(0, end + 1);
    rest_.remove_prefix(literal.size());
    if (!literal.contains('\\')) return std::string(literal.substr(1, literal.size() - 2));
    const auto value = parse_json(literal);
    if (!value || !value->is_string()) return std::nullopt;
    return std::string(value->get_string());
  }

  std::string_view rest_;
};

}  // namespace

std::optional<DataPath> package_of(std::string_view module) { return PackageReader(module).read(); }

}  // namespace notp::model
