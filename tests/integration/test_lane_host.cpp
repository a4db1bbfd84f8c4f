// A lane of a registry on its thread: what it has said is kept is there after a kill, and a disk
// that takes nothing refuses sources while nodes are served.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "notp-server/lane/lane_host.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/memory_event_store.hpp"
#include "notp-server/lane/sqlite_event_store.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::lane {
namespace {

namespace fs = std::filesystem;

const PrivateKey& key() {
  static const PrivateKey made = PrivateKey::from_seed({5});
  return made;
}

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return *std::move(result);
}

RegistryLaneConfig config(uint64_t source_rate = 100'000) {
  RegistryLaneConfig out{
      .name = "tokens",
      .terms = {.hard_s = 900, .serves = false, .life_s = 3'600},
      .rules = {.life_max_s = 3'600, .attributes = Attributes::all(), .tokens_max = 100},
      .grants = {},
      .source_rate = source_rate};
  Grant grant;
  grant.nodes.push_back(must(session::IdentityPattern::parse("node/*", "example.org")));
  grant.attributes = Attributes::all();
  out.grants.push_back(grant);
  return out;
}

struct Outlet final : serve::LaneOutlet {
  std::atomic<size_t> states = 0, pages = 0, batches = 0;
  void deliver(serve::LaneSends sends) override {
    for (const serve::LaneSend& send : *sends) {
      states += static_cast<size_t>(std::holds_alternative<serve::lane_send::Tell>(send));
      batches += static_cast<size_t>(std::holds_alternative<serve::lane_send::ToGroup>(send));
      const auto* to = std::get_if<serve::lane_send::ToReader>(&send);
      pages += static_cast<size_t>(to != nullptr && to->is_bulk);
    }
  }
};

Result<IntakeOutcome> take(LaneHost& host, IncomingEvent event) {
  std::promise<Result<IntakeOutcome>> done;
  host.take("test", {std::move(event)}, [&](auto outcome) { done.set_value(std::move(outcome)); });
  return done.get_future().get();
}

IncomingEvent deletion(const std::string& token) {
  return {.key = token + ":del", .what = TokenDeleted{.id = feed::token_id(token)}};
}

constexpr int kEvents = 8;

std::string token(int number) { return fmt::format("token-{}", number); }

// Has another part until the disk is full.
struct EndlessCopy final : StoreCopy {
  const std::atomic<bool>& is_full;
  std::atomic<size_t>& parts;
  EndlessCopy(const std::atomic<bool>& is_full, std::atomic<size_t>& parts)
      : is_full(is_full), parts(parts) {}
  Result<bool> step() override {
    ++parts;
    if (is_full) return fail(ErrorCode::kIo, "no space left on device");
    return false;
  }
  Result<void> finish() override { return {}; }
};

// What nodes would have lost with the disk: a store whose commits fail on demand.
struct FullDisk final : EventStore {
  MemoryEventStore kept{feed::token_id("instance")};
  std::atomic<bool>& is_full;
  std::atomic<bool> is_unreadable = false;
  std::atomic<size_t> parts_copied = 0;
  explicit FullDisk(std::atomic<bool>& is_full) : is_full(is_full) {}

  const StoreState& state() const override { return kept.state(); }
  uint64_t bytes() const override { return 0; }
  Result<std::unique_ptr<StoreCopy>> begin_copy(const fs::path&) override {
    return std::make_unique<EndlessCopy>(is_full, parts_copied);
  }
  Result<void> begin() override { return kept.begin(); }
  Result<void> commit() override {
    if (is_full) return fail(ErrorCode::kIo, "no space left on device");
    return kept.commit();
  }
  Result<void> set_instance(const feed::TokenId& instance) override {
    if (is_full) return fail(ErrorCode::kIo, "no space left on device");
    return kept.set_instance(instance);
  }
  void roll_back() override { kept.roll_back(); }
  Result<void> put(const Row& row) override { return kept.put(row); }
  Result<void> erase(const feed::EventKey& at) override { return kept.erase(at); }
  Result<bool> note_key(std::string_view source, std::string_view name, int64_t now_s) override {
    return kept.note_key(source, name, now_s);
  }
  Result<size_t> remove_ended(int64_t now_s, size_t max) override {
    return kept.remove_ended(now_s, max);
  }
  Result<std::optional<Row>> find(const feed::EventKey& at) override { return kept.find(at); }
  Result<Page> tail(uint64_t after, size_t rows_max, size_t bytes_max) override {
    return kept.tail(after, rows_max, bytes_max);
  }
  Result<Page> range(const std::optional<feed::EventKey>& after, size_t rows_max,
                     size_t bytes_max) override {
    if (is_unreadable) return fail(ErrorCode::kIo, "input/output error");
    return kept.range(after, rows_max, bytes_max);
  }
};

}  // namespace

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: revoke tokens one by one" * doctest::skip()) {
  const fs::path folder = std::getenv("NOTP_TEST_FOLDER");
  SystemRandom random;
  Outlet outlet;
  LaneHost host(config(), {.trust_domain = "example.org",
                           .key = key(),
                           .store = must(SqliteEventStore::open(folder / "lane.db", random))});
  host.start(outlet);
  std::ofstream acknowledged(folder / "acknowledged");
  for (int i = 0; i < kEvents; ++i) {
    const auto outcome = must(take(host, deletion(token(i))));
    acknowledged << i << " " << outcome.revision << std::endl;
  }
}

TEST_CASE("what was acknowledged is kept over a kill, and what is sent again is taken once") {
  for (const std::string point : {"registry_lane.before_commit:1", "registry_lane.before_commit:5",
                                  "registry_lane.after_commit:1", "registry_lane.after_commit:5"}) {
    CAPTURE(point);
    const TemporaryFolder folder;
    const CommandResult child =
        run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                     "--test-case=in a child: revoke tokens one by one"},
                    {{"NOTP_TEST_FOLDER", folder.path().string()}, {"NOTP_FAILPOINT", point}});
    REQUIRE_MESSAGE(child.status == 137, child.output);
    std::ifstream file(folder.path() / "acknowledged");
    int number = 0, acknowledged = 0;
    uint64_t revision = 0;
    SystemRandom random;
    auto store = must(SqliteEventStore::open(folder.path() / "lane.db", random));
    while (file >> number >> revision) {
      ++acknowledged;
      const auto row =
          must(store->find({feed::EventKind::kDeleted, feed::token_id(token(number))}));
      REQUIRE(row);
      CHECK(row->revision == revision);
    }
    const int at = point.back() - '0';
    CHECK(acknowledged == at - 1);
    const bool is_committed = point.starts_with("registry_lane.after");
    CHECK(store->state().head == static_cast<uint64_t>(is_committed ? at : at - 1));

    Outlet outlet;
    LaneHost host(config(),
                  {.trust_domain = "example.org", .key = key(), .store = std::move(store)});
    host.start(outlet);
    for (int i = 0; i < kEvents; ++i) REQUIRE(take(host, deletion(token(i))));
    CHECK(host.progress(0).revision == 0);
    CHECK(must(take(host, deletion(token(0)))).revision == kEvents);
  }
}

TEST_CASE("a disk that takes nothing refuses sources, serves nodes, and is used again") {
  std::atomic<bool> is_full = false;
  Outlet outlet;
  LaneHost host(
      config(),
      {.trust_domain = "example.org", .key = key(), .store = std::make_unique<FullDisk>(is_full)});
  host.start(outlet);
  REQUIRE(take(host, deletion("one")));
  is_full = true;
  const auto refused = take(host, deletion("two"));
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  const session::Identity node{"example.org", session::Role::kNode, "edge"};
  std::promise<void> subscribed;
  host.post([&](FanOut& out, Now now) {
    out.subscribe({1, 1}, node, {.lane = "tokens"}, now);
    subscribed.set_value();
  });
  subscribed.get_future().get();
  CHECK(host.progress(1).nodes == 1);
  while (outlet.pages == 0) host.progress(1);  // each is a turn of the thread
  CHECK(must(host.find(feed::token_id("one"))));
  CHECK(!must(host.find(feed::token_id("two"))));
  is_full = false;
  CHECK(must(take(host, deletion("two"))).revision == 2);
  CHECK(must(host.find(feed::token_id("two"))));
}

// The node has a revision of the history, and follows the lane from there.
void follow(LaneHost& host, uint64_t reader, std::optional<wire::LanePosition> position) {
  std::promise<void> subscribed;
  host.post([&, position](FanOut& out, Now now) {
    const session::Identity node{"example.org", session::Role::kNode, "edge"};
    out.subscribe({reader, 1}, node, {.lane = "tokens", .position = position}, now);
    subscribed.set_value();
  });
  subscribed.get_future().get();
}

// The first report that is so.
LaneReport report_when(const LaneHost& host, const std::function<bool(const LaneReport&)>& is) {
  while (!is(host.report())) host.progress(0);  // each is a turn of the thread
  return host.report();
}

TEST_CASE("a read that failed is a fault until reads are good again, whatever is written") {
  std::atomic<bool> is_full = false;
  Outlet outlet;
  auto store = std::make_unique<FullDisk>(is_full);
  std::atomic<bool>& is_unreadable = store->is_unreadable;
  LaneHost host(config(), {.trust_domain = "example.org", .key = key(), .store = std::move(store)});
  host.start(outlet);
  is_unreadable = true;
  follow(host, 1, std::nullopt);
  report_when(host, [](const auto& report) { return report.fault == "input/output error"; });
  REQUIRE(take(host, deletion("one")));
  report_when(host, [](const auto& report) { return report.store.head == 1; });
  CHECK(host.report().fault == "input/output error");
  is_unreadable = false;
  follow(host, 2, std::nullopt);
  report_when(host, [](const auto& report) { return report.fault.empty(); });
}

TEST_CASE("a data folder that was put back gives the lane another history, once an hour") {
  const TemporaryFolder folder;
  SystemRandom random;
  const auto file = folder.path() / "lane.db";
  feed::TokenId before, after;
  const auto position = [&](uint64_t revision) {
    return wire::LanePosition{.instance = before, .grant = 1, .revision = revision};
  };
  {
    Outlet outlet;
    LaneHost host(config(), {.trust_domain = "example.org",
                             .key = key(),
                             .store = must(SqliteEventStore::open(file, random))});
    host.start(outlet);
    for (int i = 0; i < kEvents; ++i) must(take(host, deletion(token(i))));
    before = report_when(host, [](const auto& report) {
               return report.store.head == kEvents;
             }).store.instance;
    follow(host, 1, position(kEvents));
    report_when(host, [](const auto& report) { return report.readers.nodes == 1; });
    CHECK(host.report().store.instance == before);

    follow(host, 2, position(kEvents + 1));
    after = report_when(host, [&](const auto& report) {
              return report.store.instance != before;
            }).store.instance;
    CHECK(host.progress(0).nodes == 2);
    // It may lie.
    follow(host, 3, wire::LanePosition{.instance = after, .grant = 1, .revision = kEvents + 9});
    report_when(host, [](const auto& report) { return report.readers.nodes == 3; });
    CHECK(host.report().store.instance == after);
    CHECK(must(take(host, deletion("later"))).revision == kEvents + 1);
  }
  CHECK(must(SqliteEventStore::open(file, random))->state().instance == after);
}

TEST_CASE("a source is told which tokens the lane has of it, page by page") {
  Outlet outlet;
  RegistryLaneConfig large = config();
  large.rules.tokens_max = 100'000;
  LaneHost host(large, {.trust_domain = "example.org",
                        .key = key(),
                        .store = std::make_unique<MemoryEventStore>(feed::token_id("instance"))});
  host.start(outlet);
  const int64_t exp_s = read_clock().wall_ms / 1000 + 600;
  const auto add = [&](const std::string& source, const std::string& name) {
    std::promise<Result<IntakeOutcome>> done;
    host.take(source,
              {{.key = {},
                .what = TokenAdded{.id = feed::token_id(name), .attributes = {{"exp", exp_s}}}}},
              [&](auto outcome) { done.set_value(std::move(outcome)); });
    must(done.get_future().get());
  };
  constexpr int kTokens = static_cast<int>(kLivingPageMax) / 4 * 3;
  for (int i = 0; i < kTokens; ++i) {
    add("one", "one" + token(i));
    add("two", "two" + token(i));
  }
  must(take(host, deletion("one" + token(0))));
  size_t pages = 0, tokens = 0;
  std::optional<feed::TokenId> next = feed::TokenId();
  for (; next; ++pages) {
    const LivingPage page = must(host.living("one", *next));
    tokens += page.tokens.size();
    for (const LivingToken& one : page.tokens) CHECK(one.exp_s == exp_s);
    next = page.next;
  }
  CHECK(tokens == kTokens - 1);
  CHECK(pages == 2);
}

// As many rows as make more than one part, each of about 400 bytes.
std::vector<IncomingEvent> many_tokens(const std::string& stem, int64_t exp_s) {
  std::vector<IncomingEvent> out;
  for (int i = 0; i < static_cast<int>(kIntakeEventsMax); ++i)
    out.push_back({.key = {},
                   .what = TokenAdded{
                       .id = feed::token_id(stem + token(i)),
                       .attributes = {{"sub", stem + std::string(400, 'x')}, {"exp", exp_s}}}});
  return out;
}

TEST_CASE("a lane goes on while a copy of it is made, and a copy that fails harms nothing") {
  std::atomic<bool> is_full = false;
  Outlet outlet;
  auto store = std::make_unique<FullDisk>(is_full);
  const std::atomic<size_t>& parts = store->parts_copied;
  LaneHost host(config(), {.trust_domain = "example.org", .key = key(), .store = std::move(store)});
  host.start(outlet);
  auto copied = std::async(std::launch::async, [&] { return host.copy_to("copy"); });
  while (parts == 0) std::this_thread::yield();
  for (int i = 0; i < kEvents; ++i) CHECK(must(take(host, deletion(token(i)))).revision == i + 1);
  CHECK(copied.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  is_full = true;
  const auto outcome = copied.get();
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == ErrorCode::kIo);
  is_full = false;
  CHECK(take(host, deletion("after it")));

  const size_t before = parts;
  auto second = std::async(std::launch::async, [&] { return host.copy_to("copy"); });
  while (parts == before) std::this_thread::yield();
  host.stop();
  const auto stopped = second.get();
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a copy of a large lane has all that was acknowledged before, whatever comes meanwhile") {
  const TemporaryFolder folder;
  SystemRandom random;
  Outlet outlet;
  RegistryLaneConfig large = config();
  large.rules.tokens_max = 100'000;
  LaneHost host(large, {.trust_domain = "example.org",
                        .key = key(),
                        .store = must(SqliteEventStore::open(folder.path() / "lane.db", random))});
  host.start(outlet);
  const int64_t exp_s = read_clock().wall_ms / 1000 + 600;
  const auto take_all = [&](std::vector<IncomingEvent> events) {
    std::promise<Result<IntakeOutcome>> done;
    host.take("test", std::move(events), [&](auto outcome) { done.set_value(std::move(outcome)); });
    return must(done.get_future().get()).revision;
  };
  for (const char* stem : {"a", "b", "c"}) take_all(many_tokens(stem, exp_s));
  const uint64_t before = take_all({deletion("a" + token(0))});

  auto copied =
      std::async(std::launch::async, [&] { return host.copy_to(folder.path() / "copy"); });
  uint64_t last = before;
  for (int i = 1; copied.wait_for(std::chrono::seconds(0)) == std::future_status::timeout; ++i)
    last = take_all({deletion("b" + token(i % 4'000))});
  REQUIRE(copied.get());
  host.stop();

  const auto copy = must(SqliteEventStore::open(folder.path() / "copy", random));
  CHECK(copy->state().head >= before);
  CHECK(copy->state().head <= last);
  CHECK(copy->state().instance == host.report().store.instance);
  const auto has = [&](feed::EventKind kind, const std::string& name) {
    return must(copy->find({kind, feed::token_id(name)})).has_value();
  };
  CHECK(has(feed::EventKind::kDeleted, "a" + token(0)));
  CHECK_FALSE(has(feed::EventKind::kToken, "a" + token(0)));
  for (const char* stem : {"a", "c"})
    for (int i = 1; i < static_cast<int>(kIntakeEventsMax); ++i)
      REQUIRE(has(feed::EventKind::kToken, stem + token(i)));
  CHECK_FALSE(fs::exists(folder.path() / "copy.raw"));
}

TEST_CASE(
    "a source that is faster than its rate is told to try again, and nothing of it is taken") {
  Outlet outlet;
  LaneHost host(config(/*source_rate=*/1),
                {.trust_domain = "example.org",
                 .key = key(),
                 .store = std::make_unique<MemoryEventStore>(feed::token_id("instance"))});
  host.start(outlet);
  std::vector<IncomingEvent> many(kIntakeEventsMax, deletion("one"));
  std::promise<void> taken;
  host.take("fast", many, [&](auto outcome) {
    CHECK(outcome);
    taken.set_value();
  });
  taken.get_future().get();
  std::promise<ErrorCode> code;
  host.take("fast", {deletion("two"), deletion("three")},
            [&](auto outcome) { code.set_value(outcome ? ErrorCode{} : outcome.error().code); });
  CHECK(code.get_future().get() == ErrorCode::kOverloaded);
  CHECK(!must(host.find(feed::token_id("two"))));
  // Others are not held up by it.
  CHECK(take(host, deletion("four")));
  many.push_back(deletion("five"));
  std::promise<ErrorCode> limit;
  host.take("test", many,
            [&](auto outcome) { limit.set_value(outcome ? ErrorCode{} : outcome.error().code); });
  CHECK(limit.get_future().get() == ErrorCode::kLimit);
}

}  // namespace notp::lane
