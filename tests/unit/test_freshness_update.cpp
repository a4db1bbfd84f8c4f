// Freshness on the wire: the client restores the exact statement that the registry signed.
#include <doctest/doctest.h>

#include <functional>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;
using samples::freshness;
using samples::head_of;
using samples::key;
using samples::kIssuedMs;
using samples::signed_by;

trust::FreshHead head(std::string ledger, uint64_t version) {
  trust::Release release = samples::release(version);
  release.ledger.name = std::move(ledger);
  return head_of(release);
}

wire::FreshnessUpdate update_of(const trust::Freshness& next, const trust::Freshness* base) {
  return session::make_freshness_update(next, signed_by(next, {7}).signatures[0].signature, base);
}

Result<trust::Envelope> expand(const wire::FreshnessUpdate& update, const trust::Freshness* base) {
  return session::expand_freshness_update(update, base, samples::kDomain, samples::kNode);
}

// Sent, received and restored: the same bytes, and a valid signature.
wire::FreshnessUpdate check_round_trip(const trust::Freshness& next, const trust::Freshness* base) {
  const wire::FreshnessUpdate update = update_of(next, base);
  const auto envelope = expand(update, base);
  REQUIRE(envelope);
  CHECK(envelope->payload == next.encode());
  CHECK(trust::count_signers(*envelope, samples::public_keys({7})) == 1);
  CHECK(trust::Envelope::decode(envelope->encode()));
  return update;
}

}  // namespace

TEST_CASE("freshness update: the first one of a session carries all") {
  const trust::Freshness next = freshness(5, {head("orders", 9), head("payments", 2)});
  const auto update = check_round_trip(next, nullptr);
  CHECK(update.base_sequence == 0);
  CHECK(update.root_version == 1);
  CHECK(update.heads.size() == 2);
}

TEST_CASE("freshness update: later ones carry what changed") {
  const trust::Freshness base = freshness(5, {head("orders", 9), head("payments", 2)});
  SUBCASE("nothing") {
    trust::Freshness next = base;
    next.sequence = 6;
    next.issued_ms += 30'000;
    next.expires_ms += 30'000;
    const auto update = check_round_trip(next, &base);
    CHECK(update.base_sequence == 5);
    CHECK(update.root_version == 0);
    CHECK(update.heads.empty());
    CHECK(update.gone.empty());
  }
  SUBCASE("a new head, a new ledger, one gone, another root") {
    trust::Freshness next = freshness(7, {head("payments", 3), head("zebra", 1)});
    next.root_version = 2;
    const auto update = check_round_trip(next, &base);
    CHECK(update.root_version == 2);
    CHECK(update.heads.size() == 2);
    CHECK(update.gone == std::vector<model::LedgerId>{base.heads[0].ledger});
  }
  SUBCASE("a withdrawal alone is a change") {
    trust::Freshness next = base;
    next.sequence = 8;
    next.heads[1].withdrawn = {next.heads[1].release_hash};
    const auto update = check_round_trip(next, &base);
    REQUIRE(update.heads.size() == 1);
    CHECK(update.heads[0].withdrawn == next.heads[1].withdrawn);
  }
  SUBCASE("all ledgers gone") { CHECK(check_round_trip(freshness(9, {}), &base).gone.size() == 2); }
}

TEST_CASE("freshness update: a renewal without changes is small") {
  trust::Freshness base = freshness(kIssuedMs, {});
  for (const char* ledger : {"fraud", "invoices", "orders", "payments"})
    base.heads.push_back(head(ledger, 41));
  base.root_version = 300;
  trust::Freshness next = base;
  next.issued_ms += limits::kFreshnessIntervalMs;
  next.expires_ms = next.issued_ms + limits::kFreshnessLifetimeMs;
  next.sequence = static_cast<uint64_t>(next.issued_ms);
  const auto update = check_round_trip(next, &base);
  // 64 bytes of it are the signature. TLS 1.3 adds 22; the goal is at most 150 with them.
  CHECK(wire::encode_frame(update).size() <= 96);
}

TEST_CASE("freshness update: for a class it has the class in the place of the reader") {
  const trust::Freshness base = samples::class_freshness(5, {head("payments", 2)});
  const trust::Freshness next = samples::class_freshness(6, {head("payments", 3)});
  const trust::Freshness own = freshness(5, {head("payments", 2)});
  const auto expand_in = [](const wire::FreshnessUpdate& update, const trust::Freshness* known,
                            std::optional<trust::ClassId> id) {
    return session::expand_freshness_update(update, known, samples::kDomain, samples::kNode, id);
  };
  const wire::FreshnessUpdate update = update_of(next, &base);
  CHECK(update.of_class);
  CHECK_FALSE(update_of(own, nullptr).of_class);
  const auto envelope = expand_in(update, &base, samples::class_id());
  REQUIRE(envelope);
  CHECK(envelope->payload_type == trust::kClassFreshnessType);
  CHECK(envelope->payload == next.encode());
  CHECK(trust::count_signers(*envelope, samples::public_keys({7})) == 1);
  // The base is of this class: none for the reader alone, none of another class.
  CHECK(expand_in(update, &own, samples::class_id()).error().code == ErrorCode::kState);
  CHECK(expand_in(update, &base, samples::class_id(2)).error().code == ErrorCode::kState);
  CHECK(expand_in(update, &base, {}).error().code == ErrorCode::kWrongTarget);
  wire::FreshnessUpdate own_next = update_of(freshness(6, {}), &own);
  CHECK(expand_in(own_next, &base, samples::class_id()).error().code == ErrorCode::kState);
  CHECK(expand_in(own_next, &own, samples::class_id()));
  // Of another class, or of the other type, it is another statement.
  const wire::FreshnessUpdate whole = update_of(next, nullptr);
  CHECK(trust::count_signers(*expand_in(whole, nullptr, samples::class_id(2)),
                             samples::public_keys({7})) == 0);
  wire::FreshnessUpdate as_own = whole;
  as_own.of_class = false;
  CHECK(trust::count_signers(*expand_in(as_own, nullptr, samples::class_id()),
                             samples::public_keys({7})) == 0);
}

TEST_CASE("freshness update: what cannot be put together is refused") {
  const trust::Freshness base = freshness(5, {head("orders", 9), head("payments", 2)});
  trust::Freshness next = base;
  next.sequence = 6;
  const auto code = [&](const std::function<void(wire::FreshnessUpdate&)>& change,
                        const trust::Freshness* known) {
    wire::FreshnessUpdate update = update_of(next, &base);
    change(update);
    const auto envelope = expand(update, known);
    REQUIRE_FALSE(envelope);
    return envelope.error().code;
  };
  const auto none = [](wire::FreshnessUpdate&) {};
  CHECK(code(none, nullptr) == ErrorCode::kState);
  const trust::Freshness other = freshness(4, {});
  CHECK(code(none, &other) == ErrorCode::kState);
  const std::pair<const char*, std::function<void(wire::FreshnessUpdate&)>> cases[] = {
      {"no base, no root version", [](auto& u) { u.base_sequence = 0; }},
      {"no sequence", [](auto& u) { u.sequence = 0; }},
      {"no issue time", [](auto& u) { u.issued_ms = 0; }},
      {"issued before 1970", [](auto& u) { u.issued_ms = -1; }},
      {"issued at the end of time", [](auto& u) { u.issued_ms = INT64_MAX; }},
      {"no lifetime", [](auto& u) { u.lifetime_ms = 0; }},
      {"a lifetime that overflows", [](auto& u) { u.lifetime_ms = UINT64_MAX; }},
      {"a lifetime over the limit",
       [](auto& u) { u.lifetime_ms = uint64_t{limits::kFreshnessLifetimeMsMax} + 1; }},
      {"no signature", [](auto& u) { u.signature.clear(); }},
      {"a signature of 63 bytes", [](auto& u) { u.signature.pop_back(); }},
      {"gone and was not there", [](auto& u) { u.gone = {{273165098782, "zebra"}}; }},
      {"gone twice",
       [](auto& u) { u.gone = {{273165098782, "orders"}, {273165098782, "orders"}}; }},
      {"a head twice",
       [](auto& u) {
         u.heads = {{{273165098782, "orders"}, 1, 10, sha256("a"), {}},
                    {{273165098782, "orders"}, 1, 11, sha256("b"), {}}};
       }},
      {"a head without a release",
       [](auto& u) { u.heads = {{{273165098782, "orders"}, 1, 10, {}, {}}}; }},
      {"too many heads",
       [](auto& u) {
         for (size_t i = 0; i < limits::kLedgersPerSessionMax; ++i)
           u.heads.push_back({{273165098782, "x" + std::to_string(i)}, 1, 10, sha256("a"), {}});
       }},
  };
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    CHECK(code(change, &base) == ErrorCode::kMessage);
  }
}

TEST_CASE("freshness update: for another node it is another statement, and no signature holds") {
  const trust::Freshness next = freshness(5, {head("payments", 2)});
  const auto envelope =
      session::expand_freshness_update(update_of(next, nullptr), nullptr, samples::kDomain,
                                       "spiffe://core-platform.internal/node/edge-2");
  REQUIRE(envelope);
  CHECK(trust::count_signers(*envelope, samples::public_keys({7})) == 0);
}
