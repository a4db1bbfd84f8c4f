// Reads the specification, protocol/README.md and the pages it lists, for its tests: example blocks
// and tables.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace notp::samples::specification {

inline std::string source_text(std::string_view path) {
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE_MESSAGE(source != nullptr, "run through ctest, which sets NOTP_SOURCE");
  std::ifstream in(std::string(source) + "/" + std::string(path), std::ios::binary);
  REQUIRE_MESSAGE(in.good(), path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// In the order of the table in protocol/README.md, which links to each.
inline constexpr std::string_view kSpecificationPages[] = {
    "protocol/README.md",         "protocol/transport/README.md",  "protocol/wire/README.md",
    "protocol/session/README.md", "protocol/model/README.md",      "protocol/trust/README.md",
    "protocol/delta/README.md",   "notp-server/registry/README.md"};

// The lines of all pages. A page's last table and block end with the page, so joining is safe.
inline const std::vector<std::string>& specification() {
  static const auto lines = [] {
    std::vector<std::string> all;
    for (const std::string_view page : kSpecificationPages)
      for (std::string& line : lines_of(source_text(page))) all.push_back(std::move(line));
    return all;
  }();
  return lines;
}

inline std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" `");
  if (first == text.npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" `") - first + 1));
}

// --- reading the document

// Reads fenced blocks "```bytes name=hello-frame" (hexadecimal, '#' begins a comment) and "```text
// name=...".
inline std::map<std::string, Bytes> written_examples(
    const std::vector<std::string>& document = specification()) {
  std::map<std::string, Bytes> out;
  std::string name, body;
  bool is_hex = false, open = false;
  for (const std::string& line : document) {
    if (!line.starts_with("```")) {
      if (!open || name.empty()) continue;
      body += is_hex ? line.substr(0, line.find('#')) : line + "\n";
      continue;
    }
    if (open && !name.empty()) {
      if (is_hex) std::erase(body, ' ');
      auto bytes = is_hex ? from_hex(body) : Result<Bytes>(body);
      REQUIRE_MESSAGE(bytes.has_value(), name);
      REQUIRE_MESSAGE(out.emplace(name, *bytes).second, name << " is there twice");
    }
    open = !open;
    name.clear();
    body.clear();
    if (const size_t at = line.find(" name="); open && at != line.npos) {
      name = line.substr(at + 6);
      is_hex = line.starts_with("```bytes ");
    }
  }
  CHECK_FALSE(open);
  return out;
}

// The cells of the tables between a heading and the next one, without header and separator rows.
// Fails the test unless the document has the heading exactly once.
inline std::vector<std::vector<std::string>> table_under(
    const std::string& heading, const std::vector<std::string>& document = specification()) {
  std::vector<std::vector<std::string>> rows;
  CHECK_MESSAGE(std::ranges::count(document, heading) == 1, heading);
  bool inside = false;
  size_t line_of_table = 0;
  for (const std::string& line : document) {
    if (line.starts_with('#')) inside = line == heading;
    line_of_table = line.starts_with('|') ? line_of_table + 1 : 0;
    if (!inside || line_of_table < 3) continue;
    std::vector<std::string> cells;
    for (size_t at = 1, end; (end = line.find('|', at)) != line.npos; at = end + 1)
      cells.push_back(trimmed(std::string_view(line).substr(at, end - at)));
    rows.push_back(std::move(cells));
  }
  return rows;
}

inline uint64_t number_of(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK_MESSAGE((error == std::errc() && end == text.data() + text.size()), text);
  return value;
}

}  // namespace notp::samples::specification
