// The memory of a registry that has done something.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>

#include "common/storage/files.hpp"
#include "tests/support/process/allocator.hpp"
#include "tests/support/process/memory_peaks.hpp"
#include "tests/support/process/stack.hpp"

namespace notp {
namespace {

#ifndef NOTP_OTHER_ALLOCATOR
// Resident: the program and its libraries take 28 MB of it, the model 15, its artifacts 5.
constexpr uint64_t kResidentKib = 80'000;
// What is not in use for a while leaves, and a busy machine makes that a longer one.
constexpr auto kPatience = std::chrono::seconds(180);
constexpr int kRows = 62'000, kEdits = 5;

// Some 15 MB, of which one row says what was edited.
void write_rows(const std::filesystem::path& payments, int edit) {
  std::string text = "{";
  for (int row = 0; row < kRows; ++row)
    text += fmt::format(
        "{}\n  \"account{:06}\": {{\"limit\": {}, \"currency\": \"EUR\", \"owner\": \"{:064x}\", "
        "\"state\": \"open\", \"opened\": \"2026-01-{:02}T10:00:00Z\", \"branch\": {}, \"group\": "
        "\"retail\"}}",
        row == 0 ? "" : ",", row, row == kRows / 2 ? edit : row,
        static_cast<uint64_t>(row) * 0x9E3779B97F4A7C15, 1 + row % 28, row % 997);
  const auto written = write_file(payments / "payments/books/data.json", text + "\n}\n");
  REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().message));
}

TEST_CASE("a registry keeps the newest content of its ledgers, and gives the rest back") {
  Stack stack;
  stack.start_registry();
  const auto payments = stack.copy_example("payments");
  std::filesystem::create_directory(payments / "payments/books");
  write_rows(payments, 0);
  REQUIRE(stack.published(payments, kPayments) == 1);
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  for (int edit = 1; edit <= kEdits; ++edit) {
    write_rows(payments, edit);
    REQUIRE(stack.published(payments, kPayments) == edit + 1);
    REQUIRE(stack.becomes_active(agent, kPayments, edit + 1));
  }
  const auto resident_kib = [&] { return kib_of(stack.registry_pid(), "VmRSS"); };
  CHECK_MESSAGE(wait_until([&] { return resident_kib() < kResidentKib; }, kPatience),
                "resident: ", resident_kib(), " KiB");
  // Content that has left is there for those who need it.
  write_rows(payments, kEdits + 1);
  REQUIRE(stack.published(payments, kPayments) == kEdits + 2);
  CHECK(stack.becomes_active(agent, kPayments, kEdits + 2));
  const CliResult changes = stack.notp("alice", {"diff", kPayments, "v1", "v2", "--stat"});
  CHECK_MESSAGE(changes.status == 0, changes.error);
}
#endif

}  // namespace
}  // namespace notp
