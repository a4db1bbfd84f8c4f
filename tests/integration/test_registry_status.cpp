// What a registry answers to those who watch it, and what that costs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <ctime>

#include "notp-server/service/registry_status.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using wire::CommitState;

const model::LedgerId kPayments{273165098782, "payments"};

// Heads in memory, as a registry has them; nothing else is asked of it here.
class Heads final : public registry::Registry {
 public:
  void set(const model::LedgerId& ledger, uint64_t version) {
    auto info = std::make_shared<registry::ReleaseInfo>();
    info->ref.ledger = ledger;
    info->ref.version = version;
    heads_[ledger] = std::move(info);
  }
  std::vector<model::LedgerId> ledgers() const override {
    std::vector<model::LedgerId> out;
    for (const auto& [ledger, head] : heads_) out.push_back(ledger);
    return out;
  }
  registry::ReleaseInfoPtr head(const model::LedgerId& ledger) const override {
    const auto found = heads_.find(ledger);
    return found == heads_.end() ? nullptr : found->second;
  }
  std::vector<registry::LedgerDamage> damaged() const override { return {}; }
  std::optional<Error> damage(const model::LedgerId&) const override { return std::nullopt; }
  Result<registry::ReleaseInfoPtr> info(const model::LedgerId&, uint64_t) const override {
    return not_here();
  }
  Result<registry::SnapshotPtr> snapshot(const model::LedgerId&, uint64_t) override {
    return not_here();
  }
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId&) const override {
    return {};
  }
  Result<std::vector<registry::ReleaseInfoPtr>> history(const model::LedgerId&, uint64_t,
                                                        size_t) const override {
    return not_here();
  }
  Result<registry::SnapshotPtr> publish(registry::NewRelease) override { return not_here(); }
  Result<registry::ReleaseInfoPtr> withdraw(const model::LedgerId&, uint64_t, std::string_view,
                                            std::string_view, TimeMs) override {
    return not_here();
  }
  std::vector<Hash> withdrawn(const model::LedgerId&) const override { return {}; }

 private:
  static std::unexpected<Error> not_here() { return fail(ErrorCode::kInternal, "not asked here"); }

  std::map<model::LedgerId, registry::ReleaseInfoPtr> heads_;
};

std::string node(int number) {
  return fmt::format("spiffe://core-platform.internal/node/edge-{:05}", number);
}

// Of this thread.
double processor_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

class Site {
 public:
  Heads heads;
  std::unique_ptr<fleet::Fleet> fleet;
  service::RegistryTotals totals;

  Site() {
    auto opened = fleet::Fleet::open(folder_.path() / "fleet.db");
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message));
    fleet = *std::move(opened);
  }
  void connect(int number, TimeMs now_ms,
               const std::vector<model::LedgerId>& ledgers = {kPayments}) const {
    REQUIRE(fleet->node_seen(node(number), "notp-client/0.1", true, now_ms).has_value());
    REQUIRE(fleet->subscribed(node(number), ledgers).has_value());
  }
  void leave(int number, TimeMs now_ms) const {
    REQUIRE(fleet->node_seen(node(number), "", false, now_ms).has_value());
  }
  void report(int number, uint64_t version, CommitState state, TimeMs now_ms,
              const model::LedgerId& ledger = kPayments,
              std::optional<trust::FreshnessState> freshness = std::nullopt) const {
    wire::Commit commit{ledger, version, state, 0, "", sha256("content")};
    commit.freshness = freshness;
    REQUIRE(fleet->report(node(number), commit, now_ms).has_value());
  }
  Result<wire::RegistryStatus> ask(wire::StatusRequest request = {.rows_max = 1'000},
                                   TimeMs now_ms = 100'000) const {
    return service::status_of(heads, *fleet, totals, request, now_ms);
  }
  // The status once it is like this: the nodes are counted some tenths of a second later.
  wire::RegistryStatus when(const std::function<bool(const wire::RegistryStatus&)>& is) const {
    wire::RegistryStatus last;
    const bool was = wait_until([&] {
      auto status = ask();
      if (status) last = *std::move(status);
      return status && is(last);
    });
    CHECK(was);
    return last;
  }

 private:
  const TemporaryFolder folder_;
};

TEST_CASE("each node of a ledger is current, older, rejecting or away") {
  Site site;
  site.heads.set(kPayments, 5);
  const auto too_early = site.ask();
  REQUIRE_FALSE(too_early.has_value());
  CHECK(too_early.error().code == ErrorCode::kUnavailable);

  site.fleet->measure();
  site.totals = {.sessions = 9, .publishes = 3, .offers = 20, .sent_bytes = 4'000, .records = 77};
  site.fleet->measures().published(kPayments, 5, 1'000);
  for (int i = 0; i < 9; ++i) site.connect(i, 500);
  site.report(0, 5, CommitState::kActive, 1'100);
  site.report(1, 5, CommitState::kActive, 1'700);
  site.report(2, 4, CommitState::kActive, 1'100);
  site.report(3, 5, CommitState::kStored, 1'100);  // and nothing active
  site.report(4, 4, CommitState::kActive, 1'100);
  site.report(5, 5, CommitState::kActive, 1'200);
  site.report(7, 5, CommitState::kActive, 1'300, kPayments, trust::FreshnessState::kStale);
  REQUIRE(site.fleet->flush().has_value());
  site.report(4, 5, CommitState::kRejected, 1'400);
  // It decides with the head, whatever it says of another release.
  site.report(7, 4, CommitState::kRejected, 1'500, kPayments, trust::FreshnessState::kStale);
  site.leave(5, 1'600);
  // 6 has reported nothing, 8 wants the ledger no longer.
  site.report(8, 5, CommitState::kActive, 1'600);
  REQUIRE(site.fleet->subscribed(node(8), {}).has_value());

  const auto status = site.when([](const wire::RegistryStatus& s) {
    return s.nodes == 9 && s.connected == 8 && s.rejections == 2 && s.activations == 7 &&
           !s.ledgers.empty() && s.ledgers[0].nodes == 7 && s.ledgers[0].away == 1;
  });
  CHECK(status.sessions == 9);
  CHECK(status.publishes == 3);
  CHECK(status.offers == 20);
  CHECK(status.sent_bytes == 4'000);
  CHECK(status.records == 77);
  CHECK(status.stale == 1);
  CHECK(status.now_ms == 100'000);
  CHECK_FALSE(status.more);
  REQUIRE(status.ledgers.size() == 1);
  const wire::LedgerStatus& row = status.ledgers[0];
  CHECK(row.ledger == kPayments);
  CHECK(row.head_version == 5);
  CHECK(row.published_ms == 1'000);
  CHECK(row.slowest_ms == 700);
  CHECK(row.current == 3);
  CHECK(row.older == 2);
  CHECK(row.rejected == 1);
  CHECK(row.away == 1);

  // A new head: at once nobody has it, and whoever rejected the one before has not rejected it.
  site.heads.set(kPayments, 6);
  const wire::LedgerStatus next = site.ask()->ledgers.at(0);
  CHECK(next.current == 0);
  CHECK(next.older == 6);
  CHECK(next.rejected == 0);
  CHECK(next.away == 1);
  CHECK(next.published_ms == 0);
  CHECK(next.slowest_ms == 0);
}

TEST_CASE("what a node says again is counted once") {
  Site site;
  site.heads.set(kPayments, 5);
  site.fleet->measure();
  site.connect(1, 1'000);
  site.report(1, 5, CommitState::kActive, 1'100);
  REQUIRE(site.fleet->flush().has_value());
  site.report(1, 6, CommitState::kRejected, 1'200);
  REQUIRE(site.fleet->flush().has_value());
  for (int session = 0; session < 3; ++session) {
    site.leave(1, 2'000);
    site.connect(1, 2'100);
    site.report(1, 5, CommitState::kActive, 2'200);
    REQUIRE(site.fleet->flush().has_value());
    site.report(1, 5, CommitState::kActive, 2'300);
    REQUIRE(site.fleet->flush().has_value());
  }
  const auto status = site.when([](const wire::RegistryStatus& s) { return s.activations == 1; });
  CHECK(status.rejections == 1);
  // Rejected again after it was active: that is news.
  site.report(1, 6, CommitState::kRejected, 3'000);
  REQUIRE(site.fleet->flush().has_value());
  CHECK(site.ask()->rejections == 2);
}

TEST_CASE("the oldest missing record is as old as it is now") {
  Site site;
  site.fleet->measure();
  site.connect(1, 1'000);
  CHECK(site.when([](const wire::RegistryStatus& s) { return s.nodes == 1; }).lag_ms == 0);
  site.fleet->log_offered(node(1), 4'000, 90'000);
  CHECK(site.ask()->lag_ms == 14'000);
}

TEST_CASE("ten thousand nodes, ten thousand ledgers: pages, and what an answer costs") {
  constexpr int kMany = 10'000;
  Site site;
  const auto ledger = [](int number) {
    return model::LedgerId{100'000'000'000, fmt::format("ledger-{:05}", number)};
  };
  site.fleet->measure();
  for (int i = 0; i < kMany; ++i) {
    site.heads.set(ledger(i), 2);
    site.fleet->measures().published(ledger(i), 2, 1'000);
    site.connect(i, 500, {ledger(i), ledger((i + 1) % kMany)});
    site.report(i, 2, CommitState::kActive, 1'100, ledger(i));
    site.report(i, 1, CommitState::kActive, 1'100, ledger((i + 1) % kMany));
  }
  site.when([](const wire::RegistryStatus& s) {
    return s.nodes == kMany && s.ledgers.size() == 1'000 && s.ledgers.back().nodes == 2;
  });

  constexpr int kRounds = 5;
  size_t pages = 0;
  double ms = 0;
  for (int round = 0; round < kRounds; ++round) {
    wire::StatusRequest request{.rows_max = 1'000};
    size_t rows = 0;
    bool more = true;
    for (; more; ++pages) {
      const double from_ms = processor_ms();
      const auto page = site.ask(request);
      ms += (processor_ms() - from_ms) / kRounds;
      REQUIRE(page.has_value());
      for (const wire::LedgerStatus& row : page->ledgers) {
        CHECK(row.ledger == ledger(static_cast<int>(rows++)));
        CHECK(row.current == 1);
        CHECK(row.older == 1);
        CHECK(row.slowest_ms == 100);
      }
      request.after = page->ledgers.back().ledger;
      more = page->more;
    }
    CHECK(rows == kMany);
  }
  CHECK(pages == 10 * kRounds);
  record_result("a registry's status, all pages", "10,000 nodes, 10,000 ledgers",
                fmt::format("{:.1f} ms of processor", ms));
  CHECK(ms < 200);
}

}  // namespace
}  // namespace notp
