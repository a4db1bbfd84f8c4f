// The log on disk while its process lives: positions, ids, durability, segments.
#include <fmt/format.h>

#include <atomic>
#include <set>
#include <thread>

#include "notp-client/spool/drop_counts.hpp"
#include "notp-client/spool/spool_metrics.hpp"
#include "tests/support/agent/spools.hpp"

namespace notp::spools {
namespace {

using record::Kind;
using spool::Durability;

ErrorCode code_of(const auto& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

}  // namespace

TEST_CASE("records have dense positions, addresses that say so, and the bytes of the decision") {
  const SpoolSite site;
  const auto log = site.open();
  const auto active = std::make_shared<const record::ActiveSet>(samples::active_set());
  const record::LogId id = log->status().log;
  std::vector<spool::Written> written;
  for (uint64_t i = 0; i < 300; ++i)
    written.push_back(**log->append(entry(i, Durability::kBatched, active)));
  const auto records = all_records(*log, site.spool);
  REQUIRE(records.size() == 302);
  CHECK(records[0].kind() == Kind::kRunStart);
  CHECK(std::get<record::RunStart>(records[0].content).program == "test 1");
  CHECK(records[1].kind() == Kind::kActive);
  CHECK(std::get<record::ActiveSet>(records[1].content) == *active);
  for (uint64_t i = 0; i < 300; ++i) {
    const record::Record& found = records[i + 2];
    CHECK(written[i].position == i + 2);
    CHECK(found.place == record::Place{i + 2, 1, 1});
    CHECK(found.time_ns == samples::decision_time_ns(i));
    CHECK(std::get<record::DecisionContent>(found.content) == samples::decision(7, i));
    const auto address = record::DecisionAddress::parse(written[i].decision_id);
    REQUIRE(address);
    CHECK(address->position == i + 2);
    CHECK(address->run == 1);
    CHECK(std::ranges::equal(address->log_prefix, std::span(id.bytes).first(6)));
  }
  CHECK(log->status().recorded == 300);
}

TEST_CASE("an active set is written before the first record that needs it, and remembered") {
  const SpoolSite site;
  const auto log = site.open();
  std::vector<spool::ActiveSetPtr> sets;
  for (size_t i = 0; i <= spool::kActiveSetsKept; ++i)
    sets.push_back(std::make_shared<const record::ActiveSet>(samples::active_set()));
  for (const auto& set : sets) append(*log, entry(1, Durability::kBatched, set));
  // The newest eight are known, the first is written again.
  for (auto set = sets.rbegin(); set != sets.rend(); ++set)
    append(*log, entry(2, Durability::kBatched, *set));
  append(*log, entry(3));
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, Kind::kActive) == sets.size() + 1);
  CHECK(records.back().place.active == 0);
  for (const record::Record& found : records) {
    if (found.kind() != Kind::kDecision || found.place.active == 0) continue;
    CHECK(found.place.active < found.place.position);
    CHECK(records[found.place.active].kind() == Kind::kActive);
  }
}

TEST_CASE("appends of eight threads have dense positions, each thread's in its order") {
  SpoolSite site;
  site.options.ring_bytes = 8 << 20;
  const auto log = site.open();
  constexpr uint64_t kEach = 500;
  std::vector<std::vector<record::Position>> positions(8);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < positions.size(); ++thread)
    threads.emplace_back([&, thread] {
      for (uint64_t i = 0; i < kEach; ++i)
        if (const auto written = log->append(entry(thread * kEach + i)); written && *written)
          positions[thread].push_back((*written)->position);
    });
  for (std::thread& thread : threads) thread.join();
  const auto records = all_records(*log, site.spool);
  CHECK(records.size() == 8 * kEach + 1);
  std::set<record::Position> all;
  for (uint64_t thread = 0; thread < positions.size(); ++thread) {
    REQUIRE(positions[thread].size() == kEach);
    CHECK(std::ranges::is_sorted(positions[thread]));
    for (uint64_t i = 0; i < kEach; ++i) {
      all.insert(positions[thread][i]);
      const auto& found = records.at(positions[thread][i]);
      CHECK(found.time_ns == samples::decision_time_ns(thread * kEach + i));
    }
  }
  CHECK(all.size() == 8 * kEach);
}

TEST_CASE("a strict record is durable when its wait ends, and those who wait share syncs") {
  const SpoolSite site;
  const auto log = site.open();
  for (uint64_t i = 0; i < 3; ++i)
    REQUIRE(wait_durable(*log, append(*log, entry(i, Durability::kStrict))));
  const uint64_t alone = log->status().syncs;
  CHECK(alone >= 3);
  std::atomic<uint64_t> durable = 0;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 16; ++thread)
    threads.emplace_back([&, thread] {
      for (uint64_t i = 0; i < 20; ++i) {
        const auto written = log->append(entry(thread * 20 + i, Durability::kStrict));
        if (written && *written && wait_durable(*log, (*written)->position)) ++durable;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(durable == 320);
  CHECK(log->status().syncs - alone < 320);
  // What is durable already is answered at once; what was never written is not.
  REQUIRE(wait_durable(*log, 0));
}

TEST_CASE("batched records are synced by number without a wait") {
  const SpoolSite site;
  const auto log = site.open();
  const uint64_t before = log->status().syncs;
  record::Position last = 0;
  for (uint64_t i = 0; i < limits::kRingSyncRecords; ++i) {
    spool::Entry small = entry(i);
    std::get<record::DecisionContent>(small.content).input.reset();
    last = append(*log, small);
  }
  // Nothing is due by time, so that only the number can have caused it.
  while (log->status().syncs == before) std::this_thread::yield();
  REQUIRE(wait_durable(*log, last));
}

TEST_CASE("a restart goes on with the next run, and the run before ends in order") {
  const SpoolSite site;
  for (uint32_t run = 1; run <= 3; ++run) {
    const auto log = site.open();
    CHECK(log->status().run == run);
    CHECK(log->status().trouble.empty());
    append(*log, entry(run));
    log->close("stopped by a test");
    CHECK(code_of(log->append(entry(0))) == ErrorCode::kAuditUnavailable);
  }
  const auto log = site.open();
  const auto records = all_records(*log, site.spool);
  REQUIRE(records.size() == 10);
  for (uint32_t run = 1; run <= 3; ++run) {
    const size_t at = 3 * (run - 1);
    CHECK(records[at].kind() == Kind::kRunStart);
    CHECK(records[at + 1].kind() == Kind::kDecision);
    CHECK(std::get<record::RunEnd>(records[at + 2].content).reason == "stopped by a test");
    for (size_t i = at; i < at + 3; ++i) CHECK(records[i].place.run == run);
  }
  CHECK(gaps_in(records).empty());
}

TEST_CASE("the ring wraps, and its space is used again") {
  SpoolSite site;
  site.options.ring_bytes = 96 << 10;
  auto log = site.open();
  uint64_t written = 0, bytes = 0;
  while (bytes < 10 * site.options.ring_bytes) {
    const auto appended = log->append(entry(written, Durability::kStrict));
    if (!appended) {  // the sealer has not caught up
      REQUIRE(appended.error().code == ErrorCode::kAuditUnavailable);
      REQUIRE(log->seal_now());
      continue;
    }
    bytes += record::encode_content(0, entry(written).content).size();
    ++written;
    if (written % 200 != 0) continue;
    log.reset();
    log = site.open();
  }
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, Kind::kDecision) == written);
  CHECK(gaps_in(records).empty());
  uint64_t next = 0;
  for (const record::Record& found : records)
    if (found.kind() == Kind::kDecision) CHECK(found.time_ns == samples::decision_time_ns(next++));
}

TEST_CASE("a record that is too large keeps hashes of its input and result") {
  SpoolSite site;
  site.options.ring_bytes = 16 << 20;
  const auto log = site.open();
  spool::Entry large = entry(1);
  auto& content = std::get<record::DecisionContent>(large.content);
  content.input = "\"" + std::string(limits::kRecordBytesMax, 'x') + "\"";
  const record::Position position = append(*log, large);
  const auto records = all_records(*log, site.spool);
  const auto& found = std::get<record::DecisionContent>(records.at(position).content);
  CHECK_FALSE(found.input);
  CHECK_FALSE(found.result);
  REQUIRE(found.withheld);
  CHECK(found.withheld->reason == record::WithheldReason::kOversized);
  CHECK(found.withheld->input_hash == sha256(*content.input));
  CHECK(found.withheld->result_hash == sha256(*content.result));
  CHECK(found.path == content.path);
  CHECK(found.outcome == content.outcome);
}

TEST_CASE("counts that are being written while the log closes come before its end") {
  spool::DropCounts drops;
  drops.add("a/path", record::Outcome::kDeny, "rule 1");
  std::promise<void> begun, go_on;
  std::vector<std::string> order;
  std::jthread sealer([&] {
    drops.write([&](const record::Dropped&) {
      begun.set_value();
      go_on.get_future().wait();
      order.emplace_back("counts");
      return false;
    });
  });
  begun.get_future().wait();
  drops.add("b/path", record::Outcome::kAllow, "rule 2");
  std::jthread closer([&] {
    drops.close([&](const record::Dropped& last) {
      order.emplace_back("last counts");
      CHECK(last.counts.size() == 2);  // what could not be written before, too
      return true;
    });
    order.emplace_back("closed");
  });
  go_on.set_value();
  sealer.join();
  closer.join();
  CHECK(order == std::vector<std::string>{"counts", "last counts", "closed"});
  CHECK_FALSE(drops.add("c/path", record::Outcome::kAllow, "rule 3"));
  CHECK_FALSE(drops.has_counts());
}

TEST_CASE("what is left out on purpose is counted in one record, in order") {
  const SpoolSite site;
  const auto log = site.open();
  for (int i = 0; i < 5; ++i) log->drop("b/path", record::Outcome::kAllow, "rule 2");
  log->drop("a/path", record::Outcome::kDeny, "rule 1");
  for (size_t i = 0; i < 2 * spool::kDroppedKeysMax; ++i)
    log->drop(fmt::format("many/{:04}", i), record::Outcome::kAllow, "rule 3");
  log->close("done");
  const auto records = all_records(*log, site.spool);
  std::map<std::string, uint64_t> by_rule;
  uint64_t all = 0;
  for (const record::Record& found : records)
    if (const auto* dropped = std::get_if<record::Dropped>(&found.content))
      for (const record::DroppedCount& row : dropped->counts) {
        by_rule[row.rule] += row.count;
        all += row.count;
      }
  CHECK(all == 6 + 2 * spool::kDroppedKeysMax);
  CHECK(by_rule["rule 1"] == 1);
  CHECK(by_rule["rule 2"] == 5);
  CHECK(log->status().dropped == all);
  CHECK(records.back().kind() == Kind::kRunEnd);
}

TEST_CASE("segments are sealed by time, sooner while connected, and each is reported") {
  SpoolSite site;
  site.options.seal_connected_ms = 1;
  const auto log = site.open();
  std::promise<void> sealed;
  log->on_sealed([&, once = false]() mutable {
    if (!std::exchange(once, true)) sealed.set_value();
  });
  append(*log, entry(1));
  CHECK(log->sealed().size == 0);
  log->connected(true);
  sealed.get_future().wait();
  CHECK(log->sealed().size == 2);
}

TEST_CASE("a full segment is sealed at once, and the ring is free again") {
  SpoolSite site;
  site.options.ring_bytes = 8 << 20;
  const auto log = site.open();
  std::promise<void> sealed;
  log->on_sealed([&, once = false]() mutable {
    if (!std::exchange(once, true)) sealed.set_value();
  });
  for (uint64_t i = 0; i < limits::kSegmentRecordsMax; ++i) append(*log, entry(i));
  sealed.get_future().wait();
  CHECK(log->sealed().size == limits::kSegmentRecordsMax);
  CHECK(log->segment(0)->head.count == limits::kSegmentRecordsMax);
  CHECK(log->segment(limits::kSegmentRecordsMax - 1)->head.first == 0);
  CHECK(code_of(log->segment(limits::kSegmentRecordsMax)) == ErrorCode::kNotFound);
  CHECK(log->status().ring_bytes < 2'000);
}

TEST_CASE("acknowledged segments are kept for a while, and not forgotten by a restart") {
  const SpoolSite site;
  auto log = site.open();
  append(*log, entry(1));
  REQUIRE(log->seal_now());
  const record::Position first = log->sealed().size;
  append(*log, entry(2));
  REQUIRE(log->seal_now());
  CHECK(log->status().oldest_ms > 0);
  log->acknowledged(first);
  REQUIRE(log->seal_now());
  CHECK(log->status().acknowledged == first);
  CHECK(log->status().oldest_ms == samples::decision_time_ns(2) / 1'000'000);
  log.reset();
  log = site.open();
  CHECK(log->status().acknowledged == first);
  CHECK(log->sealed().first == 0);
  CHECK(log->segment(0));
}

TEST_CASE("acknowledged segments beyond time or size go, oldest first, and the newest stays") {
  const SpoolSite site;
  {
    const auto log = site.open();
    for (uint64_t i = 0; i < 5; ++i) {
      append(*log, entry(i));
      REQUIRE(log->seal_now());
    }
    log->acknowledged(log->sealed().size);
    log->close("done");
  }
  auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
  spool::LogState state = table->load().value().value();
  const auto firsts = [&] {
    std::vector<record::Position> out;
    REQUIRE(table->for_each([&](const spool::SegmentRow& row) {
      out.push_back(row.head.first);
      return true;
    }));
    return out;
  };
  const auto all = firsts();
  REQUIRE(all.size() == 6);
  const spool::SegmentRow second = [&] {
    spool::SegmentRow found;
    REQUIRE(table->for_each([&](const spool::SegmentRow& row) {
      found = row;
      return row.head.first != all[1];
    }));
    return found;
  }();
  // By size: the first two do not fit.
  uint64_t bytes = 0;
  REQUIRE(table->for_each([&](const spool::SegmentRow& row) {
    if (row.head.first > second.head.first && row.head.end() <= state.acknowledged)
      bytes += row.body_bytes;
    return true;
  }));
  REQUIRE(table->remove_acknowledged(state, {.sealed_before = 0, .bytes_max = bytes}));
  CHECK(firsts() == std::vector(all.begin() + 2, all.end()));
  CHECK(state.kept.size() == all[2]);
  // By time, all but the newest; what is not acknowledged stays.
  REQUIRE(table->remove_acknowledged(state, {.sealed_before = INT64_MAX, .bytes_max = UINT64_MAX}));
  CHECK(firsts() == std::vector{all.back()});
  CHECK(state.kept.size() == all.back());
  CHECK(table->load().value()->kept.size() == all.back());
  table.reset();
  const auto log = site.open();
  CHECK(log->sealed().first == all.back());
  CHECK(log->status().trouble.empty());
}

TEST_CASE("a spool of another format is refused, and stays as it is") {
  const SpoolSite site;
  auto log = site.open();
  const record::LogId id = log->status().log;
  append(*log, entry(1));
  log->close("done");
  log.reset();
  const auto set_format = [&](int format) {
    SQLite::Database table((site.spool / spool::kTableFile).string(), SQLite::OPEN_READWRITE);
    const int before = table.execAndGet("PRAGMA user_version").getInt();
    table.exec(fmt::format("PRAGMA user_version = {}", format));
    return before;
  };
  const int format = set_format(1);
  const auto refused = spool::DecisionSpool::open(site.spool, site.options, site.identity);
  CHECK(code_of(refused) == ErrorCode::kConfig);
  CHECK(refused.error().message.contains("its format is 1"));
  CHECK(refused.error().message.contains("let the program that wrote it ship its records"));
  CHECK(set_format(format) == 1);
  log = site.open();
  CHECK(log->status().log == id);
  CHECK(log->status().trouble.empty());
  CHECK(all_records(*log, site.spool).size() == 4);
}

TEST_CASE("the metrics follow the status") {
  prometheus::Registry registry;
  spool::SpoolMetrics metrics(registry);
  spool::SpoolStatus status;
  status.recorded = 7;
  status.next = 12;
  status.acknowledged = 4;
  status.spool_bytes = 1'000;
  status.ring_bytes = 24;
  status.oldest_ms = 5'000;
  status.syncs = 4;
  status.sync_us = 2'000'000;
  status.is_full = true;
  status.is_open = true;
  status.lost = 6;
  status.dropped_by_rule = {{"quiet", 3}};
  status.gaps = {{"full", 2}};
  metrics.update(status, 8'000);
  metrics.update(status, 8'000);
  std::map<std::string, double> values;
  for (const auto& family : registry.Collect())
    for (const auto& metric : family.metric)
      values[family.name] += family.type == prometheus::MetricType::Counter ? metric.counter.value
                                                                            : metric.gauge.value;
  CHECK(values == std::map<std::string, double>{{"notp_agent_decisions_recorded_total", 7},
                                                {"notp_agent_decisions_dropped_total", 3},
                                                {"notp_agent_gap_records_total", 2},
                                                {"notp_agent_spool_bytes", 1'024},
                                                {"notp_agent_spool_records", 8},
                                                {"notp_agent_spool_oldest_seconds", 3},
                                                {"notp_agent_spool_sync_seconds", 0.5},
                                                {"notp_agent_decisions_unrecorded_total", 6},
                                                {"notp_agent_spool_open", 1},
                                                {"notp_agent_spool_full", 1}});
}

}  // namespace notp::spools
