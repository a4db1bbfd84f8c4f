// notp decisions against the registry's own store and search: what one side writes and answers, the
// other reads.
#include <doctest/doctest.h>

#include "common/json/json.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/ingest.hpp"
#include "notp-server/audit/search.hpp"
#include "tests/support/signed_log.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/notp/audit/decision_tail.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/log_history.hpp"
#include "tools/notp/audit/missing.hpp"
#include "tools/notp/audit/node_state.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kNowMs = kStartNs / 1'000'000;

// A registry without sessions.
class StoredRegistry final : public AuditPort {
 public:
  StoredRegistry() {
    audit::DayFilesOptions options;
    options.wall_ms = [] { return kNowMs; };
    auto opened = audit::DayFiles::open(folder_.path() / "audit", std::move(options));
    REQUIRE(opened);
    store_ = *std::move(opened);
    ingest_.emplace(*store_, counters_);
    REQUIRE(ingest_->load());
    search_.emplace(*store_, audit::AuditSearchOptions{});
  }

  // As a node ships it: what the registry does not have yet.
  void receive(const SignedLog& log) {
    const wire::LogRow row = log.row();
    wire::LogGrant grant = ingest_->offered(log.node(), {row.log, row.size, row.root}, kNowMs);
    REQUIRE_MESSAGE(grant.code == 0, grant.message);
    if (grant.announce) {
      auto announced = ingest_->announced(log.node(), row.log, row.announcement, kNowMs);
      REQUIRE(announced);
      REQUIRE_MESSAGE(announced->code == 0, announced->message);
      grant = *std::move(announced);
    }
    for (const record::Segment& each : log.segments_) {
      if (each.head.first < grant.next) continue;
      auto decision = ingest_->arrived(log.node(), each, kNowMs);
      REQUIRE_MESSAGE(decision.grant.code == 0, decision.grant.message);
      REQUIRE(decision.store);
      REQUIRE(store_->append({*std::move(decision.store)}));
    }
  }
  audit::MaySee may_see = [](std::string_view) { return true; };

  Result<wire::DecisionsPage> ask(const wire::DecisionsRequest& request) override {
    return search_->decisions(request, may_see);
  }
  Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest& request) override {
    return search_->counts(request, may_see);
  }
  Result<wire::LogsPage> ask(const wire::LogsRequest& request) override {
    return search_->logs(request);
  }
  Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) override {
    return search_->segment(request, may_see);
  }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<audit::DayFiles> store_;
  audit::IntakeCounters counters_;
  std::optional<audit::LogIngest> ingest_;
  std::optional<audit::AuditSearch> search_;
};

// Starts, activates, decides; loses power; goes on. A part of it without bodies.
SignedLog eventful() {
  SignedLog log(31);
  const auto late = [](int i) { return kStartNs + i * 1'000'000LL; };
  log.seal({at(record::RunStart{"notp-client 1", 1, "b"}, late(0)), at(active_set(), late(1)),
            at(decision("payments/transfer", R"({"who":"ana","n":1})"), late(2), 1, 1),
            at(decision("payments/refund", R"({"who":"bo"})"), late(3), 1, 1)});
  log.seal({at(decision("payments/transfer", R"({"who":"cy"})"), late(4), 1, 1)});
  log.segments_.back() = log.without_body(1);
  log.seal({at(record::Gap{record::GapReason::kPowerLoss, 50, true, "", ""}, late(5)),
            at(record::RunStart{"notp-client 1", 2, "c"}, late(6), 2), at(active_set(), late(7), 2),
            at(decision("payments/transfer", Bytes(R"({"pad":")") + Bytes(200'000, 'x') + "\"}"),
               late(8), 2, 7)});
  return log;
}

LogReport verify(AuditPort& port, const wire::LogRow& row) {
  LogVerifier verifier(row, std::string(kDomain));
  while (const auto position = verifier.wanted()) {
    const auto fetched = fetch_segment(port, row.log, *position);
    REQUIRE(fetched);
    verifier.take(*fetched);
  }
  return std::move(verifier).finish();
}

}  // namespace

TEST_CASE("the registry's pages are read whole, with what was active, and large records too") {
  StoredRegistry registry;
  const SignedLog log = eventful();
  registry.receive(log);
  const auto all = read_all(RecordPages(registry, {}, /*oldest_first=*/true), 100);
  REQUIRE(all);
  REQUIRE(all->size() == 3);  // the fourth has no body
  for (const AuditRecord& each : *all) {
    CHECK(each.unreadable.empty());
    CHECK(release_text(each) == "100000000001/payments@v41");
    CHECK(is_json(event_json(each)));
  }
  CHECK(all->back().decision()->input->size() > 200'000);
  wire::DecisionFilter filter;
  filter.values = {"ana"};
  const auto found = read_all(RecordPages(registry, filter, false), 100);
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  wire::DecisionFilter by_id;
  by_id.decision_id = found->front().id();
  const auto shown = read_all(RecordPages(registry, by_id, false), 100);
  REQUIRE(shown);
  REQUIRE(shown->size() == 1);
  CHECK(shown->front().record == found->front().record);
}

TEST_CASE("the registry's segments verify, also for a reader who may not see all") {
  StoredRegistry registry;
  const SignedLog log = eventful();
  registry.receive(log);
  const auto rows = ask_logs(registry, std::string(kNode));
  REQUIRE(rows);
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().pruned == 1);
  for (const bool may_see : {true, false}) {
    registry.may_see = [may_see](std::string_view) { return may_see; };
    const LogReport report = verify(registry, rows->front());
    CHECK_MESSAGE(!report.problem, (report.problem ? report.problem->why.message : ""));
    CHECK(report.state() == LogState::kGaps);
    CHECK(report.verified == 9);
    CHECK(report.dropped == 1);
    CHECK(report.closed == (may_see ? 0 : 3));
    REQUIRE(report.gaps.size() == 1);
    CHECK(report.gaps.front().position == 5);
  }
}

TEST_CASE("what the registry has answers missing, node at and tail") {
  StoredRegistry registry;
  SignedLog log = eventful();
  registry.receive(log);
  const auto id = [&](uint32_t run, record::Position position) {
    return record::DecisionAddress::of(log.id(), run, position).text();
  };
  const std::vector<std::string> ids = {id(1, 2),  id(1, 4), id(1, 5),
                                        id(1, 40), id(2, 8), id(2, 9)};
  const auto answers = find_ids(registry, ids, [](size_t) {});
  REQUIRE(answers);
  std::vector<IdState> states;
  for (const IdAnswer& answer : *answers) states.push_back(answer.state);
  CHECK(states == std::vector<IdState>{IdState::kRecorded, IdState::kLost, IdState::kLost,
                                       IdState::kLost, IdState::kRecorded, IdState::kUnknown});

  const auto state = node_state_at(registry, std::string(kNode), kNowMs + 5);
  REQUIRE(state);
  REQUIRE(*state);
  CHECK((*state)->active.position() == 1);
  CHECK((*node_state_at(registry, std::string(kNode), kNowMs + 60))->active.position() == 7);

  DecisionTail tail({});
  const auto newest = tail.start(registry, 2);
  REQUIRE(newest);
  REQUIRE(newest->size() == 2);
  CHECK(newest->back().position() == 8);
  CHECK(tail.poll(registry, kNowMs)->records.empty());
  log.seal({at(decision("payments/transfer", "1"), kStartNs, 2, 7)});
  registry.receive(log);
  const auto arrived = tail.poll(registry, kNowMs);
  REQUIRE(arrived);
  REQUIRE(arrived->records.size() == 1);
  CHECK(arrived->records.front().position() == 9);
  CHECK(tail.poll(registry, kNowMs)->records.empty());
}

}  // namespace notp::cli
