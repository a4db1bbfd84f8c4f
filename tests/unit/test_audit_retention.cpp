// Deletion by rule: when, of what, with which statement; and files that are compressed again.
#include <atomic>

#include "notp-server/audit/recompression.hpp"
#include "notp-server/audit/retention.hpp"
#include "tests/support/registry/erasure_site.hpp"

namespace notp::audit {
namespace {

namespace fs = std::filesystem;
using Positions = std::vector<record::Position>;

constexpr const char* kAlice = "alice@shop.example";
constexpr const char* kBob = "bob@shop.example";

struct Rule {
  explicit Rule(ErasureSite& site, RetentionOptions options = {})
      : retention(*site.removals, site.find_terms(), with_clock(site, std::move(options)),
                  is_stopping) {}
  static RetentionOptions with_clock(ErasureSite& site, RetentionOptions options) {
    options.clock = site.clock();
    return options;
  }
  DeletedByRule run() {
    const auto done = retention.run();
    REQUIRE_MESSAGE(done, done.error().message);
    return *done;
  }
  std::atomic<bool> is_stopping = false;
  Retention retention;
};

Positions of_ledger(const ErasureSite& site, std::string_view ledger) {
  Positions out;
  for (const record::Record& record : site.log.records)
    if (const auto* decision = std::get_if<record::DecisionContent>(&record.content);
        decision != nullptr && decision->ledger == ledger)
      out.push_back(record.place.position);
  return out;
}

TEST_CASE("nothing is deleted when no manifest says so") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 50);
  site.now_ms += 10'000 * kErasureDayMs;
  Rule rule(site, {.days_min = 3});
  CHECK(rule.run().records == 0);
  CHECK(site.tree->entries().empty());
  CHECK(site.check_proofs().empty());
}

TEST_CASE("records go when their release's days are over, and not a moment earlier") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 50);
  site.payments_terms = {.days_min = 0, .days_max = 30};
  site.documents_terms = {.days_min = 0, .days_max = 60};
  const Positions payments = of_ledger(site, kPayments), documents = of_ledger(site, kDocuments);
  Rule rule(site);
  site.now_ms += 30 * kErasureDayMs - 1;
  CHECK(rule.run().records == 0);
  site.now_ms += 1;
  const DeletedByRule first = rule.run();
  CHECK(first.records == payments.size());
  CHECK(first.segments == 1);
  CHECK(site.check_proofs() == payments);
  CHECK(rule.run().records == 0);
  site.now_ms += 30 * kErasureDayMs;
  CHECK(rule.run().records == documents.size());
  CHECK(site.check_proofs().size() == 50);  // what the node says of itself stays
  CHECK(files_with(site.audit(), kAlice).empty());

  const auto entries = site.tree->entries();
  REQUIRE(entries.size() == 2);
  const auto& active = std::get<record::ActiveSet>(site.log.records[1].content);
  CHECK(entries[0].kind == record::TreeEntryKind::kDeletion);
  CHECK(entries[0].rule == "retain_days max 30 of 100000000002/payments v7");
  CHECK(entries[0].release == active.releases[1].ref.release_hash);
  CHECK(entries[0].positions == payments);
  CHECK(entries[0].hashes.size() == payments.size());
  CHECK(entries[1].rule == "retain_days max 60 of 100000000003/documents v3");
  CHECK(entries[1].release == active.releases[2].ref.release_hash);
  CHECK(entries[1].positions == documents);
}

TEST_CASE("a segment of one release goes as a whole, and leaves the hashes of its subtrees") {
  ErasureSite site;
  site.arrive({kAlice}, 4);
  std::vector<record::Record> made;
  for (size_t i = 0; i < 300; ++i) {
    record::Record next = site.log.decision_record(ErasureSite::about(kBob, kPayments, i));
    next.place.position += i;
    made.push_back(std::move(next));
  }
  const record::Position first = site.log.records.size();
  record::Segment segment = site.log.seal(std::move(made));
  const record::Segment bare = samples::NodeLog::without_body(segment);
  site.append(segment);
  site.payments_terms = {.days_min = 0, .days_max = 1};
  Rule rule(site);
  site.now_ms += kErasureDayMs;
  CHECK(rule.run().records == 302);
  const auto stored = site.store->find(site.log.id, first);
  REQUIRE(stored);
  CHECK(stored->segment.body.empty());
  CHECK(stored->segment.subtrees == bare.subtrees);
  CHECK(stored->segment.head.secret == Bytes(32, '\0'));
  CHECK(files_with(site.audit(), segment.body).empty());
  CHECK(files_with(site.audit(), segment.head.secret).empty());
  const auto entries = site.tree->entries();
  REQUIRE(entries.size() == 2);
  CHECK(entries[1].first == first);
  CHECK(entries[1].count == 300);
  CHECK(entries[1].positions.empty());
  CHECK(entries[1].hashes == bare.subtrees);
  const auto part = AuditSearch(*site.store, {}).segment({site.log.id, first, 0}, of_all);
  REQUIRE(part);
  CHECK(part->total == 0);
  CHECK(part->subtrees == bare.subtrees);
}

TEST_CASE("the configuration only lengthens; holds win; what is due stays due") {
  ErasureSite site;
  site.arrive({kAlice, kAlice, kBob, kBob}, 48);
  site.payments_terms = {.days_min = 0, .days_max = 10};
  const auto payments = of_ledger(site, kPayments).size();
  wire::PutHold hold;
  hold.id = "one";
  hold.filter.values = {kAlice};
  hold.reason = "why";
  REQUIRE(site.erasure->put_hold(hold, "me", of_all));
  Rule rule(site, {.days_min = 20});
  site.now_ms += 20 * kErasureDayMs - 1;
  CHECK(rule.run().records == 0);
  site.now_ms += 1;
  const DeletedByRule done = rule.run();
  CHECK(done.records == payments / 2);
  CHECK(done.held == payments / 2);
  CHECK(site.found(kAlice) == site.recorded(kAlice));
  CHECK(rule.run().held == payments / 2);
  hold.lift = true;
  REQUIRE(site.erasure->put_hold(hold, "me", of_all));
  CHECK(rule.run().records == payments / 2);
  CHECK(rule.run().held == 0);
}

TEST_CASE("large batches are several, and a stop ends between segments") {
  ErasureSite site;
  for (int i = 0; i < 20; ++i) site.arrive({kAlice, kBob}, 10);
  site.payments_terms = site.documents_terms = {.days_min = 0, .days_max = 1};
  site.now_ms += kErasureDayMs;
  site.arrive({kAlice}, 3);
  Rule rule(site, {.batch_segments_max = 7});
  rule.is_stopping = true;
  CHECK(rule.retention.run().error().code == ErrorCode::kCancelled);
  CHECK(site.tree->entries().empty());
  rule.is_stopping = false;
  const DeletedByRule done = rule.run();
  CHECK(done.records == 200);
  CHECK(done.segments == 20);
  CHECK(site.check_proofs().size() == 200);
}

TEST_CASE("closed days are compressed again, once, and stay what they were") {
  constexpr size_t kSegments = 6, kRecords = 1'000;
  ErasureSite site;
  for (size_t i = 0; i < kSegments; ++i) site.append(site.log.next(kRecords));
  site.now_ms += kErasureDayMs;
  site.append(site.log.next(10));
  const Positions dollars = site.found("USD");
  REQUIRE(!dollars.empty());
  const fs::path day = site.audit() / "2026-11-29.db", link = site.root() / "backup.db";
  fs::create_hard_link(day, link);
  const std::string linked = content_of(link);
  const auto size_before = fs::file_size(day);
  const auto done = recompress_day(*site.store, kFirstArrival, [] { return true; });
  REQUIRE_MESSAGE(done, done.error().message);
  REQUIRE(*done);
  CHECK((*done)->segments == kSegments);
  CHECK(static_cast<double>((*done)->bytes_after) <
        0.95 * static_cast<double>((*done)->bytes_before));
  CHECK(fs::file_size(day) < size_before);
  CHECK(content_of(link) == linked);
  MESSAGE("bytes a record: ", (*done)->bytes_before / (kSegments * kRecords), " -> ",
          (*done)->bytes_after / (kSegments * kRecords));
  CHECK(site.check_proofs().empty());
  CHECK(site.found("USD") == dollars);
  const auto again = recompress_day(*site.store, kFirstArrival, [] { return true; });
  REQUIRE(again);
  CHECK_FALSE(*again);
  const auto newest = recompress_day(*site.store, kFirstArrival + 1, [] { return true; });
  REQUIRE(newest);
  CHECK_FALSE(*newest);  // it is written to
  site.open();
  CHECK_FALSE(*recompress_day(*site.store, kFirstArrival, [] { return true; }));
  CHECK(site.erase("USD").records == dollars.size());
  CHECK(site.found("USD").empty());
  CHECK(site.check_proofs() == dollars);
}

TEST_CASE("a recompression that is stopped, or overtaken by an erasure, changes nothing") {
  ErasureSite site;
  for (int i = 0; i < 4; ++i) site.arrive({kAlice, kBob}, 100);
  site.now_ms += kErasureDayMs;
  site.arrive({kBob}, 3);
  int asked = 0;
  const auto stopped = recompress_day(*site.store, kFirstArrival, [&] { return ++asked < 3; });
  CHECK(stopped.error().code == ErrorCode::kCancelled);
  asked = 0;
  const auto overtaken = recompress_day(*site.store, kFirstArrival, [&] {
    if (++asked == 3) site.erase(kAlice);
    return true;
  });
  REQUIRE(overtaken);
  CHECK_FALSE(*overtaken);
  CHECK(site.found(kAlice).empty());
  CHECK(files_with(site.audit(), kAlice).empty());
  CHECK(site.check_proofs() == site.recorded(kAlice));
  for (const auto& entry : fs::directory_iterator(site.audit()))
    CHECK_FALSE(entry.path().filename().string().contains(".new"));
  const auto bobs = site.found(kBob);
  CHECK(*recompress_day(*site.store, kFirstArrival, [] { return true; }));
  CHECK(site.check_proofs() == site.recorded(kAlice));  // reduced bodies, too
  CHECK(site.found(kBob) == bobs);
}

TEST_CASE("a registry is busy when more than 20 segments arrive in a second") {
  ArrivalRate rate;
  CHECK_FALSE(rate.is_high(1'000, 0));
  CHECK_FALSE(rate.is_high(1'500, 999));  // the second is not over
  CHECK(rate.is_high(1'500, 1'000));
  CHECK(rate.is_high(1'500, 1'999));
  CHECK_FALSE(rate.is_high(1'520, 2'000));
  CHECK_FALSE(rate.is_high(1'720, 12'000));
  CHECK(rate.is_high(1'932, 22'500));
}

TEST_CASE("the thread deletes at its start, compresses, and ends when it is told to") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 20);
  site.now_ms += kErasureDayMs;
  site.arrive({kBob}, 3);
  site.payments_terms = {.days_min = 0, .days_max = 1};
  std::atomic<int> asked = 0;
  {
    RetentionThread thread(*site.removals, site.find_terms(),
                           {.clock = site.clock(), .is_busy = [&] { return ++asked, false; }});
    thread.start();
    while (site.store->note_of(kFirstArrival, "zstd_level")->empty()) std::this_thread::yield();
    thread.stop();
  }
  CHECK(asked > 0);
  CHECK(site.check_proofs().size() == 10);
}

}  // namespace
}  // namespace notp::audit
