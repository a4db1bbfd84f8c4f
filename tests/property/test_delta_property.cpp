#include <doctest/doctest.h>

#include "protocol/delta/artifact.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace {

using namespace notp;
using samples::limits_of;
using samples::model_of;
using samples::side_of;
using samples::Texts;

constexpr uint64_t kSeeds = 150;

// Random edits can produce trees that break a rule of models (a file where a folder is); those are
// skipped.
bool clashes(const Texts& texts) {
  for (const auto& [path, text] : texts) {
    const auto below = texts.lower_bound(path + "/");
    if (below != texts.end() && below->first.starts_with(path + "/")) return true;
  }
  return false;
}

Texts edited(Random& random, Texts texts) {
  for (uint64_t edits = random.below(12); edits > 0; --edits) {
    Texts next = texts;
    samples::random_edit(random, next);
    if (!clashes(next)) texts = std::move(next);
  }
  return texts;
}

Bytes encode(const model::ModelContent* base, const model::ModelContent& target) {
  delta::ReleaseContent side;
  if (base) side = side_of(*base);
  auto artifact = delta::encode_artifact(base ? &side : nullptr, side_of(target));
  REQUIRE(artifact);
  return *artifact;
}

void check_outcome(const Bytes& artifact, const model::ModelContent* base,
                   const model::ModelContent& target) {
  delta::ReleaseContent side;
  if (base) side = side_of(*base);
  const auto applied = delta::apply_artifact(artifact, base ? &side : nullptr, limits_of(target));
  REQUIRE(applied);
  CHECK(applied->tree->content_root() == target.tree->content_root());
  for (const auto& [path, entry] : target.tree->files()) {
    const bool known = base && base->blobs.contains(entry.hash);
    const auto fresh = applied->new_blobs.find(entry.hash);
    REQUIRE((known || fresh != applied->new_blobs.end()));
    if (!known) CHECK(*fresh->second == *target.blobs.at(entry.hash));
  }
}

}  // namespace

TEST_CASE("any model becomes any other through an artifact, at no more than full content") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    Texts texts = samples::random_texts(random, random.below(60));
    if (clashes(texts)) continue;
    const model::ModelContent before = model_of(texts);
    const model::ModelContent after = model_of(edited(random, texts));
    const Bytes full = encode(nullptr, after);
    const Bytes delta = encode(&before, after);
    check_outcome(full, nullptr, after);
    check_outcome(delta, &before, after);
    // Removals and moves have no counterpart in full content: a few bytes each at most.
    CHECK(delta.size() <= full.size() + 16 + 4 * before.tree->files().size());
    size_t raw = 64;
    for (const auto& [path, entry] : after.tree->files()) raw += path.size() + entry.bytes + 16;
    CHECK(full.size() <= raw);
  }
}

TEST_CASE("any model becomes an unrelated one") {
  for (uint64_t seed = 1; seed <= kSeeds / 5; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Texts one = samples::random_texts(random, random.below(40));
    const Texts other = samples::random_texts(random, random.below(40));
    if (clashes(one) || clashes(other)) continue;
    const model::ModelContent before = model_of(one), after = model_of(other);
    check_outcome(encode(&before, after), &before, after);
  }
}

TEST_CASE("a renamed folder costs its name, whatever it holds") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    Texts texts{{"manifest.json", "{}"}}, renamed = texts;
    const uint64_t files = 1 + random.below(200);
    for (uint64_t i = 0; i < files; ++i) {
      const std::string rest = std::to_string(i) + "/" + std::to_string(random.below(9)) + ".rego";
      const std::string text = samples::random_text(random, random.below(400));
      texts["policies/" + rest] = text;
      renamed["rules/" + rest] = text;
    }
    const model::ModelContent before = model_of(texts), after = model_of(renamed);
    const Bytes artifact = encode(&before, after);
    CHECK(artifact.size() <= encode(&before, before).size() + 16);
    check_outcome(artifact, &before, after);
  }
}
