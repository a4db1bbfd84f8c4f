#include "notp-client/pdp/data_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/json/json.hpp"

namespace notp::pdp {
namespace {

bool is_variable(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool is_integer(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::vector<std::string> path_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    if (!segment.empty()) segments.emplace_back(segment);
  }
  return segments;
}

std::string reference_text(const std::vector<std::string>& path) {
  std::string out = "data";
  for (const std::string& segment : path) {
    if (is_variable(segment))
      out += "." + segment;
    else if (is_integer(segment))
      out += fmt::format("[{}]", segment);
    else
      out += fmt::format("[{}]", json_string(segment));
  }
  return out;
}

}  // namespace notp::pdp
