// A reader held below the head: it is offered its target, statements list that target, and it stays
// fresh by the terms of its own release.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/session/server/server_session.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/registry/prepared_artifact.hpp"
#include "tests/support/wire/signed_freshness.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tests/support/wire/wire_messages.hpp"

namespace notp {
namespace {

using samples::kLedger;
using samples::kNode;

const std::string kOtherNode = std::string(kNode) + "-b";
constexpr Now kStart{samples::kIssuedMs + 1'000, 7'000};

// One ledger with releases 1 to `head`, some readers of which are held, and the freshness key.
struct Registry final : session::Catalog,
                        session::TargetSource,
                        session::SessionRights,
                        session::FreshnessSource {
  uint64_t head = 42;
  std::map<std::string, uint64_t, std::less<>> held;  // by reader

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view reader) const override {
    const auto hold = held.find(reader);
    return release(ledger, hold == held.end() ? head : hold->second);
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId&,
                                           uint64_t version) const override {
    if (version == 0 || version > head) return std::nullopt;
    const trust::Release one = samples::release(version);
    return trust::ref_of(one, trust::release_hash(one.encode()));
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return release(ledger, head);
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return 1; }
  Result<void> may(wire::Action, const model::LedgerId*) const override { return {}; }

  bool enabled() const override { return true; }
  TimeMs interval_ms() const override { return limits::kFreshnessIntervalMs; }
  Result<std::pair<trust::Freshness, Bytes>> sign(trust::Freshness listed, uint64_t sequence_min,
                                                  Now now) const override {
    return samples::signed_freshness(std::move(listed), sequence_min, now);
  }
  bool holds(const trust::Freshness&) const override { return true; }
  Result<std::pair<trust::Assignment, Bytes>> sign(trust::Assignment assigned,
                                                   uint64_t sequence_min, Now now) const override {
    return samples::signed_assignment(std::move(assigned), sequence_min, now);
  }
};

// A node with its open session. It accepts every offered release.
struct Node {
  std::string identity;
  session::ServerSession session;
  Now now = kStart;
  trust::Trusted trusted = samples::trusting(samples::tracked_root());
  std::optional<trust::Freshness> last;
  std::vector<uint64_t> offered;
  trust::Release active = samples::release(40);
  TimeMs attested_ms = active.issued_ms;

  Node(const Registry& registry, std::string who)
      : identity(std::move(who)),
        session({registry, registry, registry, &registry},
                {"test", std::string(samples::kDomain), identity}, kStart) {
    trusted.audience = identity;
    wire::Want want;
    want.ledger = kLedger;
    want.base = wire::Base{active.version, active.content_root};
    say(wire::Hello{{wire::kProtocolVersion}, "test", 1, 0, {want}}, registry);
  }

  void say(const wire::Message& message, const Registry& registry) {
    session.receive(wire::encode_frame(message), now);
    settle(registry);
  }
  void settle(const Registry& registry) {
    for (session::ServerEvent& event : session.take_events())
      if (const auto* need = std::get_if<session::server_event::ArtifactNeeded>(&event)) {
        offered.push_back(need->version);
        session.artifact_ready(need->ticket, prepared_artifact(registry, *need, "artifact"));
      }
    for (const wire::Message& message : messages_in(session.take_output(1 << 20))) {
      if (const auto* update = std::get_if<wire::FreshnessUpdate>(&message)) accept(*update);
      if (const auto* offer = std::get_if<wire::Offer>(&message)) install(*offer, registry);
    }
  }
  void install(const wire::Offer& offer, const Registry& registry) {
    active = samples::release(offer.version);
    attested_ms = active.issued_ms;
    trusted.ledgers[kLedger].floor = samples::place_of(active);
    if (last && last->heads.front().release_hash == samples::place_of(active).release_hash)
      attested_ms = std::max(attested_ms, last->issued_ms);
    wire::Commit commit;
    commit.version = offer.version;
    commit.state = wire::CommitState::kActive;
    commit.freshness = trust::FreshnessState::kFresh;
    say(commit, registry);
  }
  void accept(const wire::FreshnessUpdate& update) {
    const auto envelope = session::expand_freshness_update(update, last ? &*last : nullptr,
                                                           samples::kDomain, identity);
    REQUIRE_MESSAGE(envelope.has_value(), (envelope ? "" : envelope.error().message));
    const Bytes bytes = envelope->encode();
    trust::Update arrived;
    arrived.freshness = bytes;
    const trust::Verdict verdict = trust::verify_update(arrived, trusted, now.wall_ms);
    REQUIRE_MESSAGE(!verdict.error, (verdict.error ? verdict.error->message : ""));
    trust::advance(trusted, verdict);
    last = verdict.freshness->freshness;
    if (last->heads.front().release_hash == samples::place_of(active).release_hash)
      attested_ms = last->issued_ms;
  }
  void pass(TimeMs ms, const Registry& registry) {
    const TimeMs end_ms = now.boot_ms + ms;
    while (now.boot_ms < end_ms) {
      // An occasional ping: the node is alive.
      const TimeMs step =
          std::min({session.next_deadline(), end_ms, now.boot_ms + 10'000}) - now.boot_ms;
      now.boot_ms += step;
      now.wall_ms += step;
      if (now.boot_ms >= session.next_deadline()) session.on_deadline(now);
      settle(registry);
      say(wire::Ping{1}, registry);
    }
  }
  trust::FreshnessState state() const {
    return trust::age_of({active.fresh_s, active.hard_s, active.on_hard}, attested_ms, now.wall_ms)
        .state;
  }
  uint64_t listed() const { return last.value().heads.front().version; }
};

TEST_CASE("a reader that is held below the head is offered and vouched for at its target") {
  Registry registry;
  registry.held[kNode] = 41;
  Node held(registry, kNode), other(registry, kOtherNode);
  CHECK(held.offered == std::vector<uint64_t>{41});
  CHECK(held.listed() == 41);
  CHECK(other.offered == std::vector<uint64_t>{42});
  CHECK(other.listed() == 42);

  SUBCASE("and stays fresh with it, longer than the release's own word lasts") {
    const TimeMs fresh_ms = static_cast<TimeMs>(held.active.fresh_s) * 1'000;
    held.pass(2 * fresh_ms, registry);
    CHECK(held.active.version == 41);
    CHECK(held.state() == trust::FreshnessState::kFresh);
    // The control: a statement that listed the head would have let it age.
    CHECK(trust::age_of({held.active.fresh_s, held.active.hard_s, held.active.on_hard},
                        held.active.issued_ms, held.now.wall_ms)
              .state == trust::FreshnessState::kStale);
  }
  SUBCASE("a new head is pushed to the others alone") {
    registry.head = 43;
    for (Node* node : {&held, &other}) {
      node->session.target_changed(kLedger);
      node->settle(registry);
    }
    CHECK(held.offered == std::vector<uint64_t>{41});
    CHECK(other.offered == std::vector<uint64_t>{42, 43});
  }
  SUBCASE("when the hold ends, the head is pushed, and the next statement lists it") {
    registry.held.clear();
    held.session.target_changed(kLedger);
    held.settle(registry);
    CHECK(held.offered == std::vector<uint64_t>{41, 42});
    CHECK(held.active.version == 42);
    held.pass(limits::kFreshnessIntervalMs, registry);
    CHECK(held.listed() == 42);
    CHECK(held.state() == trust::FreshnessState::kFresh);
  }
  CHECK_FALSE(held.session.is_closed());
  CHECK_FALSE(other.session.is_closed());
}

TEST_CASE("Welcome names the target to a held reader that has it already") {
  Registry registry;
  registry.held[kNode] = 40;
  session::ServerSession session({registry, registry, registry, &registry},
                                 {"test", std::string(samples::kDomain), kNode}, kStart);
  wire::Want want;
  want.ledger = kLedger;
  want.base = wire::Base{40, samples::release(40).content_root};
  session.receive(wire::encode_frame(wire::Hello{{wire::kProtocolVersion}, "test", 1, 0, {want}}),
                  kStart);
  const auto said = messages_in(session.take_output(1 << 20));
  REQUIRE(!said.empty());
  const auto& welcome = std::get<wire::Welcome>(said.front());
  REQUIRE(welcome.heads.size() == 1);
  CHECK(welcome.heads.front().version == 40);
}

}  // namespace
}  // namespace notp
