// The registry's end of a session: what it attests and when, the cost of it, and access rights.
#include <doctest/doctest.h>

#include <set>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/session/server/session_limits.hpp"
#include "tests/support/registry/prepared_artifact.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::session {
namespace {

using samples::kLedger;
using samples::kNode;

// A node that processes the statements of one session.
struct Reader {
  trust::Trusted trusted = samples::trusting(samples::tracked_root());
  std::optional<trust::Freshness> last;

  void accepts(const wire::FreshnessUpdate& update, TimeMs now_ms) {
    const auto envelope =
        expand_freshness_update(update, last ? &*last : nullptr, samples::kDomain, kNode);
    REQUIRE_MESSAGE(envelope.has_value(), (envelope ? "" : envelope.error().message));
    const Bytes bytes = envelope->encode();
    trust::Update arrived;
    arrived.freshness = bytes;
    const trust::Verdict verdict = trust::verify_update(arrived, trusted, now_ms);
    REQUIRE_MESSAGE(!verdict.error, (verdict.error ? verdict.error->message : ""));
    trust::advance(trusted, verdict);
    last = verdict.freshness->freshness;
  }
};

TEST_CASE("a node can verify every statement of its session, whatever changed in between") {
  Served served;
  Reader reader;
  reader.accepts(all_of<wire::FreshnessUpdate>(served.subscribe({kLedger, kOther})).at(0),
                 served.now.wall_ms);
  CHECK(reader.last->heads.size() == 2);
  CHECK(reader.last->heads[0].version == 0);  // kOther has no release yet
  reader.accepts(all_of<wire::FreshnessUpdate>(served.next_deadline()).at(0), served.now.wall_ms);
  served.registry.set_head(kOther, 1);
  served.registry.withdrawn = {sha256("withdrawn")};
  reader.accepts(all_of<wire::FreshnessUpdate>(served.next_deadline()).at(0), served.now.wall_ms);
  CHECK(reader.last->heads[0].version == 1);
  CHECK(reader.last->heads[1].withdrawn.size() == 1);
  reader.accepts(all_of<wire::FreshnessUpdate>(served.next_deadline()).at(0), served.now.wall_ms);
  size_t attested = 0;
  for (const ServerEvent& event : served.events)
    attested += std::holds_alternative<server_event::Attested>(event) ? 1 : 0;
  CHECK(attested == 4);
}

TEST_CASE("a renewal without changes costs at most 150 bytes with its TLS record") {
  constexpr size_t kTlsRecordBytes = 22;
  Served served;
  std::vector<model::LedgerId> ledgers = {kLedger};
  for (int i = 1; i < 8; ++i) {
    ledgers.push_back({kLedger.zone, "ledger-" + std::to_string(i)});
    served.registry.set_head(ledgers.back(), 3);
  }
  served.subscribe(ledgers);
  for (int renewal = 0; renewal < 3; ++renewal) {
    REQUIRE(all_of<wire::FreshnessUpdate>(served.next_deadline()).size() == 1);
    CHECK(served.bytes + kTlsRecordBytes <= 150);
  }
}

TEST_CASE("renewals come each interval, and those of a fleet are spread over it") {
  std::map<TimeMs, int> seconds;
  for (int node = 0; node < 300; ++node) {
    Served served(std::string(kNode) + std::to_string(node));
    served.subscribe({kLedger});
    const TimeMs first = served.session.next_deadline();
    CHECK(first > kStart.boot_ms);
    CHECK(first <= kStart.boot_ms + kInterval);
    ++seconds[(first - kStart.boot_ms) / 1'000];
    served.next_deadline();
    CHECK(served.session.next_deadline() == first + kInterval);
  }
  CHECK(seconds.size() > 25);
  for (const auto& [second, nodes] : seconds) CHECK(nodes < 40);
}

TEST_CASE("what is urgent is said within a second, spread as well, and once") {
  std::set<TimeMs> moments;
  for (int node = 0; node < 50; ++node) {
    Served served(std::string(kNode) + std::to_string(node));
    served.subscribe({kLedger});
    served.now.boot_ms += 10;
    served.session.freshness_due_now(served.now);
    const TimeMs due = served.session.next_deadline();
    CHECK(due <= served.now.boot_ms + limits::kFreshnessSoonMs);
    moments.insert(due);
    CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).size() == 1);
    CHECK(served.session.next_deadline() <= served.now.boot_ms + kInterval);
  }
  CHECK(moments.size() > 30);
}

TEST_CASE("who subscribes to nothing is sent no statement") {
  Served served;
  CHECK(all_of<wire::FreshnessUpdate>(served.subscribe({})).empty());
  served.session.freshness_due_now(served.now);
  CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).empty());
  wire::Want want;
  want.ledger = kLedger;
  served.after(wire::WantMore{{want}});
  CHECK(served.session.next_deadline() <= served.now.boot_ms + limits::kFreshnessSoonMs);
  CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).size() == 1);
}

TEST_CASE("a peer that holds more than the registry is first asked, and then gets a statement") {
  for (const bool by_root : {false, true}) {
    CAPTURE(by_root);
    Served served;
    wire::Want want;
    want.ledger = kLedger;
    if (!by_root) want.base = wire::Base{47, sha256("lost")};
    const wire::Hello hello{{wire::kProtocolVersion}, "test", by_root ? 2u : 1u, 0, {want}};
    CHECK(all_of<wire::FreshnessUpdate>(served.after(hello)).empty());
    const TimeMs answered_ms = served.now.boot_ms + limits::kHeldAnswerMs;
    served.session.freshness_due_now(served.now);
    CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).size() == 1);
    CHECK(served.now.boot_ms >= answered_ms);
    CHECK(served.now.boot_ms <= answered_ms + limits::kFreshnessSoonMs);
  }
}

TEST_CASE("a registry that cannot sign serves on, and signs when it can") {
  Served served;
  served.registry.can_sign = false;
  CHECK(all_of<wire::FreshnessUpdate>(served.subscribe({kLedger})).empty());
  CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).empty());
  CHECK_FALSE(served.session.is_closed());
  served.registry.can_sign = true;
  CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).size() == 1);
}

TEST_CASE("a session without a right to what it serves ends at the next statement") {
  Served served;
  served.registry.set_head(kOther, 1);
  served.subscribe({kLedger, kOther});
  served.registry.forbidden = {kOther};
  const auto said = all_of<wire::ErrorMessage>(served.next_deadline());
  REQUIRE(said.size() == 1);
  CHECK(said.front().code == ErrorCode::kDenied);
  CHECK(served.session.is_closed());
}

TEST_CASE("sequences go on above what the node has, however its clock stood") {
  const auto ahead = static_cast<uint64_t>(kStart.wall_ms) + 1'000'000'000;
  Served served;
  CHECK(all_of<wire::FreshnessUpdate>(served.subscribe({kLedger}, 1, ahead)).at(0).sequence ==
        ahead + 1);
  CHECK(all_of<wire::FreshnessUpdate>(served.next_deadline()).at(0).sequence == ahead + 2);
  Served late;
  CHECK(all_of<wire::FreshnessUpdate>(late.subscribe({kLedger}, 1, 5)).at(0).sequence ==
        static_cast<uint64_t>(kStart.wall_ms));
  // The registry's clock is set back.
  late.now.wall_ms -= 1'000'000;
  CHECK(all_of<wire::FreshnessUpdate>(late.next_deadline()).at(0).sequence ==
        static_cast<uint64_t>(kStart.wall_ms) + 1);
}

TEST_CASE("a new freshness key ends in the same session what a thief signed far ahead") {
  const auto start = static_cast<uint64_t>(kStart.wall_ms);
  Served served;
  served.registry.new_freshness_key_at = 2;
  std::vector<wire::FreshnessUpdate> updates;
  SUBCASE("the root is there when the session begins") {
    served.registry.roots = 2;
    updates = all_of<wire::FreshnessUpdate>(served.subscribe({kLedger}, 1, start + 1'000'000));
  }
  SUBCASE("it comes later") {
    served.subscribe({kLedger}, 1, start + 1'000'000);
    served.registry.roots = 2;
    served.session.roots_changed(served.now);
    updates = all_of<wire::FreshnessUpdate>(served.next_deadline());
  }
  REQUIRE(updates.size() == 1);
  CHECK(updates[0].sequence == static_cast<uint64_t>(served.now.wall_ms));
  CHECK(updates[0].base_sequence == 0);
}

TEST_CASE("a statement or a release never comes before the root that it rests on") {
  Served served;
  // A root is published while the statement is being signed.
  served.registry.before_signing = [&] { served.registry.roots = 2; };
  const auto said = served.subscribe({kLedger});
  REQUIRE(said.size() == 3);
  CHECK(std::get<wire::RootUpdate>(said[1]).envelope == root_envelope(2));
  CHECK(std::get<wire::FreshnessUpdate>(said[2]).root_version == 2);

  served.registry.roots = 3;
  served.registry.set_head(kLedger, 4);
  served.session.target_changed(kLedger);
  const auto events = served.session.take_events();
  REQUIRE(events.size() == 1);
  const auto& need = std::get<server_event::ArtifactNeeded>(events[0]);
  served.session.artifact_ready(need.ticket, prepared_artifact(served.registry, need, "artifact"));
  const auto pushed = served.output();
  REQUIRE(pushed.size() == 3);
  CHECK(std::get<wire::RootUpdate>(pushed[0]).envelope == root_envelope(3));
  CHECK(std::holds_alternative<wire::Offer>(pushed[1]));
  // Notified later, the session has sent it already.
  served.session.roots_changed(served.now);
  CHECK(all_of<wire::RootUpdate>(served.output()).empty());
}

TEST_CASE("a chain that is longer than a session walks is walked in several") {
  Served served;
  served.registry.roots = limits::kRootStepsMax + 3;
  const auto first = served.subscribe({kLedger}, 1);
  CHECK(all_of<wire::RootUpdate>(first).size() == limits::kRootStepsMax);
  CHECK(all_of<wire::FreshnessUpdate>(first).empty());
  CHECK(served.session.is_closed());
  CHECK(all_of<wire::Bye>(first).size() == 1);

  Served again;
  again.registry.roots = limits::kRootStepsMax + 3;
  const auto second = again.subscribe({kLedger}, limits::kRootStepsMax + 1);
  CHECK(all_of<wire::RootUpdate>(second).size() == 2);
  CHECK(all_of<wire::FreshnessUpdate>(second).size() == 1);
  // A client that is ahead of the registry gets no roots.
  Served newer;
  CHECK(all_of<wire::RootUpdate>(newer.subscribe({kLedger}, 9)).empty());
}

wire::Response crowded_answer(uint64_t request) {
  wire::NodeRow node{.identity = kNode};
  for (size_t i = 0; i <= limits::kLedgersPerSessionMax; ++i)
    node.ledgers.push_back({.ledger = {kLedger.zone, "l" + std::to_string(i)}, .version = 1});
  return wire::Response{.request = request, .what = wire::NodesPage{{node}}};
}

TEST_CASE("an answer that breaks a limit is INTERNAL, and the session goes on") {
  Served served;
  served.registry.granted = {wire::Action::kRead, wire::Action::kFleet};
  served.subscribe({});
  served.after(wire::Request{7, wire::NodesRequest{"", 1}});
  served.events.clear();
  served.session.answer(crowded_answer(7));
  const auto answers = all_of<wire::Response>(served.output());
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].request == 7);
  CHECK(answers[0].code == static_cast<uint32_t>(ErrorCode::kInternal));
  CHECK(answers[0].message.contains("too many ledgers"));
  CHECK_FALSE(served.session.is_closed());
  REQUIRE(served.events.size() == 1);
  CHECK(std::holds_alternative<server_event::Unsendable>(served.events[0]));

  wire::PublishResult result;
  result.request = 8;
  result.findings.resize(limits::kFindingsMax + 1);
  served.session.publish_done(result);
  const auto results = all_of<wire::PublishResult>(served.output());
  REQUIRE(results.size() == 1);
  CHECK(results[0].request == 8);
  CHECK(results[0].code == static_cast<uint32_t>(ErrorCode::kInternal));
}

TEST_CASE("another message that breaks a limit ends the session with INTERNAL") {
  Served served;
  served.registry.withdrawn.assign(limits::kWithdrawnMax + 1, sha256("withdrawn"));
  const auto said = served.subscribe({kLedger});
  CHECK(all_of<wire::FreshnessUpdate>(said).empty());
  const auto errors = all_of<wire::ErrorMessage>(said);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].code == ErrorCode::kInternal);
  CHECK(served.session.is_closed());
}

TEST_CASE("so many requests of a session wait for their responses, and one more is OVERLOADED") {
  Served served;
  served.subscribe({});
  for (uint64_t i = 1; i <= limits::kRequestsPerSessionMax; ++i)
    CHECK(served.after(wire::Request{i, wire::TrustRequest{}}).empty());
  const auto refused =
      all_of<wire::Response>(served.after(wire::Request{99, wire::TrustRequest{}}));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].request == 99);
  CHECK(refused[0].code == static_cast<uint32_t>(ErrorCode::kOverloaded));
  CHECK_FALSE(served.session.is_closed());
  served.session.answer(wire::Response{.request = 1});
  CHECK(all_of<wire::Response>(served.output()).size() == 1);
  CHECK(served.after(wire::Request{100, wire::TrustRequest{}}).empty());
}

// Announces an artifact; false when it is refused.
bool announces(Served& served, uint32_t stream, uint64_t size) {
  wire::Publish publish;
  publish.ledger = kLedger;
  publish.version = 4;
  publish.size = size;
  publish.stream = stream;
  served.after(publish);
  return !served.session.is_closed();
}

// Advances time without data of the upload; the peer keeps pinging.
void pings(Served& served, TimeMs until_ms) {
  while (!served.session.is_closed() && served.now.boot_ms < until_ms) {
    served.now.boot_ms += 1'000;
    served.session.on_deadline(served.now);
    served.after(wire::Ping{1});
  }
}

TEST_CASE("an upload that stands still ends the session, whatever else its peer says") {
  Served served;
  served.registry.granted = {wire::Action::kPublish};
  served.subscribe({});
  REQUIRE(announces(served, 1, 10'000'000));
  pings(served, kStart.boot_ms + limits::kTransferStallMs - 1'000);
  CHECK_FALSE(served.session.is_closed());
  served.after(wire::Chunk{1, "some bytes"});
  pings(served, kStart.boot_ms + 3 * limits::kTransferStallMs);
  CHECK(served.session.is_closed());
}

TEST_CASE("an upload must come at some speed: drops do not hold its room") {
  const auto survives = [](size_t bytes_per_second) {
    Served served;
    served.registry.granted = {wire::Action::kPublish};
    served.subscribe({});
    REQUIRE(announces(served, 1, 100'000'000));
    const Bytes piece(bytes_per_second, 'x');
    for (int second = 0; second < 120 && !served.session.is_closed(); ++second) {
      served.now.boot_ms += 1'000;
      served.session.on_deadline(served.now);
      served.after(wire::Chunk{1, piece});
    }
    return !served.session.is_closed();
  };
  CHECK_FALSE(survives(limits::kUploadBytesPerSecondMin / 2));
  CHECK(survives(2 * limits::kUploadBytesPerSecondMin));
}

// Allows this many uploads.
struct FewUploads final : UploadSpace {
  size_t room = 0;
  MemoryUploads memory;

  Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) override {
    if (room == 0) return fail(ErrorCode::kOverloaded, "no room");
    --room;
    return memory.open(identity, bytes);
  }
};

TEST_CASE("an upload without room is OVERLOADED, and one that came whole is the host's") {
  ServedRegistry registry;
  registry.granted = {wire::Action::kPublish};
  FewUploads uploads;
  uploads.room = 1;
  ServerSession session({registry, registry, registry, nullptr, &uploads},
                        {"test", std::string(samples::kDomain), kNode}, kStart);
  const auto say = [&](const wire::Message& message) {
    session.receive(wire::encode_frame(message), kStart);
  };
  say(wire::Hello{{wire::kProtocolVersion}, "test", 1, 0, {}});
  wire::Publish publish;
  publish.ledger = kLedger;
  publish.version = 4;
  publish.size = 5;
  say(publish);
  say(wire::Chunk{0, "12"});
  say(wire::Chunk{0, "345"});
  Bytes arrived;
  for (ServerEvent& event : session.take_events())
    if (auto* whole = std::get_if<server_event::PublishArrived>(&event))
      arrived = whole->artifact->take().value();
  CHECK(arrived == "12345");
  CHECK_FALSE(session.is_closed());
  say(publish);
  CHECK(session.is_closed());
  const auto events = session.take_events();
  REQUIRE_FALSE(events.empty());
  const auto* closed = std::get_if<server_event::Closed>(&events.back());
  REQUIRE(closed != nullptr);
  CHECK(closed->error.code == ErrorCode::kOverloaded);
}

struct Meter final : SendMeter {
  size_t bytes = 0, taken = 0;
  void sending(size_t now, size_t since) override {
    bytes = now;
    taken += since;
  }
};

TEST_CASE("what a session holds for its peer is told, and bounded with what is being written") {
  Served served;
  Meter meter;
  served.session.set_meter(&meter);
  served.subscribe({});
  served.session.take_output(1 << 20);
  CHECK(meter.bytes == 0);
  served.session.answer(wire::Response{.request = 1, .message = std::string(4'000, 'm')});
  const size_t waiting = meter.bytes;
  CHECK(waiting > 4'000);
  const size_t taken = meter.taken;
  CHECK(served.session.take_output(1 << 20).size() == waiting);
  CHECK(meter.bytes == waiting);  // until the writer returns
  CHECK(served.session.take_output(1 << 20).empty());
  CHECK(meter.bytes == 0);
  CHECK(meter.taken == taken + waiting);
  // A writer that never returns: the queue and the bytes it took are bounded together.
  size_t most = 0, in_flight = 0;
  for (int i = 0; i < 100'000 && !served.session.is_closed(); ++i) {
    served.session.answer(wire::Response{.request = 2, .message = std::string(4'000, 'm')});
    if (i == 1'000) in_flight = served.session.take_output(1 << 20).size();
    most = std::max(most, meter.bytes);
  }
  CHECK(served.session.is_closed());
  CHECK(most <= limits::kSendQueueBytesMax);
  CHECK(meter.bytes <= in_flight + 1'000);
}

TEST_CASE("a peer that takes nothing is given up: an Error is all that is left for it") {
  Served served;
  served.subscribe({});
  served.session.answer(wire::Response{.request = 1, .message = std::string(4'000, 'm')});
  served.session.on_stalled(served.now);
  CHECK(served.session.is_closed());
  const auto last = served.output();
  REQUIRE(last.size() == 1);
  CHECK(std::get<wire::ErrorMessage>(last[0]).code == ErrorCode::kTimeout);
}

TEST_CASE("queries and orders each need their right") {
  const std::vector<std::pair<wire::Request, std::optional<wire::Action>>> cases = {
      {{1, wire::HistoryRequest{kLedger, 0, 1}}, wire::Action::kRead},
      {{2, wire::NodesRequest{"", 1}}, wire::Action::kFleet},
      {{3, wire::LedgersRequest{}}, {}},
      {{4, wire::RootsRequest{0}}, {}},
      {{5, wire::PublishRoot{"envelope"}}, wire::Action::kTrust},
      {{6, wire::Withdraw{kLedger, 1, "wrong"}}, wire::Action::kPublish},
      {{7, wire::PendingRequest{kLedger}}, wire::Action::kReview},
      {{8, wire::PendingRequest{}}, {}},
      {{9, wire::Cosign{kLedger, sha256("release"), Bytes(64, 's')}}, wire::Action::kPublish},
      {{10, wire::DropPending{kLedger, sha256("release")}}, wire::Action::kPublish},
      {{11, wire::TrustRequest{}}, {}},
      {{12, wire::NewJoinToken{"edge-1", 1'000}}, wire::Action::kEnroll},
      {{13, wire::RenewCertificate{"request"}}, wire::Action::kRenew},
      {{14, wire::DecisionsRequest{{}, {}, 10, false}}, wire::Action::kAudit},
      {{15, wire::DecisionCountsRequest{}}, wire::Action::kAudit},
      {{16, wire::LogsRequest{}}, wire::Action::kAudit},
      {{17, wire::SegmentRequest{}}, wire::Action::kAudit},
      {{18, wire::RecoveryRequest{}}, wire::Action::kFleet},
      {{19, wire::Recover{}}, wire::Action::kTrust},
      {{20, wire::StatusRequest{}}, wire::Action::kFleet},
      {{21, wire::TreeRequest{}}, wire::Action::kAudit},
      {{22, wire::ProofRequest{}}, wire::Action::kAudit},
      {{23, wire::HoldsRequest{}}, wire::Action::kAudit},
      {{24, wire::PutHold{"case-7", {}, "a court wants them", false}}, wire::Action::kErase},
      {{25, wire::EraseRequest{{}, {"id"}, "asked for", true, {}}}, wire::Action::kErase},
      {{26, wire::ReleaseHeldRequest{"node", kLedger, 1}}, wire::Action::kPublish},
      {{27, wire::SourcesRequest{}}, {}},
      {{28, wire::RefreshSource{kLedger, "login"}}, wire::Action::kPublish},
      {{29, wire::LanesRequest{}}, wire::Action::kFleet},
      {{30, wire::RevokeTokens{.lane = "login", .id = feed::token_id("one")}},
       wire::Action::kRevoke},
      {{31, wire::ShowToken{"login", feed::token_id("one")}}, wire::Action::kRevoke},
      {{32, wire::ReleaseStatusRequest{kLedger, 1}}, wire::Action::kRead}};
  const std::set<wire::Action> all = {
      wire::Action::kRead,   wire::Action::kPublish, wire::Action::kFleet, wire::Action::kTrust,
      wire::Action::kEnroll, wire::Action::kReview,  wire::Action::kRenew, wire::Action::kAudit,
      wire::Action::kRecord, wire::Action::kErase,   wire::Action::kRevoke};
  std::set<size_t> kinds;
  for (const auto& [request, needed] : cases) {
    kinds.insert(request.what.index());
    CAPTURE(wire::name_of(request));
    const auto asked = [&](std::set<wire::Action> granted) {
      Served served;
      served.registry.granted = std::move(granted);
      served.subscribe({});
      served.events.clear();
      const auto answers = all_of<wire::Response>(served.after(request));
      CHECK_FALSE(served.session.is_closed());
      const bool reached = served.events.size() == 1 &&
                           std::holds_alternative<server_event::Asked>(served.events.front());
      CHECK(answers.size() == (reached ? 0 : 1));
      if (!reached) CHECK(answers.at(0).code == static_cast<uint32_t>(ErrorCode::kDenied));
      return reached;
    };
    std::set<wire::Action> all_others = all;
    if (needed) all_others.erase(*needed);
    CHECK(asked(all));
    CHECK(asked(all_others) == !needed);
  }
  CHECK(kinds.size() == std::variant_size_v<decltype(wire::Request::what)>);
}

}  // namespace
}  // namespace notp::session
