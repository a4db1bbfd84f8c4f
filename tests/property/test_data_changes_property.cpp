// Checking only the changes gives the same result as checking the whole document.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/model/data.hpp"
#include "tests/support/json_samples.hpp"

namespace {

using namespace notp;
using namespace notp::samples::json_text;

constexpr uint64_t kSeeds = 20'000;

std::string version_of(Random& random, const std::string& text) {
  switch (random.below(4)) {
    case 0:
      return with_new_bytes(random, text);
    case 1:
      return respaced(random, text);
    default:
      return with_new_values(random, text, 1 + random.below(3));
  }
}

std::string nested(size_t levels) {
  return std::string(levels, '[') + "1" + std::string(levels, ']');
}

}  // namespace

TEST_CASE("a document is accepted by its changes only when it is as a whole") {
  size_t accepted = 0, refused = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const size_t depth_max = 2 + random.below(6);
    const std::string old_text = value(random, 1 + random.below(6), random.below(8) == 0);
    const auto old_document = parse_json(old_text);
    if (!old_document || model::depth_of(*old_document) > depth_max) continue;
    const std::string new_text = version_of(random, old_text);
    CAPTURE(old_text);
    CAPTURE(new_text);
    const auto document = parse_json(new_text);
    const bool whole = document && model::depth_of(*document) <= depth_max;
    if (!whole) ++refused;
    if (!model::check_changed(old_text, new_text, depth_max)) continue;
    ++accepted;
    REQUIRE(whole);
  }
  CHECK(accepted > kSeeds / 20);
  CHECK(refused > kSeeds / 20);
}

TEST_CASE("the new value of one member decides whether a large document is accepted") {
  const auto text = [](std::string_view member) {
    return fmt::format(R"({{"users":[{{"id":1,"member":{},"z":0}}],"rest":"{}"}})", member,
                       std::string(40'000, 'x'));
  };
  const auto accepts = [&](std::string_view member) {
    return model::check_changed(text("0"), text(member), limits::kJsonDepthMax).has_value();
  };
  for (uint64_t seed = 0; seed < kSeeds / 10; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const std::string member = value(random, 4, random.below(2) == 0);
    CAPTURE(member);
    CHECK(accepts(member) == parse_json(text(member)).has_value());
  }
  for (const size_t levels : {limits::kJsonDepthMax - 4, limits::kJsonDepthMax - 3,
                              limits::kJsonDepthMax - 2, limits::kJsonDepthMax}) {
    CAPTURE(levels);
    CHECK(accepts(nested(levels)) == parse_json(text(nested(levels))).has_value());
  }
}
