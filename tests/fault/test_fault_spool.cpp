// Kill -9 of a process that records decisions, at random and between ring, segment and
// acknowledgement: what was answered is there, once, in order.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <set>
#include <thread>

#include "common/random.hpp"
#include "tests/support/agent/old_logs.hpp"
#include "tests/support/results.hpp"

extern char** environ;

namespace notp::spools {
namespace {

using record::Kind;
using spool::Durability;

constexpr const char* kFolderVariable = "NOTP_SPOOL_CHILD";
// After so many records the child begins a new log.
constexpr const char* kNewLogVariable = "NOTP_SPOOL_NEW_LOG";
constexpr uint64_t kThreads = 6;
// Those that a process passes often, and those that it passes once.
constexpr const char* kFailpoints[] = {"spool.after_write",   "spool.after_sync",
                                       "spool.before_commit", "spool.after_commit",
                                       "spool.after_free",    "spool.after_ack"};
constexpr const char* kSingleFailpoints[] = {"spool.after_gaps", "spool.after_run",
                                             "spool.after_open", "spool.after_close"};

std::string random_failpoint(Random& random) {
  if (random.below(4) == 0) return kSingleFailpoints[random.below(std::size(kSingleFailpoints))];
  return fmt::format("{}:{}", kFailpoints[random.below(std::size(kFailpoints))],
                     1 + random.below(random.below(3) == 0 ? 400 : 20));
}

spool::SpoolOptions options_of(const std::filesystem::path& folder) {
  // Small, so that all that can happen does: seals, laps of the ring, syncs, acknowledgements.
  // A decision that finds no room is asked again.
  return {.ring_bytes = 256 << 10,
          .when_full = spool::WhenFull::kRefuse,
          .sync_ms = 3,
          .seal_connected_ms = 4,
          .seal_offline_ms = 4,
          .boot_id_file = folder / "boot_id"};
}

spool::SpoolIdentity identity() { return {"shop.example", kNode, "test 1", {}}; }

// A decision of which there is one in the whole log.
spool::Entry unique_entry(uint64_t child, uint64_t thread, uint64_t number) {
  spool::Entry out =
      entry(number % 50, number % 3 == 0 ? Durability::kStrict : Durability::kBatched);
  std::get<record::DecisionContent>(out.content).trace_id =
      fmt::format("{:016x}{:04x}{:012x}", child, thread, number);
  return out;
}

// The process that is killed. A line on standard output for each answer that a PEP would have got.
void record_until_killed(const std::filesystem::path& folder, uint64_t child) {
  auto log =
      spool::DecisionSpool::open(folder / "decisions", options_of(folder), identity()).value();
  log->connected(true);
  if (std::getenv(kNewLogVariable) == nullptr)
    log->on_sealed([&] { log->acknowledged(log->sealed().size); });
  const auto active = std::make_shared<const record::ActiveSet>(samples::active_set());
  constexpr uint64_t kEach = 400;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (uint64_t i = 0; i < kEach;) {
        spool::Entry next = unique_entry(child, thread, i);
        next.active = active;
        const bool is_strict = next.durability == Durability::kStrict;
        const auto written = log->append(std::move(next));
        if (!written || !*written) {  // the ring is full for a moment
          std::this_thread::yield();
          continue;
        }
        if (is_strict && !wait_durable(*log, (*written)->position)) std::abort();
        const std::string line =
            fmt::format("{} {} {} {}\n", thread, i, (*written)->position, (*written)->decision_id);
        if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::abort();
        ++i;
      }
    });
  if (const char* after = std::getenv(kNewLogVariable)) {
    while (log->status().next < std::stoull(after)) std::this_thread::yield();
    if (!log->begin_new_log("it is a fork: a test")) std::abort();
  }
  for (std::thread& thread : threads) thread.join();
  log->close("done");
}

struct Answer {
  uint64_t child = 0, thread = 0, number = 0;
  record::Position position = 0;
  std::string id;
};

std::vector<Answer> answers_in(const std::string& output, uint64_t child) {
  std::vector<Answer> out;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Answer answer;
    answer.child = child;
    // doctest says things of its own, and a line may be cut.
    if (fields >> answer.thread >> answer.number >> answer.position >> answer.id &&
        record::DecisionAddress::parse(answer.id))
      out.push_back(answer);
  }
  return out;
}

struct Child {
  pid_t pid = 0;
  int out = -1;
};

Child start_child(const std::filesystem::path& folder, uint64_t number,
                  const std::string& failpoint, const std::string& new_log_after = {}) {
  int ends[2] = {};
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!std::string_view(*variable).starts_with("NOTP_FAILPOINT="))
      variables.emplace_back(*variable);
  variables.push_back(fmt::format("{}={}:{}", kFolderVariable, number, folder.string()));
  if (!new_log_after.empty())
    variables.push_back(fmt::format("{}={}", kNewLogVariable, new_log_after));
  if (!failpoint.empty()) variables.push_back("NOTP_FAILPOINT=" + failpoint);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string program = "/proc/self/exe", which = "--test-case=the process that is killed",
              skipped = "--no-skip", quiet = "--minimal";
  char* arguments[] = {program.data(), which.data(), skipped.data(), quiet.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  Child child;
  REQUIRE(::posix_spawn(&child.pid, program.c_str(), &actions, nullptr, arguments,
                        environment.data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  child.out = ends[0];
  return child;
}

// Reads until the end, or kills when so many bytes have come. Returns what the child said.
std::string run_child(const Child& child, uint64_t kill_after_bytes, bool& was_killed) {
  std::string output;
  char buffer[4096];
  bool is_killed = false;
  while (true) {
    const ssize_t got = ::read(child.out, buffer, sizeof buffer);
    if (got <= 0) break;
    output.append(buffer, static_cast<size_t>(got));
    if (output.size() < kill_after_bytes || is_killed) continue;
    ::kill(child.pid, SIGKILL);
    is_killed = true;
  }
  ::close(child.out);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  was_killed = (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
               (WIFEXITED(status) && WEXITSTATUS(status) == 137);
  const bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  CHECK_MESSAGE((was_killed || is_done), "the child ended with status ", status, ":\n", output);
  return output;
}

// All that the children were answered, against all that the log has.
struct AnswerSheet {
  std::map<std::string, Answer> answers;  // by trace id

  static std::string trace_of(const Answer& answer) {
    return std::get<record::DecisionContent>(
               unique_entry(answer.child, answer.thread, answer.number).content)
        .trace_id;
  }

  void check(const std::vector<record::Record>& records) const {
    std::map<std::string, record::Position> found;
    std::map<std::pair<std::string, uint32_t>, uint64_t> last;  // number, by thread and run
    uint32_t run = 0;
    size_t twice = 0, lost = 0, misplaced = 0, unordered = 0;
    for (const record::Record& record : records) {
      CHECK(record.place.run >= run);
      run = record.place.run;
      const auto* decision = std::get_if<record::DecisionContent>(&record.content);
      if (decision == nullptr) continue;
      if (!found.emplace(decision->trace_id, record.place.position).second) ++twice;
      uint64_t number = 0;
      const std::string text = decision->trace_id.substr(20);
      std::from_chars(text.data(), text.data() + text.size(), number, 16);
      const auto [before, is_first] =
          last.try_emplace({decision->trace_id.substr(0, 20), record.place.run}, number);
      if (!is_first && std::exchange(before->second, number) >= number) ++unordered;
      if (record.place.active == 0 || record.place.active >= record.place.position ||
          records[record.place.active].kind() != Kind::kActive)
        ++misplaced;
    }
    for (const auto& [trace, answer] : answers) {
      const auto at = found.find(trace);
      if (at == found.end()) {
        ++lost;
        continue;
      }
      const auto address = record::DecisionAddress::parse(answer.id);
      if (at->second != answer.position || !address || address->position != answer.position ||
          address->run != records[at->second].place.run)
        ++misplaced;
    }
    CHECK(lost == 0);
    CHECK(twice == 0);
    CHECK(misplaced == 0);
    CHECK(unordered == 0);
    CHECK(gaps_in(records).empty());
  }
};

// Where the beginning of a new log can be cut off. The last ones are passed at the start, too.
constexpr const char* kNewLogFailpoints[] = {
    "spool.after_end_mark", "spool.after_end",    "spool.before_old_table", "spool.after_old_table",
    "spool.after_new_log",  "spool.after_gaps:2", "spool.after_run:2",      "spool.after_open:2"};

// All logs of the folder, oldest first. The last one goes on.
std::vector<OldLog> logs_after_kill(const std::filesystem::path& folder) {
  auto opened = spool::DecisionSpool::open(folder / "decisions", options_of(folder), identity());
  REQUIRE_MESSAGE(opened, opened.error().message);
  std::vector<OldLog> logs = old_logs(folder / "decisions");
  logs.push_back(
      {.log = (*opened)->status().log, .records = all_records(**opened, folder / "decisions")});
  return logs;
}

// What was answered is in one log, once, at the place that the answer names.
void check_answers(const std::vector<Answer>& answers, const std::vector<OldLog>& logs) {
  std::map<std::string, std::string> found;  // address by trace
  size_t twice = 0, lost = 0;
  for (const OldLog& log : logs)
    for (const record::Record& record : log.records)
      if (const auto* decision = std::get_if<record::DecisionContent>(&record.content))
        twice +=
            found.emplace(decision->trace_id, record::DecisionAddress::of(log.log, record.place.run,
                                                                          record.place.position)
                                                  .text())
                    .second
                ? 0
                : 1;
  for (const Answer& answer : answers) {
    const auto at = found.find(AnswerSheet::trace_of(answer));
    lost += at != found.end() && at->second == answer.id ? 0 : 1;
  }
  CHECK(twice == 0);
  CHECK(lost == 0);
}

}  // namespace

TEST_CASE("the process that is killed" * doctest::skip()) {
  const char* text = std::getenv(kFolderVariable);
  if (text == nullptr) return;
  const std::string_view value = text;
  const size_t colon = value.find(':');
  uint64_t child = 0;
  std::from_chars(text, text + colon, child);
  record_until_killed(value.substr(colon + 1), child);
}

TEST_CASE("of what was answered before a kill nothing is lost, twice or out of order") {
  const uint64_t kills = count_of("NOTP_KILLS", 60);
  const uint64_t seed = count_of("NOTP_SEED", 14);
  SeededRandom random(seed);
  constexpr uint64_t kKillsPerSpool = 12;
  uint64_t killed = 0, answered = 0, child_number = 0;
  while (killed < kills) {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "boot_id") << "1f0c36a4-0000-4000-8000-000000000001\n";
    AnswerSheet sheet;
    for (uint64_t i = 0; i < kKillsPerSpool && killed < kills; ++i) {
      // Every other one at a named point.
      const std::string failpoint = i % 2 == 0 ? random_failpoint(random) : "";
      const uint64_t kill_after = failpoint.empty() ? random.below(60'000) : UINT64_MAX;
      INFO("seed ", seed, ", child ", child_number, " ", failpoint);
      const Child child = start_child(folder.path(), child_number, failpoint);
      bool was_killed = false;
      const std::string output = run_child(child, kill_after, was_killed);
      for (const Answer& answer : answers_in(output, child_number))
        sheet.answers.emplace(AnswerSheet::trace_of(answer), answer);
      ++child_number;
      killed += was_killed ? 1 : 0;
      auto opened = spool::DecisionSpool::open(folder.path() / "decisions",
                                               options_of(folder.path()), identity());
      REQUIRE_MESSAGE(opened, opened.error().message);
      CHECK((*opened)->status().trouble.empty());
      sheet.check(all_records(**opened, folder.path() / "decisions"));
    }
    answered += sheet.answers.size();
  }
  CHECK(answered > kills * 10);
  record_result("spool: kill -9 while recording, at random and at named points",
                fmt::format("{} kills (seed {})", killed, seed),
                fmt::format("{} answered records: 0 lost, 0 twice, 0 out of order", answered));
}

TEST_CASE("killed while a new log begins: one of both is there, and all that was answered") {
  uint64_t answered = 0, number = 0;
  for (const char* failpoint : kNewLogFailpoints)
    for (const char* after : {"40", "400", "1200"}) {
      CAPTURE(failpoint);
      CAPTURE(after);
      const TemporaryFolder folder;
      std::ofstream(folder.path() / "boot_id") << "1f0c36a4-0000-4000-8000-000000000001\n";
      const Child child = start_child(folder.path(), ++number, failpoint, after);
      bool was_killed = false;
      const std::string output = run_child(child, UINT64_MAX, was_killed);
      CHECK(was_killed);
      const std::vector<Answer> answers = answers_in(output, number);
      answered += answers.size();
      // The mark is durable before the first point: a new log has begun, once.
      const std::vector<OldLog> logs = logs_after_kill(folder.path());
      REQUIRE(logs.size() == 2);
      CHECK(logs[0].ends.contains("fork"));
      CHECK(logs[0].report.fault_count == 0);
      check_answers(answers, logs);
      const auto gaps = gaps_in(logs[1].records);
      REQUIRE(gaps.size() == 1);
      CHECK(gaps[0].reason == record::GapReason::kNewLog);
      CHECK(gaps[0].count == logs[0].records.size() - logs[0].acknowledged);
      CHECK(gaps[0].message.contains("fork"));
      CHECK(logs[1].records[0].kind() == Kind::kGap);
      for (const char* left : {spool::kNewTableFile, spool::kSpareRingFile})
        CHECK_FALSE(std::filesystem::exists(folder.path() / "decisions" / left));
      // The next start goes on in it.
      CHECK(logs_after_kill(folder.path()).size() == 2);
    }
  record_result("spool: kill -9 while a new log begins, at every named point",
                fmt::format("{} kills", number),
                fmt::format("{} answered records: 0 lost, 0 twice", answered));
}

}  // namespace notp::spools
