// The difference of two envelopes: decoding gives the same bytes, or the base is the wrong one, or
// it is refused.
#include <doctest/doctest.h>

#include <functional>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/delta/envelope_diff.hpp"
#include "protocol/delta/section.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

using delta::decode_envelope_diff;
using delta::encode_envelope_diff;

Bytes signed_bytes(const trust::Release& release, std::initializer_list<uint8_t> keys = {2}) {
  return samples::signed_by(release, keys).encode();
}

// The release after `before`, issued an hour later, with other content.
trust::Release next_of(const trust::Release& before) {
  trust::Release out = before;
  ++out.version;
  out.previous_hash = trust::release_hash(before.encode());
  out.content_root = sha256("content of " + std::to_string(out.version));
  out.total_bytes += 7;
  out.issued_ms += 3'600'000;
  return out;
}

// Encodes, decodes, compares, and returns the bytes transferred.
Bytes round_trip(const Bytes& base, const Bytes& target) {
  const auto coded = encode_envelope_diff(base, target);
  REQUIRE(coded);
  const auto back = decode_envelope_diff(*coded, base, target.size());
  REQUIRE(back);
  CHECK(*back == target);
  return *coded;
}

ErrorCode refusal(ByteView coded, ByteView base, uint64_t raw_bytes) {
  const auto decoded = decode_envelope_diff(coded, base, raw_bytes);
  REQUIRE_FALSE(decoded);
  CHECK_FALSE(decoded.error().message.empty());
  return decoded.error().code;
}

TEST_CASE("the next release costs its content root, its signature and a few bytes") {
  const trust::Release first = samples::release();
  const Bytes coded = round_trip(signed_bytes(first), signed_bytes(next_of(first)));
  // Two for the check, one for the mask, four for the time, one for the size.
  CHECK(coded.size() == 32 + 64 + 8);
}

TEST_CASE("the next release of a repository costs its commit beside") {
  trust::Release first = samples::release();
  first.source =
      trust::Source{"https://git.example/policies.git", "refs/heads/main", Bytes(40, 'a'), ""};
  trust::Release next = next_of(first);
  const size_t same = round_trip(signed_bytes(first), signed_bytes(next)).size();
  next.source->commit = Bytes(40, 'b');
  CHECK(round_trip(signed_bytes(first), signed_bytes(next)).size() == same + 21);
  next.source->commit = Bytes(64, 'c');
  CHECK(round_trip(signed_bytes(first), signed_bytes(next)).size() == same + 33);
  next.source->ref = "refs/tags/v2";
  round_trip(signed_bytes(first), signed_bytes(next));
  next.source.reset();
  round_trip(signed_bytes(first), signed_bytes(next));
  round_trip(signed_bytes(next), signed_bytes(next_of(first)));
}

TEST_CASE("whatever differs comes back, and whoever signed") {
  const trust::Release first = samples::release(7);
  const std::function<void(trust::Release&)> changes[] = {
      [](trust::Release&) {},
      [](trust::Release& r) { r.version += 3; },
      [](trust::Release& r) { r.version = limits::kVersionMax; },
      [](trust::Release& r) { r.version = 1, r.previous_hash = {}; },
      [](trust::Release& r) { r.previous_hash = sha256("another"); },
      [](trust::Release& r) { r.epoch = limits::kVersionMax; },
      [](trust::Release& r) { r.epoch = 0; },
      [](trust::Release& r) { r.content_root = sha256("content"); },
      [](trust::Release& r) { r.total_bytes = 0, r.file_count = limits::kModelFilesMax; },
      [](trust::Release& r) { r.data_roots = {}; },
      [](trust::Release& r) { r.data_roots = {"a", "iam/payments", "z"}; },
      [](trust::Release& r) { r.issued_ms = 1; },
      [](trust::Release& r) { r.issued_ms = limits::kTimestampMsMax; },
      [](trust::Release& r) { r.expires_ms = r.issued_ms + 1; },
      [](trust::Release& r) { r.fresh_s = 1, r.hard_s = limits::kHardSecondsMax; },
      [](trust::Release& r) { r.on_hard = trust::OnHard::kServe; }};
  for (const bool expires : {false, true})
    for (const auto& change : changes) {
      trust::Release before = first;
      if (expires) before.expires_ms = before.issued_ms + 86'400'000;
      trust::Release after = next_of(before);
      if (expires) after.expires_ms = after.issued_ms + 86'400'000;
      if (after.expires_ms > limits::kTimestampMsMax) after.expires_ms = 0;
      change(after);
      if (after.expires_ms <= after.issued_ms || after.expires_ms > limits::kTimestampMsMax)
        after.expires_ms = 0;
      REQUIRE(trust::Release::decode(after.encode()));
      round_trip(signed_bytes(before), signed_bytes(after));
      round_trip(signed_bytes(before, {2, 3}), signed_bytes(after, {3}));
      round_trip(signed_bytes(before, {}), signed_bytes(after, {2, 3, 1}));
    }
}

TEST_CASE("a lifetime that stays costs nothing") {
  trust::Release first = samples::release();
  first.expires_ms = first.issued_ms + 86'400'000;
  trust::Release second = next_of(first);
  second.expires_ms = second.issued_ms + 86'400'000;
  CHECK(round_trip(signed_bytes(first), signed_bytes(second)).size() == 32 + 64 + 8);
}

TEST_CASE("what is no release of the ledger has no difference") {
  const trust::Release first = samples::release();
  const Bytes base = signed_bytes(first), target = signed_bytes(next_of(first));
  trust::Release other = next_of(first);
  other.ledger.name = "gateway";
  CHECK_FALSE(encode_envelope_diff(base, signed_bytes(other)));
  other = next_of(first);
  other.trust_domain = "elsewhere.internal";
  CHECK_FALSE(encode_envelope_diff(base, signed_bytes(other)));
  CHECK_FALSE(encode_envelope_diff(Bytes("no envelope"), target));
  CHECK_FALSE(encode_envelope_diff(base, Bytes("no envelope")));
  CHECK_FALSE(encode_envelope_diff(base, samples::signed_by(samples::root(), {1}).encode()));
  CHECK_FALSE(encode_envelope_diff(base, Bytes(target) + "\x22"));
}

TEST_CASE("a difference for another base is refused") {
  const trust::Release first = samples::release(), second = next_of(first);
  const Bytes base = signed_bytes(first), target = signed_bytes(second);
  const Bytes coded = round_trip(base, target);
  CHECK(refusal(coded, signed_bytes(second), target.size()) == ErrorCode::kArtifact);
  CHECK(refusal(coded, signed_bytes(first, {3}), target.size()) == ErrorCode::kArtifact);
  CHECK(refusal(coded, "", target.size()) == ErrorCode::kArtifact);
  // One that claims a base that is not a release.
  const Bytes text = "no envelope";
  const Bytes lying = Bytes(sha256(text).view().substr(0, 2)) + coded.substr(2);
  CHECK(refusal(lying, text, target.size()) == ErrorCode::kArtifact);
}

TEST_CASE("a difference that is malformed is refused") {
  const trust::Release first = samples::release();
  const Bytes base = signed_bytes(first), target = signed_bytes(next_of(first));
  const Bytes coded = round_trip(base, target);
  const Bytes check = coded.substr(0, 2), signature(64, 's');
  const auto code = [&](const Bytes& rest, uint64_t raw_bytes = 300) {
    return refusal(check + rest, base, raw_bytes);
  };
  for (size_t bytes = 0; bytes < coded.size(); ++bytes)
    CHECK(refusal(coded.substr(0, bytes), base, target.size()) == ErrorCode::kArtifact);
  CHECK(refusal(coded + "s", base, target.size()) == ErrorCode::kArtifact);
  CHECK(refusal(coded, base, target.size() + 1) == ErrorCode::kArtifact);
  CHECK(code("\x80\x40" + signature) == ErrorCode::kArtifact);            // bit 13
  CHECK(code(Bytes("\x82\x00", 2) + signature) == ErrorCode::kArtifact);  // not the shortest form
  CHECK(code("\x40\x11" + signature) == ErrorCode::kArtifact);            // 17 signatures
  CHECK(code("\x40\x01\x81\x01" + Bytes(129, 'k') + signature) == ErrorCode::kArtifact);
  CHECK(code("\x40\x01\x01\xff" + signature) == ErrorCode::kArtifact);  // a keyid in no UTF-8
  CHECK(code("\x80\x02\x41" + signature) == ErrorCode::kArtifact);      // 65 roots
  CHECK(code("\x80\x02\x02\x01z\x01"
             "a" +
             signature) == ErrorCode::kArtifact);                   // not sorted
  CHECK(code("\x80\x20\x06" + signature) == ErrorCode::kArtifact);  // on_hard 4
  CHECK(code("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + signature) == ErrorCode::kArtifact);
}

TEST_CASE("mutations are refused, or make the envelope of a release") {
  const trust::Release first = samples::release();
  const Bytes base = signed_bytes(first), target = signed_bytes(next_of(first));
  const Bytes coded = round_trip(base, target);
  SeededRandom random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = coded;
    for (uint64_t n = 1 + random.below(3); n > 0; --n)
      changed[random.below(changed.size())] = static_cast<char>(random.below(256));
    const auto decoded = decode_envelope_diff(changed, base, target.size());
    if (!decoded) {
      CHECK(decoded.error().code == ErrorCode::kArtifact);
      continue;
    }
    CHECK(decoded->bytes().size() == target.size());
    CHECK(decoded->is_read());
    CHECK(trust::Release::decode(trust::Envelope::decode(*decoded)->payload));
  }
}

TEST_CASE("an artifact has the difference where there is one, and else what is smallest") {
  const model::ModelContent before = samples::model_of({{"manifest.json", "{}"}});
  const model::ModelContent after = samples::model_of({{"manifest.json", "{ }"}});
  const trust::Release first = samples::release(), second = next_of(first);
  const Bytes old_envelope = signed_bytes(first), new_envelope = signed_bytes(second);
  const delta::ReleaseContent base = samples::side_of(before, old_envelope);
  const auto envelope_section = [&](const delta::ReleaseContent& target) {
    const auto artifact = delta::encode_artifact(&base, target);
    REQUIRE(artifact);
    CHECK(delta::read_envelope(*artifact, base.envelope) == target.envelope);
    ByteView in = ByteView(*artifact).substr(1);
    return delta::take_section(in).value();
  };
  const auto diff = envelope_section(samples::side_of(after, new_envelope));
  CHECK(diff.coding == delta::Coding::kDifference);
  CHECK(diff.coded.size() == 32 + 64 + 8);
  Bytes as_text, as_difference;
  REQUIRE(delta::put_section(as_text, delta::SectionKind::kSolid, new_envelope, old_envelope, 6));
  REQUIRE(delta::put_envelope_section(as_difference, new_envelope, old_envelope, 6));
  MESSAGE("ENVELOPE " << as_text.size() << " -> " << as_difference.size() << " bytes");
  CHECK(as_difference.size() == diff.coded.size() + 4);
  // Sections of other kinds, or without a base, have no difference.
  const auto artifact = delta::encode_artifact(&base, samples::side_of(after, new_envelope));
  CHECK(delta::read_envelope(*artifact, {}).error().code == ErrorCode::kArtifact);
  Bytes as_program = *artifact;
  as_program[1] = '\x42';
  CHECK(delta::read_envelope(as_program, base.envelope).error().code == ErrorCode::kArtifact);
  // Not a release's envelope: coded like any text.
  const Bytes text = old_envelope + "!";
  CHECK(envelope_section(samples::side_of(after, text)).coding == delta::Coding::kZstdReference);
}

}  // namespace
}  // namespace notp
