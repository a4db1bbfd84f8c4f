#include "common/json_slices.hpp"

namespace notp {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

size_t skip_space(ByteView text, size_t at) {
  const size_t found = text.find_first_not_of(kSpace, at);
  return found == ByteView::npos ? text.size() : found;
}

// The place behind the string that begins at `at`.
size_t skip_string(ByteView text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(text.size(), at + 1);
}

// The place behind the value that begins at `at`.
size_t skip_value(ByteView text, size_t at) {
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;  // of what is around: the value was a scalar
      --depth;
      ++at;
    } else if (depth == 0 && (c == ',' || kSpace.contains(c))) {
      return at;
    } else {
      ++at;
      continue;
    }
    if (depth == 0) return at;
  }
  return at;
}

void new_line(Bytes& out, size_t depth) {
  out.push_back('\n');
  out.append(2 * depth, ' ');
}

}  // namespace

std::optional<std::vector<ByteView>> json_elements(ByteView text) {
  std::vector<ByteView> elements;
  size_t at = skip_space(text, 0);
  if (at == text.size() || text[at] != '[') return std::nullopt;
  at = skip_space(text, at + 1);
  while (at < text.size() && text[at] != ']') {
    const size_t end = skip_value(text, at);
    if (end == at) break;  // not JSON
    elements.push_back(text.substr(at, end - at));
    at = skip_space(text, end);
    if (at < text.size() && text[at] == ',') at = skip_space(text, at + 1);
  }
  return elements;
}

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
