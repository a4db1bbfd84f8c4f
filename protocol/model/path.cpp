#include "protocol/model/path.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "common/assert.hpp"
#include "common/bytes.hpp"
#include "common/limits.hpp"

namespace notp::model {
namespace {

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

// `text` must be valid UTF-8.
std::string map_utf8(std::string_view text, int options) {
  struct Free {
    void operator()(utf8proc_uint8_t* memory) const { std::free(memory); }
  };
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, Free> owner(mapped);
  NOTP_ASSERT(size >= 0, "utf8proc failed on valid UTF-8");
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(size)};
}

std::string normalise(std::string_view text) {
  return map_utf8(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

utf8proc_int32_t code_point_at(std::string_view text) {
  utf8proc_int32_t code_point = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  return code_point;
}

bool is_space(utf8proc_int32_t code_point) {
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_ZS;
}

// Returns why a code point is not allowed in a path; empty when it is.
std::string_view code_point_rule(utf8proc_int32_t code_point) {
  if (code_point == '\\') return "has a backslash, a separator to some systems";
  if (code_point == ':') return "has a colon, which names a drive or a stream to some systems";
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return "has a control character";
    case UTF8PROC_CATEGORY_CF:
      return "has an invisible character";
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO:
      return "has a character that Unicode does not define";
    default:
      return utf8proc_get_property(code_point)->ignorable ? "has an invisible character"
                                                          : std::string_view();
  }
}

// Matches ".git" and names that start with it (".gitmodules", ".gitattributes" control Git), and
// the short names that NTFS gives them: "git~1", "gitmod~1", "gi7eba~1".
bool is_git_name(std::string_view segment) {
  const std::string folded = fold_path(segment);
  if (folded.starts_with(".git")) return true;
  const size_t tilde = folded.find('~');
  return folded.starts_with("gi") && tilde != std::string::npos && tilde + 1 < folded.size() &&
         folded[tilde + 1] >= '0' && folded[tilde + 1] <= '9';
}

// Returns why a segment is not allowed in a path; empty when it is. `segment` is valid UTF-8.
std::string segment_rule(std::string_view segment) {
  if (segment.empty()) return "has an empty segment; it is relative, with one '/' between names";
  if (segment == "." || segment == "..") return "has a \".\" or \"..\" segment";
  if (segment.size() > limits::kPathSegmentBytesMax)
    return fmt::format("has a name longer than {} bytes", limits::kPathSegmentBytesMax);
  utf8proc_int32_t last = 0;
  for (std::string_view rest = segment; !rest.empty();
       rest.remove_prefix(utf8_sequence_bytes(rest))) {
    last = code_point_at(rest);
    if (const auto rule = code_point_rule(last); !rule.empty()) return std::string(rule);
  }
  if (is_space(code_point_at(segment)) || is_space(last))
    return "has a name that starts or ends with a space";
  if (segment.ends_with('.')) return "has a name that ends with a dot";
  if (is_git_name(segment))
    return "has a name that Git or a file system takes for one of Git's own";
  return {};
}

std::string path_rule(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > limits::kPathBytesMax)
    return fmt::format("is longer than {} bytes", limits::kPathBytesMax);
  if (!is_utf8(path)) return "is not valid UTF-8";
  size_t depth = 0;
  for (std::string_view rest = path;;) {
    if (++depth > limits::kPathDepthMax)
      return fmt::format("is deeper than {} folders", limits::kPathDepthMax);
    const size_t slash = rest.find('/');
    if (auto rule = segment_rule(rest.substr(0, slash)); !rule.empty()) return rule;
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  // After the segments: a forbidden character is the better fault to report.
  if (!is_ascii(path) && normalise(path) != path)
    return "is not in Unicode normalisation form C; rename the file";
  return {};
}

}  // namespace

Result<void> check_path(std::string_view path) {
  if (const auto rule = path_rule(path); !rule.empty())
    return fail(ErrorCode::kInvalidModel, fmt::format("path \"{}\" {}", printable(path), rule));
  return {};
}

std::string compose_path(std::string_view path) {
  return is_ascii(path) || !is_utf8(path) ? std::string(path) : normalise(path);
}

std::string fold_path(std::string_view path) {
  std::string folded(path);
  if (is_ascii(path)) {
    for (char& c : folded)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return folded;
  }
  if (!is_utf8(path)) return folded;
  return map_utf8(path, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                            UTF8PROC_IGNORE);
}

}  // namespace notp::model
