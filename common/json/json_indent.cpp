#include "common/json/json_indent.hpp"

namespace notp {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

size_t skip_space(ByteView text, size_t at) {
  const size_t found = text.find_first_not_of(kSpace, at);
  return found == ByteView::npos ? text.size() : found;
}

// Returns the position after the string that begins at `at`.
size_t skip_string(ByteView text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(text.size(), at + 1);
}

void new_line(Bytes& out, size_t depth) {
  out.push_back('\n');
  out.append(2 * depth, ' ');
}

}  // namespace

Bytes indent_json(ByteView text) {
  Bytes out;
  out.reserve(text.size() + text.size() / 2);
  size_t depth = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      const size_t end = skip_string(text, at);
      out += text.substr(at, end - at);
      at = end;
      continue;
    }
    ++at;
    if (kSpace.contains(c)) continue;
    if (c == '}' || c == ']') {
      if (depth > 0) new_line(out, --depth);
      out.push_back(c);
    } else if (c == '{' || c == '[') {
      out.push_back(c);
      const size_t next = skip_space(text, at);
      if (next < text.size() && (text[next] == '}' || text[next] == ']')) {
        out.push_back(text[next]);
        at = next + 1;
      } else {
        new_line(out, ++depth);
      }
    } else if (c == ',') {
      out.push_back(c);
      new_line(out, depth);
    } else if (c == ':') {
      out += ": ";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace notp
