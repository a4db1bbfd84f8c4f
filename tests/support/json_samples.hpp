// Random JSON documents, and versions of them.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/random.hpp"

namespace notp::samples::json_text {

inline std::string pick(Random& random, std::initializer_list<const char*> from) {
  return *(from.begin() + random.below(from.size()));
}

inline std::string space(Random& random) {
  return random.below(8) == 0 ? pick(random, {" ", "\n", "\t \r\n", "  "}) : std::string();
}

inline std::string scalar(Random& random) {
  return pick(random, {"0",
                       "-0",
                       "1",
                       "12",
                       "1.0",
                       "1e5",
                       "1E+400",
                       "123456789012345678901234567890",
                       "0.1234567890123456789",
                       "true",
                       "false",
                       "null",
                       "\"\"",
                       "\"a\"",
                       "\"\\u0061\"",
                       "\"]}\"",
                       "\"\\\"[{\"",
                       "\"\\\\\"",
                       "\"ö\\ud83d\\ude00\"",
                       "\"\\ud800\"",
                       "\", \"",
                       "\":\""});
}

inline std::string name(Random& random, bool twice) {
  if (!twice)
    return fmt::format("\"{}{}\"", pick(random, {"k", "ö", "\\n", "\\u00e4"}), random.next_u64());
  return pick(random,
              {"\"a\"", "\"\\u0061\"", "\"b\"", "\"a/b~\"", "\"\"", "\"\\ud800\"", "\"0\""});
}

// With `twice`, members of one object may have the same name.
inline std::string value(Random& random, size_t depth, bool twice) {
  if (depth == 0 || random.below(3) == 0) return space(random) + scalar(random) + space(random);
  const bool object = random.below(2) == 0;
  std::string out = space(random) + (object ? "{" : "[");
  const size_t count = random.below(5);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    if (object) out += space(random) + name(random, twice) + space(random) + ":";
    out += value(random, depth - 1, twice);
  }
  if (count == 0) out += space(random);
  return out + (object ? "}" : "]") + space(random);
}

// The begin and end offsets of values in a JSON text.
inline std::vector<std::pair<size_t, size_t>> values_of(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> found;
  std::vector<size_t> open;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '[' || c == '{') {
      open.push_back(i++);
    } else if (c == ']' || c == '}') {
      found.emplace_back(open.back(), ++i);
      open.pop_back();
    } else if (c == '"') {
      const size_t start = i++;
      while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      ++i;
      size_t next = i;
      while (next < text.size() && std::string_view(" \t\r\n").contains(text[next])) ++next;
      if (next == text.size() || text[next] != ':') found.emplace_back(start, i);
    } else if (std::string_view(" \t\r\n,:").contains(c)) {
      ++i;
    } else {
      const size_t start = i;
      while (i < text.size() && !std::string_view(" \t\r\n,:]}").contains(text[i])) ++i;
      found.emplace_back(start, i);
    }
  }
  return found;
}

inline std::string with_new_values(Random& random, std::string text, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto values = values_of(text);
    const auto [begin, end] = values[random.below(values.size())];
    text.replace(begin, end - begin, value(random, random.below(3), random.below(2) == 0));
  }
  return text;
}

// Inserts any bytes, so the result is seldom JSON.
inline std::string with_new_bytes(Random& random, std::string text) {
  for (size_t i = 0; i <= random.below(3); ++i) {
    const size_t at = random.below(text.size() + 1);
    const std::string piece =
        pick(random, {"\"", "\\", "[", "]", "{", "}", ",", ":", "1", " ", "a"});
    switch (random.below(3)) {
      case 0:
        text.insert(at, piece);
        break;
      case 1:
        text.erase(at, 1 + random.below(3));
        break;
      default:
        text.replace(at, 1, piece);
    }
  }
  return text;
}

inline std::string respaced(Random& random, std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!inside && std::string_view("[]{},:").contains(text[i])) out += space(random);
    out += text[i];
    if (inside && text[i] == '\\') {
      out += text[++i];
    } else if (text[i] == '"') {
      inside = !inside;
    }
  }
  return out;
}

}  // namespace notp::samples::json_text
