#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "protocol/delta/envelope_diff.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;

constexpr uint64_t kSeeds = 500;

// Small, large, or anything, within 0 and `max`.
uint64_t number(Random& random, uint64_t max) {
  switch (random.below(3)) {
    case 0:
      return random.below(std::min<uint64_t>(max, 4) + 1);
    case 1:
      return max - random.below(std::min<uint64_t>(max, 4) + 1);
    default:
      return random.below(max + 1);
  }
}

Hash any_hash(Random& random) { return sha256(std::to_string(random.below(1 << 30))); }

trust::Release any_release(Random& random) {
  trust::Release out = samples::release(1 + number(random, limits::kVersionMax - 1));
  out.previous_hash = out.version == 1 ? Hash{} : any_hash(random);
  out.epoch = number(random, limits::kVersionMax);
  out.content_root = any_hash(random);
  out.total_bytes = number(random, limits::kModelBytesMax);
  out.file_count = 1 + number(random, limits::kModelFilesMax - 1);
  std::set<std::string> roots;
  for (uint64_t n = number(random, limits::kRootsMax); n > 0; --n)
    roots.insert(std::string(random.below(40), static_cast<char>('a' + random.below(26))));
  out.data_roots.assign(roots.begin(), roots.end());
  const auto time_max = static_cast<uint64_t>(limits::kTimestampMsMax);
  out.issued_ms = static_cast<TimeMs>(1 + number(random, time_max - 2));
  if (random.below(2) == 0)
    out.expires_ms =
        out.issued_ms + 1 +
        static_cast<TimeMs>(number(random, time_max - static_cast<uint64_t>(out.issued_ms) - 1));
  out.fresh_s = 1 + number(random, limits::kHardSecondsMax - 1);
  out.hard_s = out.fresh_s + number(random, limits::kHardSecondsMax - out.fresh_s);
  out.on_hard = random.below(2) == 0 ? trust::OnHard::kDeny : trust::OnHard::kServe;
  if (random.below(2) == 0)
    out.source = trust::Source{
        "https://git.example/x", "main",
        Bytes(random.below(2) == 0 ? 40 : 64, static_cast<char>('a' + random.below(6))), ""};
  for (uint64_t n = number(random, limits::kUsesMax); n > 0; --n)
    out.uses.push_back({{limits::kZoneMin + number(random, limits::kZoneMax - limits::kZoneMin),
                         std::string(1 + random.below(20), 'u')},
                        1 + number(random, limits::kVersionMax - 1)});
  std::ranges::sort(out.uses, {}, &model::LedgerUse::ledger);
  const auto twice = std::ranges::unique(out.uses, {}, &model::LedgerUse::ledger);
  out.uses.erase(twice.begin(), twice.end());
  std::erase_if(out.uses, [&](const model::LedgerUse& use) { return use.ledger == out.ledger; });
  return out;
}

// Signatures need not be valid: they are not checked.
Bytes any_envelope(Random& random) {
  trust::Envelope out = trust::envelope_of(any_release(random));
  for (uint64_t n = number(random, limits::kSignaturesMax); n > 0; --n)
    out.signatures.push_back({Bytes(kSignatureBytes, static_cast<char>(random.below(256))),
                              std::string(random.below(20), static_cast<char>('a' + n))});
  return out.encode();
}

}  // namespace

TEST_CASE("the envelope of any release comes back from its difference to that of any other") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Bytes base = any_envelope(random), target = any_envelope(random);
    REQUIRE(trust::Envelope::decode(target));
    for (const Bytes& to : {target, base}) {
      const auto coded = delta::encode_envelope_diff(base, to);
      REQUIRE(coded);
      CHECK(delta::decode_envelope_diff(*coded, base, to.size()) == to);
    }
  }
}
