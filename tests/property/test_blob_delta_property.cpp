#include <doctest/doctest.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/delta/blob_delta.hpp"
#include "protocol/delta/section.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;
using delta::decode_blob_delta;
using delta::encode_blob_delta;

constexpr uint64_t kSeeds = 300;

// Text, noise, or one short piece repeated.
Bytes random_content(Random& random, size_t bytes) {
  Bytes out;
  switch (random.below(3)) {
    case 0:
      return samples::random_text(random, bytes);
    case 1:
      while (out.size() < bytes) out.push_back(static_cast<char>(random.next_u64()));
      return out;
    default:
      const Bytes piece = samples::random_text(random, 1 + random.below(40));
      while (out.size() < bytes) out += piece;
      out.resize(bytes);
      return out;
  }
}

// Inserts, erases, replaces, copies or moves a piece.
void edit(Random& random, Bytes& content) {
  const size_t at = random.below(content.size() + 1), to = random.below(content.size() + 1);
  const size_t bytes = random.below(random.below(10) == 0 ? 20'000 : 60);
  switch (random.below(5)) {
    case 0:
      content.insert(at, random_content(random, bytes));
      return;
    case 1:
      content.erase(at, bytes);
      return;
    case 2:
      content.replace(at, bytes, random_content(random, bytes));
      return;
    case 3:
      content.insert(to, content.substr(at, bytes));
      return;
    default: {
      const Bytes piece = content.substr(at, bytes);
      content.erase(at, bytes);
      content.insert(std::min(to, content.size()), piece);
    }
  }
}

}  // namespace

TEST_CASE("any content becomes any other through a delta, in one way") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Bytes base = random_content(random, random.below(70'000));
    Bytes target = random.below(10) ? base : random_content(random, random.below(70'000));
    for (uint64_t edits = random.below(30); edits > 0; --edits) edit(random, target);
    const auto coded = encode_blob_delta(base, target, 6);
    REQUIRE(coded);
    CHECK(coded->size() <= target.size() + 32);
    const auto decoded = decode_blob_delta(*coded, base, target.size());
    REQUIRE(decoded);
    CHECK((*decoded == target));
    CHECK((*encode_blob_delta(base, target, 6) == *coded));
    CHECK_FALSE(decode_blob_delta(*coded, base, target.size() + 1));
  }
}

TEST_CASE("what a stranger makes of a delta is refused or has the announced size") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Bytes base = random_content(random, random.below(5'000));
    Bytes target = base;
    for (uint64_t edits = random.below(30); edits > 0; --edits) edit(random, target);
    Bytes coded = *encode_blob_delta(base, target, 6);
    for (uint64_t edits = 1 + random.below(4); edits > 0; --edits)
      if (random.below(2) && !coded.empty())
        coded[random.below(coded.size())] = static_cast<char>(random.next_u64());
      else
        edit(random, coded);
    const auto decoded = decode_blob_delta(coded, base, target.size());
    if (decoded)
      CHECK(decoded->size() == target.size());
    else
      CHECK(decoded.error().code == ErrorCode::kArtifact);
  }
}

TEST_CASE("edits of a large file in a model travel as a delta") {
  size_t deltas = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    samples::Texts texts{{"manifest.json", "{}"}};
    Bytes& large = texts["data/large.json"];
    large = samples::random_text(random, limits::kSmallFileBytesMax + 1 + random.below(200'000));
    const model::ModelContent before = samples::model_of(texts);
    for (uint64_t edits = 1 + random.below(30); edits > 0; --edits) edit(random, large);
    const model::ModelContent after = samples::model_of(texts);
    const delta::ReleaseContent base = samples::side_of(before);
    const auto artifact = delta::encode_artifact(&base, samples::side_of(after));
    REQUIRE(artifact);
    const auto applied = delta::apply_artifact(*artifact, &base, samples::limits_of(after));
    REQUIRE(applied);
    CHECK(applied->tree->content_root() == after.tree->content_root());
    ByteView rest = ByteView(*artifact).substr(1);
    for (auto section = delta::take_section(rest); section && !rest.empty();
         section = delta::take_section(rest))
      deltas += section->coding == delta::Coding::kDelta;
  }
  CHECK(deltas >= 20);
}
