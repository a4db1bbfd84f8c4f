// OPA's events on their way into the log: each once, in spite of crashes; files; counts.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <unordered_set>

#include "common/storage/files.hpp"
#include "notp-client/opa_log/counts.hpp"
#include "notp-client/opa_log/dedup.hpp"
#include "notp-client/opa_log/file_feed.hpp"
#include "notp-client/opa_log/ids_file.hpp"
#include "notp-client/opa_log/intake.hpp"
#include "notp-client/opa_log/log_file.hpp"
#include "notp-client/opa_log/opa_log_metrics.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/kept_log.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::opa_log {
namespace {

EventKey key_of(uint64_t number) { return EventKey::of_id(fmt::format("id-{}", number)); }

std::string id_of(uint64_t number) {
  return fmt::format("00000000-0000-4000-8000-{:012x}", number);
}

OpaEvent event_of(uint64_t number, const std::string& instance = "opa-1") {
  OpaEvent event;
  event.key = EventKey::of_id(id_of(number));
  event.instance = instance;
  event.revision = "100000000000/payments@1";
  event.path = {"payments", "allow"};
  event.time_ns = read_clock().wall_ms * 1'000'000;
  event.content.api = record::Api::kOpa;
  event.content.path = "payments/allow";
  event.content.decision_id = id_of(number);
  event.content.outcome = record::Outcome::kAllow;
  event.content.input = R"({"user":"ann","password":"secret"})";
  event.content.result = "true";
  return event;
}

std::string line_of(uint64_t number) {
  return fmt::format(
      R"({{"time":"x","msg":"Decision Log","type":"openpolicyagent.org/decision_logs","timestamp":"2026-01-01T00:00:00Z","decision_id":"{}","labels":{{"id":"opa-1"}},"path":"payments/allow","input":{{"n":{}}}}})",
      id_of(number), number);
}

// A log, the set that decides, and an intake that can be killed and started again.
struct OpaIntakeFixture {
  explicit OpaIntakeFixture(std::vector<model::MaskRule> masks = {}) {
    auto release = compose({{"payments", 1, {"payments"}, {{"a.rego", "package payments"}}}});
    auto set = std::make_shared<pdp::ActiveSet>(*release.active_set);
    auto terms = std::make_shared<model::DecisionTerms>();
    terms->mask = std::move(masks);
    terms->drop = {"payments/noise"};
    set->ledgers.begin()->second.terms = terms;
    revisions.remember(set);
    start();
  }
  void start() {
    intake.reset();
    auto opened = Intake::open({.folder = folder.path(),
                                .log = log,
                                .log_id = log_id,
                                .read_log =
                                    [this](auto from, auto& each) {
                                      reread_from = from;
                                      return log.read(log_begins + from, each);
                                    },
                                .revisions = revisions});
    REQUIRE_MESSAGE(opened, opened.error().message);
    intake = *std::move(opened);
  }
  // What a kill leaves: the ids file as it was, and the log.
  void kill_and_start() {
    const auto saved = folder.path() / "saved";
    std::filesystem::create_directory(saved);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.is_regular_file()) std::filesystem::copy(entry.path(), saved);
    intake.reset();
    for (const auto& entry : std::filesystem::directory_iterator(saved))
      std::filesystem::copy(entry.path(), folder.path() / entry.path().filename(),
                            std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove_all(saved);
    start();
  }
  void give(const std::vector<uint64_t>& numbers) {
    std::vector<OpaEvent> events;
    for (const uint64_t number : numbers) events.push_back(event_of(number));
    bool is_done = false;
    REQUIRE(
        intake->accept(std::move(events), [&](Result<void> done) { is_done = done.has_value(); }));
    CHECK(is_done);
  }

  TemporaryFolder folder;
  KeptLog log;
  record::LogId log_id;
  record::Position log_begins = 0;  // in `log`, which holds all
  decision::RecordedSets sets{"opa", {}};
  Revisions revisions{sets};
  record::Position reread_from = 0;
  std::unique_ptr<Intake> intake;
};

void append_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::app) << text;
}

// Reads to the end; lines joined by '|'.
std::string read_all(LogFile& file, std::string* trouble = nullptr) {
  std::string out;
  while (true) {
    auto piece = file.read();
    REQUIRE_MESSAGE(piece, piece.error().message);
    for (const FileLine& line : piece->lines)
      out.append(out.empty() ? "" : "|").append(line.is_long ? "(long)" : piece->of(line));
    if (trouble != nullptr && !piece->trouble.empty()) *trouble = piece->trouble;
    if (piece->at_end) return out;
  }
}

}  // namespace

TEST_CASE("a set of keys is exact and keeps the newest") {
  constexpr size_t kCapacity = 1000;
  KeySet set(kCapacity);
  std::deque<uint64_t> order;
  std::unordered_set<uint64_t> members;
  std::mt19937_64 random(7);
  size_t repeated = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t number = random() % 3'000;
    const bool is_new = !members.contains(number);
    REQUIRE(set.contains(key_of(number)) == !is_new);
    REQUIRE(set.insert(key_of(number)) == is_new);
    if (!is_new) {
      ++repeated;
      continue;
    }
    members.insert(number);
    order.push_back(number);
    if (order.size() <= kCapacity) continue;
    members.erase(order.front());
    order.pop_front();
  }
  CHECK(set.size() == kCapacity);
  CHECK(repeated > 1'000);
  for (uint64_t number = 0; number < 3'000; ++number)
    REQUIRE(set.contains(key_of(number)) == members.contains(number));
}

TEST_CASE("instances have separate sets, and the one used longest ago makes room") {
  KnownEvents known(10, 2);
  CHECK(known.insert("a", key_of(1)));
  CHECK(known.insert("b", key_of(1)));
  CHECK_FALSE(known.contains("c", key_of(1)));
  CHECK(known.insert("a", key_of(2)));
  CHECK(known.insert("c", key_of(3)));
  CHECK_FALSE(known.contains("b", key_of(1)));
  CHECK(known.contains("a", key_of(1)));
  CHECK(known.contains_anywhere(key_of(3)));
  CHECK_FALSE(known.contains_anywhere(key_of(9)));
  CHECK(known.insert("", key_of(9)));
  CHECK(known.contains("anyone", key_of(9)));
}

TEST_CASE("keys of ids: UUIDs as they are, other texts hashed") {
  const auto key = EventKey::of_id("ae991587-469d-49a8-b938-9a5f027435ba");
  CHECK(to_hex(key.view()) == "ae991587469d49a8b9389a5f027435ba");
  CHECK(key != EventKey::of_id("AE991587-469d-49a8-b938-9a5f027435ba"));
  CHECK(EventKey::of_id("x") != EventKey::of_id("y"));
}

TEST_CASE("what arrives again is not recorded again, and waits for the first") {
  OpaIntakeFixture fixture;
  fixture.give({1, 2, 2, 3});
  fixture.give({2, 3, 4});
  CHECK(fixture.log.decisions().size() == 4);
  CHECK(fixture.intake->status().duplicates == 3);

  fixture.log.hold();
  int done = 0;
  const auto count = [&](Result<void> outcome) { done += outcome ? 1 : 0; };
  REQUIRE(fixture.intake->accept({event_of(5)}, count));
  REQUIRE(fixture.intake->accept({event_of(5)}, count));
  CHECK(done == 0);
  fixture.log.release();
  CHECK(done == 2);
  CHECK(fixture.log.decisions().size() == 5);
}

TEST_CASE("a record that did not become durable is written again") {
  OpaIntakeFixture fixture;
  fixture.log.hold();
  std::optional<Error> error;
  REQUIRE(fixture.intake->accept({event_of(1)}, [&](Result<void> done) {
    if (!done) error = done.error();
  }));
  fixture.log.release(fail(ErrorCode::kAuditUnavailable, "the disk fails"));
  REQUIRE(error);
  CHECK(error->code == ErrorCode::kAuditUnavailable);
  fixture.give({1});
  CHECK(fixture.log.decisions().size() == 2);
}

TEST_CASE("a log that takes only a part is given the rest later") {
  OpaIntakeFixture fixture;
  fixture.log.refuse_after(2);
  bool was_called = false;
  const auto taken = fixture.intake->accept({event_of(1), event_of(2), event_of(3)},
                                            [&](Result<void>) { was_called = true; });
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == ErrorCode::kAuditUnavailable);
  CHECK_FALSE(was_called);
  fixture.log.refuse_after(-1);
  fixture.give({1, 2, 3});
  CHECK(fixture.log.decisions().size() == 3);
}

TEST_CASE("an agent that is killed or stopped records nothing twice") {
  OpaIntakeFixture fixture;
  fixture.give({1, 2, 3});
  fixture.kill_and_start();  // nothing was saved yet
  CHECK(fixture.reread_from == 0);
  fixture.give({1, 2, 3, 4});
  CHECK(fixture.log.decisions().size() == 4);
  fixture.start();  // in order: everything is saved
  CHECK(fixture.reread_from == 4);
  fixture.give({1, 2, 3, 4, 5});
  CHECK(fixture.log.decisions().size() == 5);
  fixture.kill_and_start();
  fixture.give({3, 4, 5, 6});
  CHECK(fixture.log.decisions().size() == 6);
  // Without the ids the log itself says what it has.
  fixture.intake.reset();
  REQUIRE(
      write_file(fixture.folder.path() / "opa-ids.db", "this is not a database at all, whatever"));
  std::filesystem::remove(fixture.folder.path() / "opa-ids.db-wal");
  fixture.start();
  CHECK(fixture.reread_from == 0);
  CHECK(std::filesystem::exists(fixture.folder.path() / "opa-ids.db.damaged"));
  fixture.give({1, 2, 3, 4, 5, 6, 7});
  CHECK(fixture.log.decisions().size() == 7);
}

TEST_CASE("events are masked again, name what decided them, or are only counted") {
  OpaIntakeFixture fixture({{model::MaskOp::kRemove, "/input/password", {}}});
  fixture.give({1});
  OpaEvent unknown = event_of(2);
  unknown.revision = "100000000000/payments@99";
  unknown.content.input = R"({"password":"secret","headers":{"authorization":"Bearer x"}})";
  OpaEvent dropped = event_of(3), noise = event_of(4);
  dropped.is_dropped = true;
  noise.path = {"payments", "noise", "x"};
  noise.content.path = "payments/noise/x";
  std::vector<OpaEvent> events;
  for (OpaEvent* event : {&unknown, &dropped, &noise}) events.push_back(std::move(*event));
  REQUIRE(fixture.intake->accept(std::move(events), [](Result<void>) {}));
  const auto entries = fixture.log.entries();
  REQUIRE(entries.size() == 2);
  const auto decisions = fixture.log.decisions();
  CHECK(decisions[0].input == R"({"user":"ann"})");
  CHECK(decisions[0].erased == std::vector<std::string>{"/input/password"});
  CHECK(decisions[0].ledger == "100000000000/payments");
  REQUIRE(entries[0].active);
  CHECK(entries[0].active->revision == "100000000000/payments@1");
  CHECK(entries[0].active->engine == "opa");
  // An unknown set is not named; the masks of the newest hold.
  CHECK_FALSE(entries[1].active);
  CHECK(decisions[1].ledger.empty());
  CHECK_FALSE(decisions[1].input->contains("secret"));
  CHECK_FALSE(decisions[1].input->contains("Bearer"));
  const std::map<KeptLog::Drop, int> drops = {
      {{"payments/allow", record::Outcome::kAllow, "data.system.log.drop"}, 1},
      {{"payments/noise/x", record::Outcome::kAllow, "payments/noise"}, 1}};
  CHECK(fixture.log.drops() == drops);
}

TEST_CASE("while a new log begins events come again, and what the log before has stays known") {
  OpaIntakeFixture fixture;
  fixture.give({1, 2, 3});
  // A record that is not durable yet is waited for.
  fixture.log.hold();
  std::atomic<bool> is_done = false;
  REQUIRE(fixture.intake->accept({event_of(4)}, [&](const Result<void>&) { is_done = true; }));
  std::thread durable([&] { fixture.log.release(); });
  fixture.intake->pause();
  durable.join();
  CHECK(is_done);
  const auto refused = fixture.intake->accept({event_of(5)}, [](const Result<void>&) {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kAuditUnavailable);
  const size_t before = fixture.log.entries().size();
  CHECK(before == 4);
  fixture.log_begins = before;
  SUBCASE("the agent is killed before the new log begins") {}
  SUBCASE("the agent is killed later") {
    fixture.log_id.bytes[0] = 9;
    fixture.intake->resume(fixture.log_id);
    fixture.give({4, 5});
    CHECK(fixture.log.entries().size() == before + 1);
  }
  fixture.log_id.bytes[0] = 9;
  fixture.kill_and_start();
  // Of the new log all is read: its positions have nothing to do with those of the one before.
  CHECK(fixture.reread_from == 0);
  fixture.give({1, 2, 3, 4, 5});
  CHECK(fixture.log.entries().size() == before + 1);
}

TEST_CASE("the log that goes on after all keeps its positions") {
  OpaIntakeFixture fixture;
  fixture.give({1, 2, 3});
  fixture.intake->pause();
  fixture.intake->resume(fixture.log_id);
  fixture.give({4});
  fixture.start();
  CHECK(fixture.reread_from == 4);
}

TEST_CASE("the metrics follow the status of the intake") {
  prometheus::Registry registry;
  OpaLogMetrics metrics(registry);
  IntakeStatus status;
  status.recorded = 7;
  status.duplicates = 6;
  status.damaged = 5;
  status.dropped = 4;
  status.missing = 3;
  metrics.update(status);
  status.missing = 5;
  metrics.update(status);
  std::map<std::string, double> values;
  for (const auto& family : registry.Collect())
    values[family.name] = family.metric.at(0).counter.value;
  CHECK(values == std::map<std::string, double>{{"notp_agent_opa_events_recorded_total", 7},
                                                {"notp_agent_opa_events_duplicates_total", 6},
                                                {"notp_agent_opa_events_damaged_total", 5},
                                                {"notp_agent_opa_events_dropped_total", 4},
                                                {"notp_agent_source_missing_total", 5}});
}

TEST_CASE("an array is not cut twice by its index") {
  OpaIntakeFixture fixture({{model::MaskOp::kRemove, "/input/0", {}}});
  OpaEvent event = event_of(1);
  event.content.input = R"(["kept"])";
  event.content.erased = {"/input/0"};
  event.is_masked = true;
  std::vector<OpaEvent> events;
  events.push_back(std::move(event));
  REQUIRE(fixture.intake->accept(std::move(events), [](Result<void>) {}));
  CHECK(fixture.log.decisions().at(0).input == R"(["kept"])");
  CHECK(fixture.sets.take_unmatched().empty());
}

TEST_CASE("a file is followed while it grows and rotates") {
  TemporaryFolder folder;
  const auto path = folder.path() / "log" / "opa.jsonl";
  LogFile file(path, {});
  CHECK(read_all(file).empty());
  std::filesystem::create_directory(path.parent_path());
  append_file(path, "1\n2\n3");
  CHECK(read_all(file) == "1|2");
  append_file(path, "3\n");
  CHECK(read_all(file) == "33");
  append_file(path, "4\n5");
  std::filesystem::rename(path, path.parent_path() / "opa-2026-01-01T00-00-00.000.jsonl");
  // The renamed file gets no more: its last line has no end.
  CHECK(read_all(file) == "4|5");
  append_file(path, "6\n");
  std::filesystem::rename(path, path.parent_path() / "opa-2026-01-02T00-00-00.000.jsonl");
  append_file(path, "7\n");
  append_file(path.parent_path() / "opa-other.jsonl", "x\n");
  append_file(path.parent_path() / "opa-2026-01-02T00-00-00.000.jsonl.gz", "x\n");
  CHECK(read_all(file) == "6|7");
  auto piece = file.read();
  REQUIRE(piece);
  const FilePosition end = piece->end;

  // Another start goes on where the last one was, also in a file that was renamed meanwhile.
  append_file(path, "8\n");
  std::filesystem::rename(path, path.parent_path() / "opa-2026-01-03T00-00-00.000.jsonl");
  append_file(path, "9\n");
  LogFile next(path, end);
  CHECK(read_all(next) == "8|9");
  LogFile all(path, {});
  CHECK(read_all(all) == "1|2|33|4|5|6|7|8|9");
  // Its file is gone: the oldest that is left.
  std::filesystem::remove(path.parent_path() / "opa-2026-01-03T00-00-00.000.jsonl");
  LogFile late(path, end);
  std::string trouble;
  CHECK(read_all(late, &trouble) == "1|2|33|4|5|6|9");
  CHECK(trouble.contains("is gone"));
}

TEST_CASE("a file that was cut, and an inode number that was used again") {
  TemporaryFolder folder;
  const auto path = folder.path() / "opa.jsonl";
  append_file(path, "a long first line of the first file\nanother\n");
  LogFile file(path, {});
  CHECK(read_all(file) == "a long first line of the first file|another");
  std::filesystem::resize_file(path, 0);
  append_file(path, "new\n");
  std::string trouble;
  CHECK(read_all(file, &trouble) == "new");
  CHECK(trouble.contains("became shorter"));

  auto piece = file.read();
  REQUIRE(piece);
  FilePosition other = piece->end;
  other.head ^= 1;  // the inode of another file
  LogFile next(path, other);
  CHECK(read_all(next) == "new");
  LogFile same(path, piece->end);
  CHECK(read_all(same).empty());
}

TEST_CASE("lines that are longer than any event") {
  TemporaryFolder folder;
  const auto path = folder.path() / "opa.jsonl";
  append_file(path, "short\n");
  append_file(path, std::string(kEventBytesMax + 10, 'x'));
  LogFile file(path, {});
  CHECK(read_all(file) == "short");
  append_file(path, "\nafter\n");
  CHECK(read_all(file) == "(long)|after");
  append_file(path, std::string(3 * kPieceBytes, 'y') + "\n");
  CHECK(read_all(file).size() == 3 * kPieceBytes);
}

TEST_CASE("the file feed records lines, and repeats those that were not taken") {
  OpaIntakeFixture fixture;
  const auto path = fixture.folder.path() / "opa.jsonl";
  fixture.log.refuse_after(1);
  append_file(path, line_of(1) + "\n" + line_of(2) + "\nbroken\n");
  auto feed = std::make_unique<FileFeed>(
      *fixture.intake, FileFeedOptions{.file = path, .poll_ms = 5, .retry_ms = 5});
  CHECK(wait_until([&] { return !feed->status().trouble.empty(); }));
  fixture.log.refuse_after(-1);
  CHECK(wait_until([&] { return fixture.log.decisions().size() == 2; }));
  append_file(path, line_of(3) + "\n");
  CHECK(wait_until([&] { return fixture.log.decisions().size() == 3; }));
  CHECK(wait_until(
      [&] { return fixture.intake->file_position().offset == std::filesystem::file_size(path); }));
  feed.reset();
  CHECK(fixture.intake->status().damaged >= 1);
  CHECK(fixture.log.decisions()[2].input == R"({"n":3})");
  // A killed agent reads again what it had not noted.
  fixture.kill_and_start();
  CHECK(fixture.intake->file_position() == FilePosition());
  feed = std::make_unique<FileFeed>(*fixture.intake, FileFeedOptions{.file = path, .poll_ms = 5});
  CHECK(wait_until([&] { return fixture.intake->file_position().offset > 0; }));
  feed.reset();
  CHECK(fixture.log.decisions().size() == 3);
  fixture.start();
  CHECK(fixture.intake->file_position().offset == std::filesystem::file_size(path));
}

TEST_CASE("the counters of OPA that are about logged decisions") {
  constexpr std::string_view kMetrics = R"(# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{code="200",handler="v1/data",method="post",le="1e-06"} 7
http_request_duration_seconds_count{code="200",handler="v1/data",method="get"} 1
http_request_duration_seconds_count{code="200",handler="v1/data",method="post"} 30
http_request_duration_seconds_count{code="200",handler="v1/data",method="put"} 1000
http_request_duration_seconds_count{code="400",handler="v1/data",method="post"} 1000
http_request_duration_seconds_count{code="500",handler="v1/data",method="post"} 2
http_request_duration_seconds_count{code="404",handler="v0/data",method="post"} 400
http_request_duration_seconds_count{code="404",handler="index",method="post"} 5000
http_request_duration_seconds_count{code="200",handler="index",method="get"} 1000
http_request_duration_seconds_count{code="200",handler="v1/query",method="get"} 1e+06
http_request_duration_seconds_count{code="200",handler="v1/compile",method="post"} 1000
http_request_duration_seconds_count{code="200",handler="health",method="get"} 1000
)";
  CHECK(answered_decisions(kMetrics) == 1'005'433);
  CHECK(answered_decisions("# TYPE go_goroutines gauge\n") == 0);
  CHECK_FALSE(answered_decisions("<html>"));
  CHECK_FALSE(
      answered_decisions("# TYPE x "
                         "y\nhttp_request_duration_seconds_count{code=\"200\",handler=\"v1/"
                         "data\",method=\"get\"} -1"));
}

TEST_CASE("what OPA answered and did not log becomes a gap, once") {
  SourceCounts counts;
  counts.recorded("a", 90);
  counts.polled("a", 100, 1'000);
  CHECK(counts.settle(1'000 + kCountSettleMs - 1).empty());
  counts.recorded("a", 5);  // they were on their way
  auto missing = counts.settle(1'000 + kCountSettleMs);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].count == 5);
  CHECK_FALSE(missing[0].has_ended);
  counts.polled("a", 100, 10'000);
  CHECK(counts.settle(20'000).empty());
  counts.polled("a", 103, 21'000);
  counts.recorded("a", 2);
  missing = counts.settle(30'000);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].count == 1);
}

TEST_CASE("an OPA that died is counted to its last poll, also by another agent's run") {
  SourceCounts counts;
  counts.recorded("a", 10);
  counts.polled("a", 10, 1'000);
  CHECK(counts.settle(10'000).empty());
  counts.polled("a", 17, 11'000);
  counts.recorded("a", 4);
  counts.polled("b", 1, 12'000);  // an OPA that was started again
  counts.recorded("b", 1);
  const auto missing = counts.settle(20'000);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].instance == "a");
  CHECK(missing[0].count == 3);
  CHECK(missing[0].has_ended);
  CHECK_FALSE(counts.instances().contains("a"));

  SourceCounts next;
  next.restore("a", {.recorded = 5, .reported = 1, .answered = 9});
  CHECK(next.settle(50'000).empty());  // whether it lives is not known yet
  next.polled("b", 0, 60'000);
  const auto at_last = next.settle(70'000);
  REQUIRE(at_last.size() == 1);
  CHECK(at_last[0].count == 3);
}

TEST_CASE("late events and those of a killed agent are no gap") {
  SourceCounts counts;
  counts.recorded("a", 10);
  counts.polled("a", 100, 1'000);
  counts.delayed(5'000);
  CHECK(counts.settle(5'000 + kCountSettleMs - 1).empty());
  counts.recorded("a", 90);
  CHECK(counts.settle(5'000 + kCountSettleMs).empty());

  SourceCounts restarted;
  restarted.restore("a", {.recorded = 10, .reported = 0, .answered = 12});
  restarted.restore_unattributed(4);
  restarted.polled("a", 15, 1'000);
  const auto missing = restarted.settle(10'000);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].count == 1);
}

TEST_CASE(
    "events of a killed agent are no gap either when the next one is killed before it settles") {
  const TemporaryFolder folder;
  const auto reopened = [&](SourceCounts& counts) {
    KnownEvents known;
    auto file = IdsFile::open(folder.path());
    REQUIRE(file);
    REQUIRE((*file)->load(known, counts));
    return *std::move(file);
  };
  {
    SourceCounts counts;
    counts.restore("a", {.recorded = 10, .reported = 0, .answered = 12});
    counts.restore_unattributed(4);
    REQUIRE(reopened(counts)->commit({}, KnownEvents(), counts));
  }
  SourceCounts counts;
  (void)reopened(counts);
  counts.polled("a", 14, 1'000);
  CHECK(counts.settle(10'000).empty());
  CHECK(counts.unattributed() == 0);
}

}  // namespace notp::opa_log
