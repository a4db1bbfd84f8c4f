// A log that is a fork of what the registry has ends, and another one follows it: while the agent
// runs, and without losing a decision.
#include <boost/asio/io_context.hpp>
#include <map>
#include <thread>

#include "common/limits.hpp"
#include "notp-client/agent/host/log_uploader.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/ingest.hpp"
#include "tests/support/agent/old_logs.hpp"

namespace notp::spools {
namespace {

namespace asio = boost::asio;

using record::GapReason;
using record::Kind;
using spool::Durability;

constexpr TimeMs kStoredMs = 1'764'374'400'000;

spool::Entry numbered(uint64_t thread, uint64_t number, Durability durability) {
  spool::Entry out = entry(number % 50, durability);
  std::get<record::DecisionContent>(out.content).trace_id =
      fmt::format("{:016x}{:016x}", thread, number);
  return out;
}

std::string trace_of(const record::Record& record) {
  const auto* decision = std::get_if<record::DecisionContent>(&record.content);
  return decision == nullptr ? std::string() : decision->trace_id;
}

const record::Gap& new_log_gap(const std::vector<record::Record>& records) {
  REQUIRE_FALSE(records.empty());
  const auto* gap = std::get_if<record::Gap>(&records.front().content);
  REQUIRE(gap != nullptr);
  CHECK(gap->reason == GapReason::kNewLog);
  return *gap;
}

std::function<Result<record::AnnouncementSigner>()> signer() {
  auto key = std::make_shared<x509::Key>(x509::make_key(x509::KeyType::kP256).value());
  x509::Draft draft;
  draft.common_name = "node";
  draft.uris = {kNode};
  draft.not_after_ms = 3'600'000;
  const auto certificate = x509::sign_own(draft, key->get());
  REQUIRE(certificate);
  const Bytes der = *x509::der_of(certificate->get());
  return [key, der]() -> Result<record::AnnouncementSigner> {
    return record::AnnouncementSigner{
        {der}, [key](ByteView message) { return x509::sign_message(key->get(), message); }};
  };
}

// A registry that stores what nodes ship.
struct Registry {
  TemporaryFolder folder;
  std::unique_ptr<audit::DayFiles> store;
  audit::IntakeCounters counters;
  std::map<audit::FaultKind, int> faults;
  std::optional<audit::LogIngest> ingest;

  Registry() {
    counters.on_fault = [this](audit::FaultKind kind) { ++faults[kind]; };
    auto opened =
        audit::DayFiles::open(folder.path() / "audit", {.wall_ms = [] { return kStoredMs; }});
    REQUIRE(opened);
    store = *std::move(opened);
    ingest.emplace(*store, counters);
    REQUIRE(ingest->load());
  }
  wire::LogGrant arrived(const record::Segment& segment) {
    auto decision = ingest->arrived(kNode, segment, kStoredMs);
    if (decision.store) REQUIRE(store->append({*std::move(decision.store)}));
    return decision.grant;
  }
  record::Position size_of(const record::LogId& log) const { return ingest->next_of(log); }
};

// An agent's sessions with the registry, by the agent's own uploader. Segments take the short way.
struct Sessions {
  Registry& registry;
  spool::SegmentSource& log;
  Now now{1'000, 1'000};
  std::vector<Error> alarms;
  asio::io_context context;
  std::unique_ptr<agent::LogUploader> uploader;

  Sessions(Registry& to, spool::SegmentSource& from)
      : registry(to),
        log(from),
        uploader(std::make_unique<agent::LogUploader>(
            context.get_executor(), log,
            agent::LogUploader::Handlers{
                .wake = [] {},
                .failed = [this](const Error& error) { alarms.push_back(error); },
                .clock = [this] { return now; }})) {}
  ~Sessions() {
    uploader.reset();
    run();
  }
  void run() {
    context.restart();
    context.run();
  }

  // One session, until nothing is left to send. Returns the first refusal, and whether the agent
  // ended the session.
  struct Outcome {
    std::optional<Error> refusal;
    bool is_over = false;
    std::optional<wire::LogOffer> offer;
  };
  Outcome converse() {
    Outcome out;
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    out.offer = hello.log = uploader->next_offer();
    session::ClientSession session(hello, {}, now);
    session.take_output(1 << 20);
    uploader->session_begins(session, {});
    if (out.offer) give(registry.ingest->offered(kNode, *out.offer, kStoredMs), out);
    wire::FrameParser parser;
    for (Bytes sent = session.take_output(1 << 20); !sent.empty();
         sent = session.take_output(1 << 20)) {
      parser.feed(sent);
      for (auto next = parser.next(); next && *next; next = parser.next()) answer(**next, out);
    }
    out.is_over = session.is_closed();
    uploader->session_ended();
    run();
    return out;
  }
  void give(const wire::LogGrant& grant, Outcome& out) {
    const auto taken = uploader->granted(grant);
    if (!taken && !out.refusal) out.refusal = taken.error();
    run();
  }
  void answer(const wire::Message& message, Outcome& out) {
    if (const auto* segment = std::get_if<wire::Segment>(&message))
      give(registry.arrived(log.segment(segment->head.first).value()), out);
    if (const auto* announcement = std::get_if<wire::LogAnnouncement>(&message))
      give(registry.ingest->announced(kNode, out.offer->log, announcement->announcement, kStoredMs)
               .value(),
           out);
  }
};

}  // namespace

TEST_CASE("a spool that was restored from a backup goes on in a new log, in the next session") {
  Registry registry;
  SpoolSite site;
  site.identity.signer = signer();
  record::LogId forked;
  {
    const auto log = site.open();
    forked = log->status().log;
    for (uint64_t i = 0; i < 20; ++i) append(*log, entry(i));
    REQUIRE(log->seal_now());
    {
      Sessions sessions(registry, *log);
      CHECK_FALSE(sessions.converse().refusal);
      CHECK(registry.size_of(forked) == 21);
    }
    REQUIRE(log->seal_now());  // the acknowledgement is stored, too
    const auto backup = site.killed_copy("backup");
    for (uint64_t i = 20; i < 50; ++i) append(*log, entry(i));
    REQUIRE(log->seal_now());
    Sessions sessions(registry, *log);
    CHECK_FALSE(sessions.converse().refusal);
    CHECK(registry.size_of(forked) == 51);
    site.spool = backup;
  }
  const auto log = site.open();
  CHECK(log->status().log == forked);
  for (uint64_t i = 100; i < 107; ++i) append(*log, entry(i));
  Sessions sessions(registry, *log);
  auto session = sessions.converse();
  REQUIRE(session.refusal);
  CHECK(session.refusal->code == ErrorCode::kLogFork);
  CHECK(session.is_over);

  const record::LogId next = log->status().log;
  CHECK(next != forked);
  REQUIRE(sessions.alarms.size() == 1);
  const std::string& alarm = sessions.alarms[0].message;
  CHECK(alarm.contains("has 51 records of log " + forked.hex()));
  CHECK(alarm.contains(next.hex()));
  CHECK(alarm.contains(site.spool.string()));
  CHECK(alarm.contains(".old-"));
  CHECK(alarm.contains("two machines"));
  CHECK(log->status().trouble.contains(".old-"));

  for (uint64_t i = 200; i < 205; ++i) append(*log, entry(i));
  REQUIRE(log->seal_now());
  session = sessions.converse();
  CHECK_FALSE(session.refusal);
  CHECK_FALSE(session.is_over);
  REQUIRE(session.offer);
  CHECK(session.offer->log == next);
  CHECK(sessions.alarms.size() == 1);
  const auto records = all_records(*log, site.spool);
  CHECK(registry.size_of(next) == records.size());
  CHECK(registry.size_of(forked) == 51);

  // The branch of this machine is kept, whole, and counted.
  const auto old = old_logs(site.spool);
  REQUIRE(old.size() == 1);
  CHECK(old[0].log == forked);
  CHECK(old[0].ends.contains("fork"));
  CHECK(old[0].report.fault_count == 0);
  CHECK(count_of_kind(old[0].records, Kind::kDecision) == 27);
  CHECK(old[0].records.back().kind() == Kind::kRunEnd);
  CHECK(old[0].acknowledged == 21);
  CHECK(new_log_gap(records).count == old[0].records.size() - 21);
  CHECK(new_log_gap(records).message.contains(forked.hex()));
  const auto stored = registry.store->logs(std::nullopt, 10);
  REQUIRE(stored);
  REQUIRE(stored->size() == 2);
  for (const auto& row : *stored)
    if (row.log == next) CHECK(record::verify_announcement(row.announcement)->previous == forked);
}

TEST_CASE("a registry that always says fork makes no more than one new log a minute") {
  SpoolSite site;
  const auto log = site.open();
  Registry registry;
  Sessions sessions(registry, *log);
  const auto refuse = [&] {
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    hello.log = sessions.uploader->next_offer();
    session::ClientSession session(hello, {}, sessions.now);
    sessions.uploader->session_begins(session, {});
    wire::LogGrant grant;
    grant.log = hello.log->log;
    grant.code = static_cast<uint32_t>(ErrorCode::kLogFork);
    grant.message = "fork";
    // However often it says so in one session.
    for (int i = 0; i < 3; ++i) {
      Sessions::Outcome ignored;
      sessions.give(grant, ignored);
    }
    sessions.uploader->session_ended();
    sessions.run();
  };
  std::set<record::LogId> logs{log->status().log};
  const auto look = [&] {
    refuse();
    logs.insert(log->status().log);
    return logs.size();
  };
  CHECK(look() == 2);
  CHECK(look() == 2);
  sessions.now.boot_ms += agent::kNewLogMs - 1;
  CHECK(look() == 2);
  sessions.now.boot_ms += 1;
  CHECK(look() == 3);
  for (int i = 0; i < 10; ++i) {
    sessions.now.boot_ms += agent::kNewLogMs;
    look();
  }
  // Then the files that are kept are evidence that a person must look at.
  CHECK(logs.size() == 1 + spool::kOldLogsKept);
  CHECK(old_logs(site.spool).size() == spool::kOldLogsKept);
  CHECK(sessions.alarms.back().message.contains("move"));
  append(*log, entry(1));
  // A gap of what the node still has ends no log.
  sessions.now.boot_ms += agent::kNewLogMs;
  for (const auto& file : std::filesystem::directory_iterator(site.spool))
    if (file.path().filename().string().contains(".old-")) std::filesystem::remove(file.path());
  wire::LogGrant gap;
  gap.code = static_cast<uint32_t>(ErrorCode::kLogGap);
  const record::LogId before = log->status().log;
  wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
  hello.log = sessions.uploader->next_offer();
  session::ClientSession session(hello, {}, sessions.now);
  sessions.uploader->session_begins(session, {});
  gap.log = before;
  Sessions::Outcome ignored;
  sessions.give(gap, ignored);
  sessions.uploader->session_ended();
  CHECK(log->status().log == before);
}

TEST_CASE("decisions of four threads while logs end are each recorded once, in one of them") {
  SpoolSite site;
  site.options.sync_ms = 5;
  const auto log = site.open();
  constexpr uint64_t kThreads = 4, kSwitches = 3;
  const auto active = std::make_shared<const record::ActiveSet>(samples::active_set());
  std::atomic<bool> is_ending = false;
  std::array<std::map<std::string, std::string>, kThreads> answers;  // id by trace
  std::atomic<uint64_t> taken = 0, not_durable = 0, refused = 0;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (uint64_t i = 0; !is_ending; ++i) {
        const auto durability = i % 4 == 0 ? Durability::kStrict : Durability::kBatched;
        spool::Entry next = numbered(thread, i, durability);
        next.active = active;
        const std::string trace = std::get<record::DecisionContent>(next.content).trace_id;
        const auto written = log->append(std::move(next));
        if (!written || !*written) {
          ++refused;
          continue;
        }
        answers[thread][trace] = (*written)->decision_id;
        ++taken;
        if (durability == Durability::kStrict && !wait_durable(*log, (*written)->position))
          ++not_durable;
      }
    });
  for (uint64_t i = 0; i < kSwitches; ++i) {
    const uint64_t seen = taken;
    while (taken < seen + 200) std::this_thread::yield();
    const auto begun = log->begin_new_log("it is a fork: a test");
    REQUIRE_MESSAGE(begun, begun.error().message);
    CHECK(begun->log == log->status().log);
  }
  const uint64_t seen = taken;
  while (taken < seen + 200) std::this_thread::yield();
  is_ending = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(not_durable == 0);
  CHECK(refused == 0);
  CHECK(log->status().recorded == taken);
  CHECK(log->status().refused == 0);

  std::vector<OldLog> logs = old_logs(site.spool);
  REQUIRE(logs.size() == kSwitches);
  const record::LogId last = log->status().log;
  logs.push_back({.log = last, .records = all_records(*log, site.spool)});
  std::map<std::string, std::string> found;  // id by trace
  for (size_t i = 0; i < logs.size(); ++i) {
    CAPTURE(i);
    if (i > 0) CHECK(new_log_gap(logs[i].records).count == logs[i - 1].records.size());
    if (i + 1 < logs.size()) CHECK(logs[i].report.fault_count == 0);
    size_t misplaced = 0, twice = 0;
    for (const record::Record& record : logs[i].records) {
      const std::string trace = trace_of(record);
      if (trace.empty()) continue;
      const auto& place = record.place;
      if (place.active == 0 || logs[i].records.at(place.active).kind() != Kind::kActive)
        ++misplaced;
      const auto id = record::DecisionAddress::of(logs[i].log, place.run, place.position).text();
      twice += found.emplace(trace, id).second ? 0 : 1;
    }
    CHECK(misplaced == 0);
    CHECK(twice == 0);
    CHECK(count_of_kind(logs[i].records, Kind::kActive) == 1);
  }
  std::map<std::string, std::string> given;
  for (const auto& of_thread : answers) given.insert(of_thread.begin(), of_thread.end());
  CHECK(given.size() == taken);
  CHECK(found == given);
}

TEST_CASE("what others have set stays: the node, the callback, the connection, drops") {
  SpoolSite site;
  site.identity.node.clear();
  site.options.seal_connected_ms = 1;
  auto log = site.open();
  log->set_node(kNode);
  std::atomic<int> seals = 0;
  log->on_sealed([&] { ++seals; });
  log->connected(true);
  std::vector<record::LogId> told;
  int before = 0;
  log->on_new_log([&] { ++before; }, [&](const record::LogId& id) { told.push_back(id); });
  log->drop("shop/desk", record::Outcome::kAllow, "noise");
  const auto begun = log->begin_new_log("it is a fork: a test");
  REQUIRE_MESSAGE(begun, begun.error().message);
  CHECK(before == 1);
  CHECK(told == std::vector{begun->log});
  const int seen = seals;
  append(*log, entry(1));
  while (seals == seen) std::this_thread::yield();
  CHECK(log->status().dropped == 1);
  CHECK(log->status().recorded == 1);
  log->close("done");
  CHECK_FALSE(log->begin_new_log("another"));
  const auto old = old_logs(site.spool);
  REQUIRE(old.size() == 1);
  CHECK(count_of_kind(old[0].records, Kind::kDropped) == 1);
  log.reset();
  const auto report = spool::verify_spool(site.spool);
  REQUIRE(report);
  CHECK(report->fault_count == 0);
  CHECK(report->node == kNode);
  CHECK(report->previous == old[0].log);
  log = site.open();
  CHECK(log->status().log == begun->log);
  CHECK(log->status().run == 2);
}

TEST_CASE(
    "a new log that cannot begin: decisions follow the policy until it can, exactly counted") {
  SpoolSite site;
  site.options.open_retry_ms = 20;
  const auto log = site.open();
  const record::LogId ended = log->status().log;
  append(*log, entry(1));
  const auto obstacle = site.spool / spool::kNewTableFile;
  std::filesystem::create_directories(obstacle / "in the way");
  const auto begun = log->begin_new_log("it is a fork: a test");
  REQUIRE_FALSE(begun);
  CHECK(begun.error().message.contains("no log is open"));
  CHECK_FALSE(log->status().is_open);
  CHECK(log->status().is_failing);
  CHECK(log->sealed().log == record::LogId{});
  // What was recorded before was durable.
  CHECK(wait_durable(*log, 1));
  const auto strict = log->append(entry(0, Durability::kStrict));
  REQUIRE_FALSE(strict);
  CHECK(strict.error().code == ErrorCode::kAuditUnavailable);
  for (uint64_t i = 0; i < 11; ++i) {
    const auto written = log->append(entry(i));
    REQUIRE(written);
    CHECK_FALSE(*written);
  }
  std::filesystem::remove_all(obstacle);
  while (!log->status().is_open) std::this_thread::yield();
  CHECK(log->status().log != ended);
  append(*log, entry(2));
  const auto records = all_records(*log, site.spool);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].reason == GapReason::kNewLog);
  CHECK(gaps[0].count == 3);  // RUN_START, the decision, RUN_END
  CHECK(gaps[1].reason == GapReason::kFull);
  CHECK(gaps[1].count == 11);
  CHECK(log->status().lost == 11);
  CHECK(log->status().refused == 1);
  CHECK(old_logs(site.spool).at(0).log == ended);
}

}  // namespace notp::spools
