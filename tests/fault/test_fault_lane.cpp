// A process that is killed between the steps of lane.db: what it reported as durable is there, and
// a position never claims what is not.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "common/random.hpp"
#include "notp-client/lane/store/lane_store.hpp"
#include "tests/support/agent/lane_world.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using namespace lane_world;

constexpr const char* kFolderVariable = "NOTP_LANE_CHILD";
constexpr uint64_t kChanges = 200;

std::unique_ptr<lane::LaneStore> open_store(const std::filesystem::path& folder) {
  auto store = lane::LaneStore::open({.folder = folder,
                                      .trust_domain = kDomain,
                                      .lane = kLane,
                                      .seal = std::nullopt,
                                      .now_ms = kStartMs});
  REQUIRE_MESSAGE(store, store.error().message);
  return *std::move(store);
}

// The process that is killed: a line for each change that is durable, by the revision.
void write_until_killed(const std::filesystem::path& folder) {
  const auto store = open_store(folder);
  uint64_t revision = store->marks().position ? store->marks().position->revision : 0;
  for (uint64_t i = 0; i < kChanges; ++i) {
    std::vector<lane::effect::Take> takes;
    for (uint64_t each = 0; each <= i % 3; ++each) {
      ++revision;
      takes.push_back({i + 1,
                       0,
                       lane::change::Events{{dead(static_cast<int>(revision))}},
                       {.position = wire::LanePosition{history(1), 1, revision}}});
    }
    REQUIRE(store->write(takes));
    const std::string line = fmt::format("{}\n", revision);
    REQUIRE(::write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  }
}

// Runs such a process; returns the last revision that it reported.
uint64_t run_child(const std::filesystem::path& folder, const std::string& failpoint) {
  const CommandResult child =
      run_command({std::filesystem::read_symlink("/proc/self/exe").string(), "--no-skip", "--quiet",
                   "--test-case=the process that is killed"},
                  {{kFolderVariable, folder.string()}, {"NOTP_FAILPOINT", failpoint}});
  CHECK(child.status == 137);
  const std::string& text = child.output;
  uint64_t last = 0;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    last = std::strtoull(text.c_str() + at, nullptr, 10);
  return last;
}

}  // namespace

TEST_CASE("the process that is killed" * doctest::skip()) {
  if (const char* const folder = std::getenv(kFolderVariable)) write_until_killed(folder);
}

TEST_CASE(
    "revocations that were durable before a kill are there after it, and no position is ahead") {
  const TemporaryFolder folder;
  SeededRandom random(11);
  const uint64_t kills = count_of("NOTP_KILLS", 40);
  uint64_t before = 0;
  for (uint64_t kill = 0; kill < kills; ++kill) {
    const char* const point = random.below(2) == 0 ? "lane.before_commit" : "lane.after_commit";
    CAPTURE(kill);
    const uint64_t reported = std::max(
        before, run_child(folder.path(), fmt::format("{}:{}", point, 1 + random.below(30))));
    const auto store = open_store(folder.path());
    CHECK_FALSE(store->damage());
    std::set<feed::TokenId> there;
    REQUIRE(store->load([&](std::span<const Event> events) {
      for (const Event& event : events) there.insert(event.id);
    }));
    REQUIRE(store->marks().position);
    const uint64_t claimed = store->marks().position->revision;
    CHECK(claimed >= reported);
    for (uint64_t revision = 1; revision <= claimed; ++revision)
      REQUIRE(there.contains(token_id(static_cast<int>(revision))));
    CHECK(there.size() == claimed);
    before = claimed;
  }
  record_result("kills of a process that writes lane.db", fmt::format("{} kills", kills),
                fmt::format("{} revocations, none lost", before));
}

}  // namespace notp
