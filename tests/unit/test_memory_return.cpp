#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "notp-server/app/memory_return.hpp"
#include "tests/support/process/allocator.hpp"

namespace notp {
namespace {

using server::MemoryFacts, server::MemoryReturnRule;

constexpr uint64_t kMiB = 1 << 20;
constexpr double kLookS = 10;

// Figures of a process with 30 MiB in use.
MemoryFacts facts(uint64_t free_mib, double processor_s = 0) {
  return {.resident_bytes = (30 + free_mib) * kMiB,
          .allocated_bytes = 30 * kMiB,
          .processor_s = processor_s};
}

TEST_CASE("memory is returned when enough was freed since the last time") {
  MemoryReturnRule rule;
  CHECK_FALSE(rule.is_due(facts(3), kLookS));
  CHECK(rule.is_due(facts(5), kLookS));
  rule.returned(facts(3));  // stacks, variables, and what lies between blocks in use
  CHECK_FALSE(rule.is_due(facts(3), kLookS));
  CHECK_FALSE(rule.is_due(facts(6), kLookS));
  CHECK(rule.is_due(facts(7), kLookS));
  // More was left, and has been used since: it is no allowance for later.
  rule.returned(facts(20));
  CHECK_FALSE(rule.is_due(facts(23), kLookS));
  CHECK_FALSE(rule.is_due(facts(2), kLookS));
  CHECK(rule.is_due(facts(6), kLookS));
  // Reserved and never touched.
  CHECK_FALSE(rule.is_due({.resident_bytes = 10 * kMiB, .allocated_bytes = 90 * kMiB}, kLookS));
}

TEST_CASE("a busy process keeps its memory for a while, not for ever") {
  MemoryReturnRule rule;
  double processor_s = 0;
  const auto busy_look = [&] { return rule.is_due(facts(100, processor_s += 9), kLookS); };
  for (int round = 0; round < 2; ++round) {
    for (int look = 1; look < MemoryReturnRule::kBusyLooksMax; ++look) CHECK_FALSE(busy_look());
    CHECK(busy_look());
    rule.returned(facts(3));
  }
  CHECK_FALSE(busy_look());
  CHECK(rule.is_due(facts(100, processor_s + 1), kLookS));
}

#ifndef NOTP_OTHER_ALLOCATOR
TEST_CASE("what many small blocks leave behind is given back, around those that stay") {
  constexpr size_t kBlocks = 20'000, kBlockBytes = 4'000, kStays = 200;
  constexpr uint64_t kFreedMin = 64 * kMiB;
  boost::asio::io_context context;
  std::vector<std::unique_ptr<char[]>> blocks(kBlocks);
  bool was_dropped = false;
  const auto drop_unused = [&] {
    for (size_t i = 0; i < kBlocks; ++i)
      if (i % kStays != 0) blocks[i].reset();
    was_dropped = true;
  };
  server::MemoryReturn memory(context.get_executor(), drop_unused, 1);
  // Value-initialised: every page is touched.
  for (auto& block : blocks) block = std::make_unique<char[]>(kBlockBytes);
  const auto before = server::read_memory_facts();
  REQUIRE(before.has_value());
  memory.start();
  // Whether this process counts as quiet so soon does not matter.
  for (int look = 0; look < MemoryReturnRule::kBusyLooksMax; ++look) context.run_one();
  REQUIRE(was_dropped);
  const auto after = server::read_memory_facts();
  REQUIRE(after.has_value());
  CHECK(after->resident_bytes + kFreedMin < before->resident_bytes);
  CHECK(after->allocated_bytes + kFreedMin < before->allocated_bytes);
  memory.stop();
  context.run();  // nothing is left to do
}
#endif

}  // namespace
}  // namespace notp
