#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/json/json_changes.hpp"
#include "tests/support/json_reference.hpp"
#include "tests/support/json_samples.hpp"

namespace {

using namespace notp;
using namespace notp::samples::json_text;

constexpr uint64_t kSeeds = 20'000;

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
    if (after.contains("ud800"))
      continue;  // an unpaired surrogate is left to the reader of the whole
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
