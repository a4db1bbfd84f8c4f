#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/json_changes.hpp"
#include "common/random.hpp"
#include "tests/support/json_reference.hpp"

namespace {

using namespace notp;

constexpr uint64_t kSeeds = 20'000;

std::string pick(Random& random, std::initializer_list<const char*> from) {
  return *(from.begin() + random.below(from.size()));
}

std::string space(Random& random) {
  return random.below(8) == 0 ? pick(random, {" ", "\n", "\t \r\n", "  "}) : std::string();
}

std::string scalar(Random& random) {
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

std::string name(Random& random, bool twice) {
  if (!twice)
    return fmt::format("\"{}{}\"", pick(random, {"k", "ö", "\\n", "\\u00e4"}), random.next_u64());
  return pick(random,
              {"\"a\"", "\"\\u0061\"", "\"b\"", "\"a/b~\"", "\"\"", "\"\\ud800\"", "\"0\""});
}

// Members of one object may bear one name when `twice`.
std::string value(Random& random, size_t depth, bool twice) {
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

// Where values begin, and end, in a JSON text.
std::vector<std::pair<size_t, size_t>> values_of(std::string_view text) {
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

std::string with_new_values(Random& random, std::string text, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto values = values_of(text);
    const auto [begin, end] = values[random.below(values.size())];
    text.replace(begin, end - begin, value(random, random.below(3), random.below(2) == 0));
  }
  return text;
}

// Any bytes, so that what comes out is seldom JSON.
std::string with_new_bytes(Random& random, std::string text) {
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

std::string respaced(Random& random, std::string_view text) {
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

}  // namespace

TEST_CASE("JSON changes, put into the old document, give the new one") {
  size_t found = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const std::string old_text = value(random, 1 + random.below(6), random.below(4) == 0);
    std::string new_text;
    switch (random.below(4)) {
      case 0:
        new_text = with_new_bytes(random, old_text);
        break;
      case 1:
        new_text = respaced(random, old_text);
        break;
      default:
        new_text = with_new_values(random, old_text, 1 + random.below(3));
    }
    CAPTURE(old_text);
    CAPTURE(new_text);
    const auto changes = find_json_changes(old_text, new_text);
    if (!changes) continue;
    ++found;
    REQUIRE(reference::flaw_of(old_text, new_text, *changes) == "");
  }
  CHECK(found > kSeeds / 4);
}

TEST_CASE("JSON changes are found wherever one member of an object changes") {
  for (uint64_t seed = 0; seed < kSeeds / 10; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    std::string members;
    for (size_t i = 0; i < 4 + random.below(20); ++i)
      members += fmt::format("{}\"k{}\":{}", i ? "," : "", i, value(random, 3, false));
    const auto text = [&](std::string_view changed) {
      return fmt::format(
          R"({{"list":[{{"id":1,"o":{{{}}}}},{{"changed":{}}},{{{}}}],"rest":[{}]}})", members,
          changed, members, std::string(400, '1'));
    };
    const std::string before = scalar(random), after = scalar(random);
    CAPTURE(before);
    CAPTURE(after);
    if (after.contains("ud800")) continue;  // half a pair: the whole document's reader judges it
    const auto changes = find_json_changes(text(before), text(after));
    REQUIRE(changes);
    CHECK(*changes ==
          (before == after ? "[]" : fmt::format(R"([[["list","1","changed"],{}]])", after)));
  }
}

TEST_CASE("white space alone is no change") {
  for (uint64_t seed = 0; seed < kSeeds / 10; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const std::string text = value(random, 5, random.below(2) == 0);
    CAPTURE(text);
    CHECK(find_json_changes(text, respaced(random, text)) == "[]");
  }
}
